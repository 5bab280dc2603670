/** Decodes the symbols of a file while its bytes arrive, each of them once. */

import { OmegaError } from "./errors.js";
import { FixedDecoder, RawDecoder } from "./fixed_decoder.js";
import { RangeDecoder } from "./range_decoder.js";

/** The value of a symbol that is not decoded. */
export const MISSING = -1;

/** @typedef {import("./container.js").Size} Size */
/** @typedef {import("./model.js").CodingModel} CodingModel */
/** @typedef {import("./tables.js").Symbols} Symbols */

/**
 * The symbols of one picture.
 *
 * @typedef {object} Latent
 * @property {Size} size its height and width, in positions
 * @property {Symbols} symbols (C, h, w), with MISSING for those that are not decoded
 */

/**
 * Symbols of all pictures that are coded at once, in the order of coding.
 *
 * @typedef {object} CodingStep
 * @property {Int32Array} indices (N,), their indices among the symbols of all pictures, one picture after the other
 * @property {Int32Array} tables (N,), the table of each symbol
 * @property {Int32Array} symbols (N,), to which decoded symbols are written
 */

/** Decodes the symbols of all pictures of a file. */
export class SymbolDecoder {
  #steps;
  #decoder;
  /** @type {CodingStep | undefined} */
  #step;
  #done = 0; // decoded symbols of the step
  #flat;

  /**
   * @param {CodingModel} model
   * @param {string} coder the qualified name of the coder
   * @param {Size[]} sizes the sizes of the latents, in positions
   */
  constructor(model, coder, sizes) {
    const lengths = sizes.map(({ height, width }) => model.channels * height * width);
    const count = lengths.reduce((sum, length) => sum + length, 0);
    this.#flat = new (model.alphabet <= 127 ? Int8Array : Int16Array)(count).fill(MISSING);
    /** @type {Latent[]} */
    this.latents = [];
    let start = 0;
    sizes.forEach((size, i) => {
      this.latents.push({ size, symbols: this.#flat.subarray(start, start + lengths[i]) });
      start += lengths[i];
    });
    this.#decoder = decoderOf(coder, model);
    this.#steps = codingSteps(model.prior, this.latents);
  }

  /**
   * Decode the symbols that the bytes so far determine.
   *
   * @param {Uint8Array} stream all bytes of the stream so far
   * @param {boolean} complete whether they contain all symbols
   * @throws {OmegaError} for damaged bytes, or if a complete stream lacks symbols
   */
  decode(stream, complete) {
    this.#decoder.extend(stream, complete);
    for (;;) {
      this.#step ??= this.#steps.next().value;
      if (!this.#step) return; // all symbols are decoded
      const { indices, tables, symbols } = this.#step;
      const end = this.#decoder.decode(tables, this.#done, symbols);
      for (let i = this.#done; i < end; i++) this.#flat[indices[i]] = symbols[i];
      this.#done = end;
      if (end < indices.length) {
        if (complete) throw new OmegaError("the stream is damaged: it lacks symbols.");
        return;
      }
      this.#step = undefined;
      this.#done = 0;
    }
  }
}

/**
 * @param {string} coder
 * @param {CodingModel} model
 * @returns {{
 *   extend(stream: Uint8Array, ended: boolean): void,
 *   decode(tables: Int32Array, first: number, symbols: Int32Array): number,
 * }}
 */
function decoderOf(coder, { prior, alphabet }) {
  if (coder === "omega-entropy/range" && prior.bounds.length) return new RangeDecoder(prior.bounds, alphabet);
  if (coder === "omega-entropy/fixed") return new FixedDecoder(alphabet);
  if (coder === "omega-entropy/raw") return new RawDecoder(alphabet);
  throw new OmegaError(`the file needs the coder ${coder}, which this page or the model does not support.`);
}

/**
 * @param {import("./tables.js").Prior} prior
 * @param {Latent[]} latents
 * @returns {Generator<CodingStep>}
 */
function* codingSteps(prior, latents) {
  const ofPictures = latents.map(({ symbols, size }) => prior.steps(symbols, size.height, size.width));
  const starts = latents.map(({ symbols }) => (symbols.byteOffset - latents[0].symbols.byteOffset) / symbols.BYTES_PER_ELEMENT);
  for (;;) {
    const parts = [];
    for (const steps of ofPictures) {
      const next = steps.next();
      if (next.done) return;
      parts.push(next.value);
    }
    yield inOrder(parts, starts, prior.ranks);
  }
}

/**
 * Sort symbols by their ranks. Symbols of one rank keep their order.
 *
 * @param {import("./tables.js").Step[]} parts the step of each picture
 * @param {number[]} starts the index of the first symbol of each picture
 * @param {number} ranks the number of ranks
 * @returns {CodingStep}
 */
function inOrder(parts, starts, ranks) {
  const ends = new Int32Array(ranks + 1); // once summed, the number of symbols of all lower ranks
  let count = 0;
  for (const part of parts) {
    for (let i = 0; i < part.ranks.length; i++) ends[part.ranks[i] + 1]++;
    count += part.ranks.length;
  }
  for (let rank = 0; rank < ranks; rank++) ends[rank + 1] += ends[rank];
  const [indices, tables] = [new Int32Array(count), new Int32Array(count)];
  parts.forEach((part, picture) => {
    for (let i = 0; i < part.ranks.length; i++) {
      const index = ends[part.ranks[i]]++;
      indices[index] = starts[picture] + part.indices[i];
      tables[index] = part.tables[i];
    }
  });
  return { indices, tables, symbols: new Int32Array(count) };
}
