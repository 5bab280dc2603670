/** The page of `omega view`. It shows pictures while they arrive, and after any number of bytes. */

import "./omega/omega-img.js";
import "./server-img.js";

/** The maximum size of the cache of decoded pictures, in bytes. The slider shows cached pictures at once. */
const MAX_KEPT = 2 ** 28;
/** The most memory that decoding a file may take, in MiB; the same as for `omega decompress`. */
const MAX_MEMORY = 4096;
/** Pictures with shorter sides, in pixels, are enlarged. */
const SMALL_SIDE = 200;

/** @param {string} id */
const at = (id) => /** @type {any} */ (document.getElementById(id));
const [stage, message, cut] = ["stage", "message", "cut"].map(at);
const speeds = Array.from(document.getElementsByName("speed"), (input) => /** @type {HTMLInputElement} */ (input));

/**
 * @typedef {object} Facts the facts about a file
 * @property {string} name
 * @property {number} bytes
 * @property {number} start the offset of the stream in the file
 * @property {number} length the number of bytes of the stream
 * @property {number} width
 * @property {number} height
 * @property {number} pixels
 * @property {boolean} original whether the original was found
 * @property {string} [model] the URL of the folder of its model
 * @property {string} [problem] why the picture cannot be shown
 */

/** @type {{ pictures: Facts[], whyNotHere: string }} */
const { pictures, whyNotHere } = await (await fetch("pictures.json")).json();
const picture = /** @type {any} */ (document.createElement(whyNotHere ? "server-img" : "omega-img"));
const comparison = new Worker(new URL("psnr.js", import.meta.url), { type: "module" });

let current = 0;
/** The bytes of the stream that the slider selects; null while the file arrives. @type {number | null} */
let wanted = null;
let isDecoding = false;
let requests = 0;
/** The cached pictures of the current file, by the bytes of the stream. @type {Map<number, { image: ImageData, psnr?: number }>} */
const kept = new Map();

/** @param {number} value @param {number} [digits] digits after the point */
const formatted = (value, digits = 0) => value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** Show another file. @param {number} index */
function select(index) {
  current = Math.max(0, Math.min(pictures.length - 1, index));
  kept.clear();
  const facts = pictures[current];
  const { name, width, height } = facts;
  document.title = at("name").textContent = name;
  at("facts").textContent = `${width} × ${height}`;
  picture.setAttribute("alt", name);
  if (facts.model) picture.dataset.model = facts.model;
  picture.facts = facts;
  const scale = Math.max(1, Math.floor(SMALL_SIDE / Math.max(width, height)));
  stage.classList.toggle("enlarged", scale > 1);
  for (const [key, value] of Object.entries({ width, height, scale })) stage.style.setProperty(`--${key}`, value);
  at("files").querySelectorAll("button").forEach((/** @type {HTMLElement} */ button, /** @type {number} */ i) => {
    button.ariaCurrent = i === current ? "true" : null;
    const list = at("files");
    if (i === current && list.scrollHeight > list.clientHeight) button.scrollIntoView({ block: "nearest" });
  });
  play();
}

/** Load the file at the selected speed. */
function play() {
  wanted = null;
  const { width, height, problem } = pictures[current];
  picture.paint(problem === undefined ? new ImageData(width, height) : new ImageData(1, 1));
  tellQuality(undefined);
  tellBytes(0);
  const speed = speeds.find((input) => input.checked)?.value ?? "0";
  load(`rate=${1000 * Number(speed)}`);
  if (problem === undefined) requestAnimationFrame(follow);
}

/** @param {string} query @param {number} [length] the bytes of the stream to load. Default: all */
function load(query, length) {
  const { start, problem } = pictures[current];
  say(problem ?? "", problem !== undefined);
  isDecoding = problem === undefined;
  if (problem !== undefined) {
    picture.removeAttribute("src"); // bytes that still arrive belong to another file
    return;
  }
  if (length === undefined || length === pictures[current].length) delete picture.dataset.maxBytes;
  else picture.dataset.maxBytes = start + length;
  picture.setAttribute("src", `pictures/${current}?${query}&request=${++requests}`);
  const request = requests;
  setTimeout(() => isDecoding && !kept.size && request === requests && say("decoding …"), 400);
}

/** Show the number of bytes while they arrive. */
function follow() {
  if (wanted !== null) return;
  tellBytes(Math.max(0, Math.min(picture.bytes - pictures[current].start, pictures[current].length)));
  if (isDecoding) requestAnimationFrame(follow);
}

