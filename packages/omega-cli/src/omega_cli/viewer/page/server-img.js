/**
 * The element `<server-img>`, a substitute for `<omega-img>` if browsers cannot decode. The server decodes.
 *
 * `facts` has to be set to the facts about the file in `src`, a URL in `pictures/`.
 */

/** The same as in worker.js: the share of a stream for the first picture, and the growth for each better one. */
const [FIRST_SHARE, GROWTH] = [0.04, 1.5];

class ServerImage extends HTMLElement {
  static observedAttributes = ["src", "data-max-bytes", "alt"];

  #canvas = document.createElement("canvas");
  #download = new AbortController();
  #isScheduled = false;
  bytes = 0;
  /** @type {any} */
  facts = null;

  constructor() {
    super();
    this.#canvas.part = "picture";
    this.#canvas.style.display = "block";
    this.attachShadow({ mode: "open" }).append(this.#canvas);
  }

  /** @param {string} name @param {string | null} before @param {string | null} after */
  attributeChangedCallback(name, before, after) {
    if (name === "alt") {
      this.setAttribute("role", "img");
      this.setAttribute("aria-label", after ?? "");
    } else if (before !== after && !this.#isScheduled) {
      this.#isScheduled = true;
      queueMicrotask(() => {
        this.#isScheduled = false;
        this.#download.abort();
        this.#download = new AbortController();
        if (!this.getAttribute("src")) return;
        this.#load(this.#download.signal).catch((problem) => {
          if (problem.name !== "AbortError") this.dispatchEvent(new ErrorEvent("error", { message: problem.message }));
        });
      });
    }
  }

  /** @param {ImageData} image */
  paint(image) {
    Object.assign(this.#canvas, { width: image.width, height: image.height });
    this.#canvas.getContext("2d")?.putImageData(image, 0, 0);
  }

  /** Count the arriving bytes, and show the pictures that the server decodes from them. @param {AbortSignal} signal */
  async #load(signal) {
    const { start, length } = this.facts;
    const src = this.getAttribute("src") ?? "";
    const most = Number(this.dataset.maxBytes) || Infinity;
    this.bytes = 0;
    const reader = /** @type {ReadableStream<Uint8Array>} */ ((await answer(src, signal)).body).getReader();
    let due = start + Math.max(1, FIRST_SHARE * length);
    /** @type {Promise<void> | null} */
    let decoding = null;
    while (this.bytes < most) {
      const { value } = await reader.read();
      if (!value) break;
      this.bytes = Math.min(most, this.bytes + value.length);
      if (this.bytes >= due && this.bytes < Math.min(most, start + length) && !decoding) {
        due = start + GROWTH * (this.bytes - start);
        decoding = this.#show(src, signal).finally(() => (decoding = null));
        decoding.catch(() => {}); // the last picture reports the error
      }
    }
    await decoding?.catch(() => {});
    await this.#show(src, signal);
    this.dispatchEvent(new Event("load"));
  }

  /** @param {string} src @param {AbortSignal} signal */
  async #show(src, signal) {
    const { start, length, width, height } = this.facts;
    const { bytes } = this;
    const address = src.replace("pictures/", "decoded/").replace(/\?.*/, `?bytes=${bytes}`);
    const data = new Uint8ClampedArray(await (await answer(address, signal)).arrayBuffer());
    const image = new ImageData(data, width, height);
    this.paint(image);
    const detail = { streamBytes: Math.min(length, bytes - start), length, bytes: this.bytes, image };
    this.dispatchEvent(new CustomEvent("omega-progress", { detail }));
  }
}

/** @param {string} address @param {AbortSignal} signal @returns {Promise<Response>} @throws {Error} if it fails */
async function answer(address, signal) {
  const response = await fetch(address, { signal });
  if (!response.ok) throw new Error(await response.text());
  return response;
}

customElements.define("server-img", ServerImage);
