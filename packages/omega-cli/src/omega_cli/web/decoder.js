/**
 * Decodes an `.omega` file while its bytes arrive:
 *
 *     const model = await OmegaModel.load("model/", ort);
 *     const decoder = new OmegaDecoder(model);
 *     for await (const bytes of response.body) {
 *       decoder.push(bytes);
 *       if (decoder.header) show(await decoder.picture());
 *     }
 *     decoder.end();
 */

import { alphaPlanes } from "./alpha.js";
import { ArrivingFile } from "./container.js";
import { CutOffError, OmegaError, damaged } from "./errors.js";
import { SymbolDecoder } from "./symbols.js";
import { positionsAtOnce, synthesized } from "./synthesis.js";

export { OmegaError } from "./errors.js";
export { OmegaModel } from "./onnx_model.js";

/** The default limit on the bytes that decoding a file may take. */
export const MAX_MEMORY = 2 ** 30;
const MAX_SIDE_WITHOUT_TILES = 2048;
const BYTES_OF_PIXEL = 8; // RGBA, and alpha while it is decompressed
const BYTES_OF_SYMBOL = 2;

/** @typedef {import("./container.js").Header} Header */
/** @typedef {import("./container.js").Size} Size */

/**
 * The arguments of `new ImageData(data, width, height)`.
 *
 * @typedef {{ width: number, height: number, data: Uint8ClampedArray<ArrayBuffer> }} Picture
 */

/** Decodes a file. Its methods throw only OmegaError; after an error, all later calls throw it again. */
export class OmegaDecoder {
  #model;
  #maxMemory;
  #file = new ArrivingFile();
  /** @type {SymbolDecoder | null} */
  #decoder = null;
  /** @type {Promise<Uint8Array[] | null> | null} */
  #alpha = null;
  /** @type {OmegaError | null} */
  #problem = null;

  /**
   * @param {import("./onnx_model.js").OmegaModel} model the model that the file was made with
   * @param {{ maxMemory?: number }} [options] `maxMemory`: the most bytes that decoding may take
   */
  constructor(model, { maxMemory = MAX_MEMORY } = {}) {
    this.#model = model;
    this.#maxMemory = maxMemory;
  }

  /** @returns {Header | null} the header; null until it has arrived completely */
  get header() {
    return this.#file.header;
  }

  /** The number of bytes of the stream that have arrived. */
  get streamBytes() {
    return this.#file.stream.length;
  }

  /** Whether the whole file has arrived and its checksum matches. */
  get whole() {
    return this.#file.whole;
  }

  /** @returns {import("./symbols.js").Latent[]} the symbols of each picture so far; empty until the header arrives */
  get latents() {
    return this.#decoder?.latents ?? [];
  }

  /**
   * Decode the symbols that further bytes determine.
   *
   * @param {Uint8Array} bytes the next bytes of the file, any number of them
   */
  push(bytes) {
    this.#guarded(() => {
      this.#file.push(bytes);
      const { header, stream, whole } = this.#file;
      if (header === null) return;
      this.#decoder ??= this.#started(header);
      this.#file.check();
      this.#decoder.decode(stream, whole && header.complete);
    });
  }

  /** Declare that no more bytes follow. If the file ends within its stream, the bytes that have arrived are decoded. */
  end() {
    this.#guarded(() => this.header ?? raise(new CutOffError()));
  }

  /**
   * Synthesize a picture from the symbols so far.
   *
   * @param {number} [index] the index of the picture in the file
   * @returns {Promise<Picture>}
   */
  async picture(index = 0) {
    const header = this.#guarded(() => this.header ?? raise(new CutOffError()));
    try {
      const size = header.sizes[index] ?? raise(new OmegaError(`the file has no picture ${index}.`));
      const { coding, graph } = this.#model;
      const options = { tile: header.tile, isGray: !header.mode.startsWith("RGB") };
      const data = await synthesized(coding, graph, this.latents[index], size, options);
      this.#alpha ??= header.alpha ? alphaPlanes(header.alpha, header.sizes) : Promise.resolve(null);
      const planes = await this.#alpha;
      planes?.[index].forEach((alpha, i) => (data[4 * i + 3] = alpha));
      return { ...size, data };
    } catch (problem) {
      return this.#guarded(() => raise(problem));
    }
  }

  /**
   * @param {Header} header
   * @returns {SymbolDecoder}
   */
  #started(header) {
    const { coding } = this.#model;
    if (!coding.fingerprint.startsWith(header.fingerprint)) {
      const own = coding.fingerprint.slice(0, 8);
      throw new OmegaError(`this file was made with the model ${header.fingerprint}, not ${own}.`);
    }
    if (header.mode.startsWith("RGB") && coding.colors === 1) {
      throw damaged("its mode is RGB, its model is for gray");
    }
    const longest = Math.max(...header.sizes.flatMap(({ height, width }) => [height, width]));
    if (coding.blocks && header.tile === null && longest > MAX_SIDE_WITHOUT_TILES) {
      throw damaged(`${longest} pixels a side need tiles`);
    }
    if (!coding.blocks && header.tile !== null) throw new OmegaError("the file has tiles, but its model takes none.");
    const sizes = header.sizes.map((size) => coding.latentSize(size));
    const needed = this.#memory(header, sizes);
    if (needed > this.#maxMemory) {
      const [most, own] = [this.#maxMemory, needed].map((bytes) => Math.ceil(bytes / 2 ** 20));
      throw new OmegaError(`decoding the file may take ${own} MiB of memory, more than ${most}.`);
    }
    return new SymbolDecoder(coding, header.coder, sizes);
  }

  /**
   * @param {Header} header
   * @param {Size[]} latents the sizes of the latents
   * @returns {number} an upper bound of the bytes that decoding takes
   */
  #memory(header, latents) {
    const { coding } = this.#model;
    const transformed = Math.max(...latents.map((size) => positionsAtOnce(coding, size, header.tile)));
    const pixels = header.sizes.reduce((sum, { height, width }) => sum + height * width, 0);
    const ofSymbols = latents.reduce((sum, { height, width }) => {
      return sum + BYTES_OF_SYMBOL * coding.channels * height * width + coding.prior.bytes(height, width);
    }, 0);
    return pixels * BYTES_OF_PIXEL + ofSymbols + transformed * coding.transformed;
  }

  /**
   * @template T
   * @param {() => T} action
   * @returns {T}
   */
  #guarded(action) {
    if (this.#problem) throw this.#problem;
    try {
      return action();
    } catch (problem) {
      const isOwn = problem instanceof OmegaError;
      this.#problem = isOwn ? problem : new OmegaError(`the picture cannot be decoded: ${problem}`, { cause: problem });
      throw this.#problem;
    }
  }
}

/** @param {unknown} problem @returns {never} */
function raise(problem) {
  throw problem;
}
