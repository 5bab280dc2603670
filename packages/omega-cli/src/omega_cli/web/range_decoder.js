/** Coder 1 of FORMAT.md: range coding with intervals of 24 bits and a state of 64 bits. */

const PRECISION = 2 ** 24;
const WORD = 2 ** 32;
const HALF = 2 ** 16;
const WINDOW = 8;

/**
 * Return the bounds of intervals. Symbol s of table t has the interval from entry t·(S + 1) + s to the next one.
 *
 * @param {ArrayLike<number>} cumulative (T, S + 1), from 0 to 2¹⁶, which may be stored as 0
 * @param {number} alphabet S
 * @returns {Uint32Array} (T, S + 1), from 0 to 2²⁴
 */
export function intervals(cumulative, alphabet) {
  const found = new Uint32Array(cumulative.length);
  for (let i = 0; i < found.length; i++) {
    const symbol = i % (alphabet + 1);
    const count = symbol === alphabet ? HALF : cumulative[i];
    found[i] = Math.floor((count * (PRECISION - alphabet)) / HALF) + symbol;
  }
  return found;
}

/**
 * Decodes the symbols that the bytes of a stream so far determine.
 *
 * `width` is the width of the interval of all symbols so far. `beyond` is the distance of the stream, as a number that
 * continues with zeros, from the start of the interval. Both have 64 bits, in two halves that doubles hold exactly.
 */
export class RangeDecoder {
  /** @type {Uint8Array} */
  #stream = new Uint8Array();
  #length = 0;
  #end = WINDOW; // end of the bytes that are part of the state
  #widthHigh = WORD - 1;
  #widthLow = WORD - 1;
  #beyondHigh = 0;
  #beyondLow = 0;
  #ended = false;

  /**
   * @param {Uint32Array} bounds the result of `intervals`
   * @param {number} alphabet S
   */
  constructor(bounds, alphabet) {
    this.bounds = bounds;
    this.alphabet = alphabet;
  }

  /**
   * @param {Uint8Array} stream all bytes of the stream so far
   * @param {boolean} ended whether these are all bytes of the stream, which zeros follow
   */
  extend(stream, ended) {
    for (let at = this.#length; at < Math.min(stream.length, this.#end); at++) {
      const fromEnd = this.#end - 1 - at;
      if (fromEnd < 4) this.#beyondLow += stream[at] * 256 ** fromEnd;
      else this.#beyondHigh += stream[at] * 256 ** (fromEnd - 4);
    }
    const carry = Math.floor(this.#beyondLow / WORD);
    this.#beyondHigh += carry;
    this.#beyondLow -= carry * WORD;
    this.#stream = stream;
    this.#length = stream.length;
    this.#ended = ended;
  }

  /**
   * Decode as many symbols as the bytes determine.
   *
   * @param {ArrayLike<number>} tables (N,), the table of each symbol
   * @param {number} first the index of the first symbol to decode
   * @param {Int32Array} symbols (N,), which are written from index `first` on
   * @returns {number} the index after the last symbol that is determined
   */
  decode(tables, first, symbols) {
    const { bounds, alphabet } = this;
    let [widthHigh, widthLow] = [this.#widthHigh, this.#widthLow];
    let [beyondHigh, beyondLow] = [this.#beyondHigh, this.#beyondLow];
    let index = first;
    for (; index < tables.length; index++) {
      const unknown = this.#ended ? 0 : Math.max(0, this.#end - this.#length);
      if (unknown >= WINDOW) break;
      const unit = widthHigh * 256 + Math.floor(widthLow / PRECISION);
      const start = tables[index] * (alphabet + 1);
      // the share is rounded, so the symbol may be off by one: exact products decide
      let symbol = this.#search(start, (beyondHigh * WORD + beyondLow) / unit);
      let [restHigh, restLow] = [0, 0];
      while (symbol < alphabet) {
        const bound = bounds[start + symbol];
        multiply(unit, bound);
        [restHigh, restLow] = [beyondHigh - productHigh, beyondLow - productLow];
        if (restLow < 0) [restHigh, restLow] = [restHigh - 1, restLow + WORD];
        if (restHigh < 0) {
          symbol--;
          continue;
        }
        multiply(unit, bounds[start + symbol + 1] - bound);
        if (isBelowProduct(restHigh, restLow)) break;
        symbol++;
      }
      if (symbol === alphabet) break; // no encoder writes this
      // the largest number that begins with these bytes has to be in the interval, too
      if (unknown > 0) {
        const low = restLow + (unknown < 4 ? 256 ** unknown - 1 : WORD - 1);
        const high = restHigh + (unknown > 4 ? 256 ** (unknown - 4) - 1 : 0);
        if (!(low < WORD ? isBelowProduct(high, low) : isBelowProduct(high + 1, low - WORD))) break;
      }
      symbols[index] = symbol;
      if (productHigh > 0) {
        [widthHigh, widthLow, beyondHigh, beyondLow] = [productHigh, productLow, restHigh, restLow];
      } else {
        [widthHigh, widthLow, beyondHigh, beyondLow] = [productLow, 0, restLow, this.#nextWord()];
      }
    }
    [this.#widthHigh, this.#widthLow] = [widthHigh, widthLow];
    [this.#beyondHigh, this.#beyondLow] = [beyondHigh, beyondLow];
    return index;
  }

  /**
   * @param {number} start the index of the intervals of a table
   * @param {number} share
   * @returns {number} the last symbol whose interval does not begin beyond the share
   */
  #search(start, share) {
    let [low, high] = [0, this.alphabet];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.bounds[start + middle] <= share) low = middle;
      else high = middle;
    }
    return low;
  }

  /** @returns {number} the next four bytes of the stream, with zeros for missing ones */
  #nextWord() {
    let word = 0;
    for (let at = this.#end; at < this.#end + 4; at++) word = word * 256 + (at < this.#length ? this.#stream[at] : 0);
    this.#end += 4;
    return word;
  }
}

// the result of `multiply`, of up to 64 bits; variables avoid a new array for each symbol
let [productHigh, productLow] = [0, 0];

/**
 * @param {number} unit an integer of up to 40 bits
 * @param {number} factor an integer of up to 24 bits, or 2²⁴
 */
function multiply(unit, factor) {
  const unitHigh = Math.floor(unit / HALF);
  const product = unitHigh * factor;
  const upper = Math.floor(product / HALF);
  const lower = (product - upper * HALF) * HALF + (unit - unitHigh * HALF) * factor;
  const carry = Math.floor(lower / WORD);
  productHigh = upper + carry;
  productLow = lower - carry * WORD;
}

/** @param {number} high @param {number} low @returns {boolean} */
const isBelowProduct = (high, low) => high < productHigh || (high === productHigh && low < productLow);