/** Show the picture of the first bytes of the stream; until it is cached, show the next coarser one. */
function showCut() {
  if (wanted === null) return;
  const known = [...kept.keys()].sort((a, b) => a - b);
  const nearest = known.findLast((length) => length <= /** @type {number} */ (wanted)) ?? known[0];
  if (nearest !== undefined) {
    picture.paint(kept.get(nearest)?.image);
    tellQuality(nearest);
  }
  if (nearest !== wanted && !isDecoding) load("", wanted);
}

/** Cache a picture that is shown, and display its quality. @param {CustomEvent} event */
function received({ detail: { streamBytes, image } }) {
  if (!kept.has(streamBytes)) {
    const bytes = image.data.length;
    for (const first of kept.keys()) if ((kept.size + 1) * bytes > MAX_KEPT) kept.delete(first);
    kept.set(streamBytes, { image });
    if (pictures[current].original) comparison.postMessage({ index: current, streamBytes, data: image.data });
  }
  say("");
  if (wanted === null || wanted === streamBytes) tellQuality(streamBytes);
  else showCut();
}

comparison.addEventListener("message", ({ data: { index, streamBytes, psnr } }) => {
  const compared = kept.get(streamBytes);
  if (index !== current || !compared) return;
  compared.psnr = psnr;
  if (shownBytes === streamBytes) tellQuality(streamBytes);
});

/** The number of bytes of the stream in the picture that is shown. @type {number | undefined} */
let shownBytes;

/** @param {number | undefined} streamBytes */
function tellQuality(streamBytes) {
  shownBytes = streamBytes;
  const { psnr } = (streamBytes !== undefined && kept.get(streamBytes)) || {};
  at("quality").textContent = psnr === undefined ? "–" : psnr === Infinity ? "∞ dB" : `${formatted(psnr, 2)} dB`;
}

/** @param {number} streamBytes */
function tellBytes(streamBytes) {
  const { bytes, start, length, pixels } = pictures[current];
  const there = streamBytes < length ? start + streamBytes : bytes;
  at("bytes").innerHTML = `${formatted(there)} <small>of ${formatted(bytes)}</small>`;
  at("rate").textContent = formatted((8 * there) / pixels, 3);
  if (wanted === null) cut.value = Math.round((100 * streamBytes) / Math.max(1, length));
  cut.setAttribute("aria-valuetext", `${formatted(there)} of ${formatted(bytes)} bytes`);
}

/** @param {string} text @param {boolean} [isProblem] */
function say(text, isProblem = false) {
  message.textContent = text || (whyNotHere && `decoded by the command, not by this browser: ${whyNotHere}`);
  message.classList.toggle("problem", isProblem);
}

/** Finish after the last picture. */
function ended() {
  isDecoding = false;
  if (wanted === null) tellBytes(Math.min(picture.bytes - pictures[current].start, pictures[current].length));
  else showCut();
}

picture.addEventListener("omega-progress", received);
picture.addEventListener("load", ended);
picture.addEventListener("error", (/** @type {ErrorEvent} */ event) => {
  isDecoding = false;
  say(event.message, true);
});
speeds.forEach((input) => input.addEventListener("change", play));
at("again").addEventListener("click", play);
cut.addEventListener("input", () => {
  const { length } = pictures[current];
  wanted = Math.max(Math.min(1, length), Math.round((length * cut.valueAsNumber) / 100)); // a picture needs a byte
  tellBytes(wanted);
  showCut();
});

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isOfInput = event.target instanceof HTMLInputElement;
  const isOfSpeed = isOfInput && event.target !== cut;
  const steps = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const files = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (event.key.toLowerCase() === "p") play();
  else if (files && !isOfSpeed && pictures.length > 1) select(current + files);
  else if (steps && !isOfInput) {
    cut.valueAsNumber += steps;
    cut.dispatchEvent(new Event("input"));
  } else return;
  event.preventDefault();
});

if (pictures.length > 1) {
  at("files").hidden = false;
  pictures.forEach(({ name, bytes }, i) => {
    const button = document.createElement("button");
    const [label, size] = [document.createElement("span"), document.createElement("small")];
    label.textContent = button.title = name;
    size.textContent = bytes < 1e5 ? `${formatted(bytes / 1e3, 1)} kB` : `${formatted(bytes / 1e3)} kB`;
    button.append(label, size);
    button.addEventListener("click", () => {
      select(i);
      stage.scrollIntoView({ block: "nearest" }); // on phones, the list is below
    });
    at("files").append(button);
  });
} else at("file-keys").hidden = true;
picture.dataset.maxMemory = MAX_MEMORY;
stage.append(picture);
select(0);
