/**
 * The element `<omega-img>`: a picture that sharpens while its file arrives.
 *
 *     <script type="module" src="omega/omega-img.js"></script>
 *     <omega-img src="photo.omega" alt="A harbour" width="768" height="512" data-fallback="photo.jpg"></omega-img>
 *
 * Attributes: `src`, `alt`, `width` and `height` are the same as for `<img>`. `data-max-bytes` aborts the download
 * after this many bytes. `data-max-memory` is the most memory that decoding may take, in MiB (default: 1024).
 * `data-model` is the folder of the exported model (default: `model/` beside this file), `data-runtime` the folder of
 * onnxruntime-web (default: `onnxruntime/` beside this file). `data-fallback` is a picture for browsers that cannot
 * decode, and for files that cannot be decoded. An `<img>` inside the element works, too, but browsers always fetch it.
 *
 * Events: `omega-progress` for each picture, with `detail` { streamBytes, length, bytes, image }; then `load`; or
 * `error`, with a `message`. Nothing is requested from other origins.
 */

const STYLE = new CSSStyleSheet(); // a content security policy may forbid `<style>` elements
STYLE.replaceSync(`
  :host { display: inline-block; max-width: 100% }
  :host([hidden]) { display: none }
  canvas { display: block; max-width: 100%; height: auto }
  [hidden] { display: none }`);

/** A change of one of these attributes restarts decoding. */
const OF_DECODING = ["data-max-bytes", "data-max-memory", "data-model", "data-runtime"];

/** @typedef {import("./worker.js").Reply} Reply */
/** @typedef {import("./worker.js").Request} Request */

/** @type {Worker | null} */
let sharedWorker = null;
let lastId = 0;
/** @type {Map<number, (reply: Reply) => void>} */
const receivers = new Map();

/** @returns {Worker} the worker that all elements of the page share */
function theWorker() {
  if (sharedWorker) return sharedWorker;
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  worker.addEventListener("message", ({ data }) => receivers.get(data.id)?.(data));
  worker.addEventListener("error", () => {
    sharedWorker = null; // the next picture starts another worker
    for (const [id, receive] of receivers) receive({ type: "error", id, message: "the decoder cannot be started." });
  });
  sharedWorker = worker;
  return worker;
}

/** @param {Request} request */
const tell = (request) => theWorker().postMessage(request, request.type === "push" ? [request.bytes.buffer] : []);

/**
 * @param {string} address a URL, which may be relative to the base
 * @param {string | URL} base
 * @returns {URL}
 * @throws {Error} if its origin is not the origin of the page
 */
function ownUrl(address, base) {
  const url = new URL(address, base);
  if (url.origin !== location.origin) throw new Error(`${url} is of another origin than the page.`);
  return url;
}

export class OmegaImage extends HTMLElement {
  static observedAttributes = ["src", "alt", "width", "height", ...OF_DECODING];

  #canvas = document.createElement("canvas");
  #slot = document.createElement("slot");
  /** @type {HTMLImageElement | null} */
  #fallback = null;
  #download = new AbortController();
  #id = 0;
  #bytes = 0;
  #isScheduled = false;
  #isShown = false;
  #isComplete = false;

