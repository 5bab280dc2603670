/** Coders 3 and 4 of FORMAT.md: symbols with a fixed number of bits, without probabilities. */

import { OmegaError } from "./errors.js";

/** Decodes symbols of ⌈log2 S⌉ bits. `RangeDecoder` documents the methods. */
export class FixedDecoder {
  /** @type {Uint8Array} */
  #stream = new Uint8Array();
  #done = 0; // number of decoded bits

  /** @param {number} alphabet S */
  constructor(alphabet) {
    this.alphabet = alphabet;
    this.bits = 32 - Math.clz32(alphabet - 1);
  }

  /** @param {Uint8Array} stream all bytes of the stream so far */
  extend(stream) {
    this.#stream = stream;
  }

  /**
   * @param {ArrayLike<number>} tables (N,)
   * @param {number} first
   * @param {Int32Array} symbols (N,)
   * @returns {number} the index after the last symbol that the bytes contain
   */
  decode(tables, first, symbols) {
    const { alphabet, bits } = this;
    let index = first;
    for (; index < tables.length && this.#done + bits <= 8 * this.#stream.length; index++) {
      const symbol = this.next();
      if (symbol >= alphabet) {
        throw new OmegaError(`the stream is damaged: the symbol ${symbol} does not fit an alphabet of ${alphabet}.`);
      }
      symbols[index] = symbol;
    }
    return index;
  }

  /** @returns {number} the next symbol, most significant bit first */
  next() {
    let symbol = 0;
    for (let bit = 0; bit < this.bits; bit++, this.#done++) {
      symbol = 2 * symbol + ((this.#stream[this.#done >> 3] >> (7 - (this.#done & 7))) & 1);
    }
    return symbol;
  }
}

/** Decodes symbols of four bytes, the least significant first. */
export class RawDecoder extends FixedDecoder {
  bits = 32;

  next() {
    const swapped = super.next();
    return (((swapped & 255) << 24) | ((swapped & 0xff00) << 8) | ((swapped >>> 8) & 0xff00) | (swapped >>> 24)) >>> 0;
  }
}
