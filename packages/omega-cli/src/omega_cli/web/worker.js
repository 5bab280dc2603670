/**
 * A web worker that decodes pictures while they arrive, one synthesis at a time.
 *
 * It receives messages (`Request`) with the `id` of a picture: `open`, then any number of `push`, then `end`; or
 * `close` at any time. It sends messages (`Reply`): `picture` each time that enough bytes for a better picture have
 * arrived, or `error`. Nothing follows a `picture` with `last` true.
 */

import { OmegaDecoder, OmegaError, OmegaModel } from "./decoder.js";

/** The share of a stream that the first picture needs, and the growth of the stream for each better picture. */
const [FIRST_SHARE, GROWTH] = [0.04, 1.5];
const MAX_THREADS = 4;

/**
 * @typedef {{ type: "open", id: number, model: string, runtime: string, maxMemory?: number }
 *   | { type: "push", id: number, bytes: Uint8Array }
 *   | { type: "end", id: number }
 *   | { type: "close", id: number }} Request
 * `model` and `runtime` are the URLs of the folders of an exported model and of onnxruntime-web; `maxMemory` is an
 * option of OmegaDecoder.
 */

/**
 * @typedef {import("./decoder.js").Picture & { type: "picture", id: number, streamBytes: number, length: number,
 *   whole: boolean, last: boolean }} PictureReply
 * `streamBytes` of the `length` bytes of the stream are decoded; `whole` is true if the file has arrived completely.
 *
 * @typedef {PictureReply | { type: "error", id: number, message: string }} Reply
 */

/**
 * @typedef {object} Arrival
 * @property {OmegaDecoder | null} decoder null until the model is loaded
 * @property {Uint8Array[]} waiting the bytes that arrived before the model
 * @property {boolean} ended whether no more bytes follow
 * @property {number} shown the number of bytes of the stream in the last picture; −1 before the first
 */

/** @type {Map<number, Arrival>} */
const arrivals = new Map();
/** @type {Map<string, Promise<OmegaModel>>} */
const models = new Map();
let isWorking = false;
/** The number of failed attempts to load onnxruntime-web. */
let failures = 0;

addEventListener("message", async ({ data }) => {
  /** @type {Request} */
  const request = data;
  try {
    if (request.type === "open") await open(request);
    else if (request.type === "close") arrivals.delete(request.id);
    else arrived(request);
    await work();
  } catch (problem) {
    fail(request.id, problem);
  }
});

/** @param {{ id: number, model: string, runtime: string, maxMemory?: number }} request */
async function open({ id, model, runtime, maxMemory }) {
  /** @type {Arrival} */
  const arrival = { decoder: null, waiting: [], ended: false, shown: -1 };
  arrivals.set(id, arrival);
  const key = `${model} ${runtime}`;
  if (!models.has(key)) models.set(key, load(model, runtime));
  const loaded = await /** @type {Promise<OmegaModel>} */ (models.get(key)).catch((problem) => {
    models.delete(key); // the next attempt may succeed
    throw problem;
  });
  arrival.decoder = new OmegaDecoder(loaded, { maxMemory });
  arrival.waiting.forEach((bytes) => arrival.decoder?.push(bytes));
  arrival.waiting = [];
  if (arrival.ended) arrival.decoder.end();
}

/** @param {{ type: "push", id: number, bytes: Uint8Array } | { type: "end", id: number }} request */
function arrived(request) {
  const arrival = arrivals.get(request.id);
  if (arrival === undefined) return; // closed or failed
  if (request.type === "end") {
    arrival.ended = true;
    arrival.decoder?.end();
  } else if (arrival.decoder) {
    arrival.decoder.push(request.bytes);
  } else {
    arrival.waiting.push(request.bytes);
  }
}

/** Synthesize pictures as long as there are better ones. Between two, bytes that arrived meanwhile are decoded. */
async function work() {
  if (isWorking) return;
  isWorking = true;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve)); // waiting messages come first
    const next = better();
    if (!next) break;
    const [id, arrival, decoder] = next;
    try {
      await show(id, arrival, decoder);
    } catch (problem) {
      fail(id, problem);
    }
  }
  isWorking = false;
}

/** @returns {[number, Arrival, OmegaDecoder] | undefined} a picture that can be shown better than before */
function better() {
  for (const [id, arrival] of arrivals) {
    const { decoder, ended, shown } = arrival;
    if (!decoder?.header) continue;
    const { streamBytes, whole } = decoder;
    const enough = Math.max(FIRST_SHARE * decoder.header.length, GROWTH * shown);
    if (ended || whole || (streamBytes > 0 && streamBytes >= enough)) return [id, arrival, decoder];
  }
}

/** @param {number} id @param {Arrival} arrival @param {OmegaDecoder} decoder */
async function show(id, arrival, decoder) {
  const { streamBytes, whole } = decoder;
  const last = whole || arrival.ended;
  if (last) arrivals.delete(id);
  const picture = await decoder.picture();
  arrival.shown = streamBytes;
  const length = decoder.header?.length ?? 0;
  reply({ type: "picture", id, ...picture, streamBytes, length, whole, last }, [picture.data.buffer]);
}

/** @param {number} id @param {unknown} problem */
function fail(id, problem) {
  if (arrivals.delete(id) || problem instanceof OmegaError) {
    reply({ type: "error", id, message: problem instanceof Error ? problem.message : String(problem) });
  }
}

/** @param {Reply} message @param {Transferable[]} [transferred] */
function reply(message, transferred = []) {
  postMessage(message, { transfer: transferred });
}

/**
 * @param {string} model
 * @param {string} runtime
 * @returns {Promise<OmegaModel>}
 */
async function load(model, runtime) {
  // browsers remember URLs that could not be imported; another query makes another URL
  const address = new URL(`ort.wasm.min.mjs${failures ? `?attempt=${failures}` : ""}`, runtime);
  const ort = await import(address.href).catch((problem) => {
    failures++;
    throw new OmegaError(`cannot load onnxruntime-web at ${runtime}: ${problem}`);
  });
  ort.env.wasm.wasmPaths = runtime;
  ort.env.wasm.numThreads = crossOriginIsolated ? Math.min(MAX_THREADS, navigator.hardwareConcurrency) : 1;
  return OmegaModel.load(model, ort, { mode: "same-origin" });
}