  constructor() {
    super();
    this.#canvas.part = "picture";
    this.#slot.hidden = true;
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [STYLE];
    root.append(this.#canvas, this.#slot);
  }

  /** Whether loading of the current `src` has ended. */
  get complete() {
    return this.#isComplete;
  }

  /** The width in pixels; 0 before the first picture. */
  get naturalWidth() {
    return this.#isShown ? this.#canvas.width : 0;
  }

  /** The height in pixels; 0 before the first picture. */
  get naturalHeight() {
    return this.#isShown ? this.#canvas.height : 0;
  }

  /** The number of bytes of the file that have arrived. */
  get bytes() {
    return this.#bytes;
  }

  /** Show pixels, such as those of an earlier event, until the next picture. @param {ImageData} image */
  paint(image) {
    const { width, height } = image;
    if (this.#canvas.width !== width || this.#canvas.height !== height) Object.assign(this.#canvas, { width, height });
    this.#canvas.getContext("2d")?.putImageData(image, 0, 0);
    this.#canvas.hidden = false;
    this.#slot.hidden = true;
  }

  connectedCallback() {
    this.#describe();
    this.#schedule();
  }

  disconnectedCallback() {
    this.#stop();
  }

  /** @param {string} name @param {string | null} before @param {string | null} after */
  attributeChangedCallback(name, before, after) {
    if (before === after || !this.isConnected) return;
    if (["alt", "width", "height"].includes(name)) this.#describe();
    else this.#schedule();
  }

  /** Apply the attributes that name the picture and set its size. */
  #describe() {
    const alt = this.getAttribute("alt");
    this.setAttribute("role", alt === "" ? "presentation" : "img");
    if (alt) this.setAttribute("aria-label", alt);
    else this.removeAttribute("aria-label");
    const [width, height] = [Number(this.getAttribute("width")), Number(this.getAttribute("height"))];
    const { style } = this.#canvas;
    style.width = width > 0 ? `${width}px` : "";
    style.aspectRatio = width > 0 && height > 0 ? `${width} / ${height}` : "";
    style.height = height > 0 && !(width > 0) ? `${height}px` : "";
  }

  /** Load once after all attributes are set. */
  #schedule() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#stop();
      this.#isComplete = this.#isShown = false;
      this.#fallback?.remove();
      this.#fallback = null;
      if (this.isConnected && this.getAttribute("src")) this.#load();
      else this.#canvas.hidden = this.#slot.hidden = true;
    });
  }

  #stop() {
    this.#download.abort();
    if (receivers.delete(this.#id)) tell({ type: "close", id: this.#id });
  }

  async #load() {
    const download = (this.#download = new AbortController());
    const id = (this.#id = ++lastId);
    this.#bytes = 0;
    try {
      const base = document.baseURI;
      const src = ownUrl(this.getAttribute("src") ?? "", base);
      const [model, runtime] = Object.entries({ model: "model/", runtime: "onnxruntime/" }).map(([name, folder]) => {
        const address = this.getAttribute(`data-${name}`);
        return (address ? ownUrl(address.replace(/\/?$/, "/"), base) : ownUrl(folder, import.meta.url)).href;
      });
      receivers.set(id, (reply) => this.#receive(reply));
      const maxMemory = Number(this.getAttribute("data-max-memory")) * 2 ** 20 || undefined;
      tell({ type: "open", id, model, runtime, maxMemory });
      await this.#fetch(src, id, download);
    } catch (problem) {
      if (id !== this.#id || download.signal.aborted) return;
      if (receivers.has(id)) tell({ type: "close", id });
      this.#fail(String(problem));
    }
  }

  /**
   * Fetch a file, and pass its bytes to the worker as they arrive.
   *
   * @param {URL} src
   * @param {number} id
   * @param {AbortController} download
   */
  async #fetch(src, id, download) {
    const response = await fetch(src, { signal: download.signal, mode: "same-origin" });
    if (!response.ok || !response.body) throw new Error(`cannot read ${src}: status ${response.status}`);
    const most = Number(this.getAttribute("data-max-bytes")) || Infinity;
    const reader = response.body.getReader();
    let problem = null;
    while (this.#bytes < most) {
      const part = await reader.read().catch((failure) => (problem = failure));
      if (!part.value || download.signal.aborted) break;
      const bytes = part.value.slice(0, most - this.#bytes);
      this.#bytes += bytes.length;
      tell({ type: "push", id, bytes });
    }
    if (id !== this.#id || !receivers.has(id)) return;
    tell({ type: "end", id }); // also if the connection was lost: the bytes that have arrived are shown
    download.abort();
    if (problem) this.#announce(`the download of ${src} was interrupted: ${problem}`);
  }

  /** @param {Reply} reply */
  #receive(reply) {
    if (reply.type === "error") {
      this.#download.abort();
      this.#fail(reply.message);
      return;
    }
    const { width, height, data, streamBytes, length, last } = reply;
    const image = new ImageData(data, width, height);
    this.paint(image);
    this.#isShown = true;
    const detail = { streamBytes, length, bytes: this.#bytes, image };
    this.dispatchEvent(new CustomEvent("omega-progress", { detail }));
    if (last) {
      receivers.delete(this.#id);
      this.#isComplete = true;
      this.dispatchEvent(new Event("load"));
    }
  }

  /** Show the fallback, unless a picture is shown. @param {string} message */
  #fail(message) {
    receivers.delete(this.#id);
    this.#isComplete = true;
    if (!this.#isShown) {
      this.#canvas.hidden = true;
      this.#slot.hidden = false;
      try {
        this.#showFallback();
      } catch (problem) {
        message += ` The fallback cannot be shown either: ${problem}`;
      }
    }
    this.#announce(message);
  }

  /** @throws {Error} if the fallback is of another origin */
  #showFallback() {
    const address = this.getAttribute("data-fallback");
    if (!address || this.children.length) return;
    const image = document.createElement("img");
    for (const name of ["alt", "width", "height"]) {
      const value = this.getAttribute(name);
      if (value !== null) image.setAttribute(name, value);
    }
    image.src = ownUrl(address, document.baseURI).href;
    this.append(image);
    this.#fallback = image;
  }

  /** @param {string} message */
  #announce(message) {
    this.dispatchEvent(new ErrorEvent("error", { message }));
  }
}

customElements.define("omega-img", OmegaImage);
