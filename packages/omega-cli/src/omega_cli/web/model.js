/** A model that `omega export-onnx` wrote: `coding.bin` and `synthesis.onnx`, as ONNX.md specifies them. */

import { crc32 } from "./bytes.js";
import { OmegaError } from "./errors.js";
import { netArrays } from "./net_arrays.js";
import { NetPrior } from "./net_prior.js";
import { NoPrior, RegressionPrior, StaticPrior } from "./tables.js";

const MAGIC = [0xce, 0xa9, 0x63, 0x6f, 0x64, 0x69, 0x6e, 0x67];
const VERSION = 1;
const HEADER_AT = 16;
const TYPES = {
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
};

/** @typedef {import("./container.js").Size} Size */

/**
 * How a model for pictures of any size divides them.
 *
 * @typedef {object} Blocks
 * @property {number} stride the side, in pixels, of the block of a position
 * @property {number} smallest the least height and width of a latent, in positions
 * @property {number} synthesis_halo how many positions around it a block of pixels depends on
 */

/**
 * @typedef {object} CodingHeader
 * @property {string} fingerprint
 * @property {{ channels: number, alphabet: number }} model
 * @property {number} colors
 * @property {Blocks | null} blocks
 * @property {{ image: [number, number], latent: [number, number] } | null} one_size
 * @property {number} transformed
 * @property {{ name: string, length: number, crc32: number }} synthesis
 * @property {Record<string, { type: keyof typeof TYPES, shape: number[], offset: number }>} prior
 */

/** The contents of `coding.bin`, with which symbols are decoded. */
export class CodingModel {
  /**
   * @param {Uint8Array} data the content of `coding.bin`
   * @throws {OmegaError} for damaged bytes, or another format or version
   */
  constructor(data) {
    const header = readHeader(data);
    /** The fingerprint of the model, 64 hexadecimal digits. */
    this.fingerprint = header.fingerprint;
    /** C, the number of channels. */
    this.channels = header.model.channels;
    /** S, the number of different symbols. */
    this.alphabet = header.model.alphabet;
    /** 1 for gray, 3 for RGB. */
    this.colors = header.colors;
    this.blocks = header.blocks;
    this.oneSize = header.one_size;
    /** The bytes of memory for each position that is synthesized at once. */
    this.transformed = header.transformed;
    /** The name, length and checksum of the file with the synthesis. */
    this.synthesis = header.synthesis;
    const start = HEADER_AT + new DataView(data.buffer, data.byteOffset).getUint32(12, true);
    this.prior = priorOf(new Arrays(header.prior, data.subarray(start, -4)), this.channels, this.alphabet);
  }

  /**
   * @param {Size} size the size of a picture, in pixels
   * @returns {Size} the size of its latent, in positions
   * @throws {OmegaError} for a size that the model does not take
   */
  latentSize({ height, width }) {
    if (this.blocks) {
      const { stride, smallest } = this.blocks;
      const positions = (/** @type {number} */ side) => Math.max(smallest, Math.ceil(side / stride));
      return { height: positions(height), width: positions(width) };
    }
    const { image, latent } = /** @type {NonNullable<CodingHeader["one_size"]>} */ (this.oneSize);
    if (height !== image[0] || width !== image[1]) {
      throw new OmegaError(`this model takes pictures of ${image[1]}×${image[0]} pixels, not ${width}×${height}.`);
    }
    return { height: latent[0], width: latent[1] };
  }

  /**
   * @param {Uint8Array} content the content of the file with the synthesis
   * @throws {OmegaError} if it is the content of another file
   */
  checkSynthesis(content) {
    if (content.length !== this.synthesis.length || crc32(content) !== this.synthesis.crc32) {
      throw new OmegaError(`${this.synthesis.name} is damaged or of another model than coding.bin.`);
    }
  }
}

/** The arrays of a prior, as 32-bit integers. */
export class Arrays {
  #entries;
  #content;
  /** @type {Map<string, Int32Array>} */
  #read = new Map();

  /**
   * @param {CodingHeader["prior"]} entries
   * @param {Uint8Array} content the bytes of the file from the first array on
   */
  constructor(entries, content) {
    this.#entries = entries;
    this.#content = content;
  }

  /** Whether there are no arrays. */
  get none() {
    return Object.keys(this.#entries).length === 0;
  }

  /** @param {string} name */
  has(name) {
    return Object.hasOwn(this.#entries, name);
  }

  /**
   * @param {string} name
   * @param {(number | null)[]} shape the required shape, with null for any length
   * @returns {Int32Array} its numbers, row after row
   * @throws {OmegaError} if it is missing or incomplete, or has another shape or type
   */
  get(name, shape) {
    const read = this.#read.get(name);
    if (read) return read;
    const entry = this.has(name) ? this.#entries[name] : null;
    const fits = entry?.shape.length === shape.length && shape.every((side, i) => [null, entry.shape[i]].includes(side));
    if (!entry || !fits || !Object.hasOwn(TYPES, entry.type)) throw new OmegaError(`the model has no valid array ${name}.`);
    const numbers = TYPES[entry.type];
    const count = entry.shape.reduce((product, side) => product * side, 1);
    const end = entry.offset + count * numbers.BYTES_PER_ELEMENT;
    if (!(entry.offset >= 0 && end <= this.#content.length)) throw new OmegaError(`the model's array ${name} is cut off.`);
    const found = Int32Array.from(new numbers(this.#content.slice(entry.offset, end).buffer));
    this.#read.set(name, found);
    return found;
  }

  /**
   * @param {string} name the name of an array that was read
   * @param {number} least
   * @param {number} most
   * @throws {OmegaError} if a number is below `least` or above `most`
   */
  check(name, least, most) {
    const numbers = this.#read.get(name) ?? new Int32Array();
    if (!numbers.every((number) => number >= least && number <= most)) {
      throw new OmegaError(`the model is damaged: ${name} has numbers out of range.`);
    }
  }
}

/**
 * @param {Arrays} arrays
 * @param {number} channels
 * @param {number} alphabet
 * @returns {import("./tables.js").Prior}
 */
function priorOf(arrays, channels, alphabet) {
  if (arrays.none) return new NoPrior(channels, alphabet);
  if (arrays.has("tables")) return new NetPrior(netArrays(arrays, channels, alphabet));
  return new (arrays.has("marks") ? RegressionPrior : StaticPrior)(arrays, channels, alphabet);
}

/**
 * @param {Uint8Array} data
 * @returns {CodingHeader}
 */
function readHeader(data) {
  if (data.length < HEADER_AT + 4 || !MAGIC.every((byte, i) => data[i] === byte)) {
    throw new OmegaError("coding.bin is not what `omega export-onnx` writes: export the model again.");
  }
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const version = view.getUint32(8, true);
  if (version !== VERSION) throw new OmegaError(`coding.bin has version ${version}; this page reads ${VERSION}.`);
  if (view.getUint32(data.length - 4, true) !== crc32(data.subarray(0, -4))) {
    throw new OmegaError("coding.bin is damaged: its checksum does not match.");
  }
  return JSON.parse(new TextDecoder().decode(data.subarray(HEADER_AT, HEADER_AT + view.getUint32(12, true))));
}
