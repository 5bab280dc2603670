/** Coder 1 of FORMAT.md: range coding with intervals of 24 bits and a state of 64. */

const PRECISION = 2 ** 24;
const WORD = 2 ** 32;
const HALF = 2 ** 16;
const WINDOW = 8;

/**
 * The intervals of tables: symbol s of table t has those from t·(S + 1) + s to the next number.
 *
 * @param {ArrayLike<number>} cumulative (T, S + 1), of 2¹⁶, which may be stored as 0
 * @param {number} alphabet S
 * @returns {Uint32Array} (T, S + 1), of 2²⁴
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
 * The state has 64 bits, as two halves that doubles hold: `width`, that of the interval of all symbols so far, and
 * `beyond`, how far the number that is the stream lies beyond its start, as if zeros followed the last byte.
 */
export class RangeDecoder {
  /** @type {Uint8Array} */
  #stream = new Uint8Array();
  #length = 0;
  #end = WINDOW; // of the bytes that are part of the state
  #widthHigh = WORD - 1;
  #widthLow = WORD - 1;
  #beyondHigh = 0;
  #beyondLow = 0;
  #ended = false;

  /**
   * @param {Uint32Array} bounds of `intervals`
   * @param {number} alphabet S
   */
  constructor(bounds, alphabet) {
    this.bounds = bounds;
    this.alphabet = alphabet;
  }

  /**
   * @param {Uint8Array} stream all bytes of it so far
   * @param {boolean} ended whether they are all that it has; zeros follow
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
   * Decode symbols, as many as are determined.
   *
   * @param {ArrayLike<number>} tables (N,), of each symbol
   * @param {number} first the place in `tables` of the first
   * @param {Int32Array} symbols (N,), which are written from `first` on
   * @returns {number} the place after the last that is determined
   */
  decode(tables, first, symbols) {
    const { bounds, alphabet } = this;
    const stream = this.#stream;
    let [widthHigh, widthLow, beyondHigh, beyondLow] = [
      this.#widthHigh,
      this.#widthLow,
      this.#beyondHigh,
      this.#beyondLow,
    ];
    let end = this.#end;
    let place = first;
    for (; place < tables.length; place++) {
      const unknown = this.#ended ? 0 : Math.max(0, end - this.#length);
      if (unknown >= WINDOW) break;
      const unit = widthHigh * 256 + Math.floor(widthLow / PRECISION);
      const unitHigh = Math.floor(unit / HALF);
      const unitLow = unit - unitHigh * HALF;
      const start = tables[place] * (alphabet + 1);
      // rounded, the share may be off by one: the symbol before or after it is found by exact arithmetic below
      const share = (beyondHigh * WORD + beyondLow) / unit;
      let low = 0;
      let high = alphabet;
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (bounds[start + middle] <= share) low = middle;
        else high = middle;
      }
      let symbol = low;
      let restHigh = 0;
      let restLow = 0;
      for (;;) {
        const bound = bounds[start + symbol];
        // unit · bound, of up to 64 bits, in halves
        const product = unitHigh * bound;
        const upper = Math.floor(product / HALF);
        const lower = (product - upper * HALF) * HALF + unitLow * bound;
        const carry = Math.floor(lower / WORD);
        restHigh = beyondHigh - upper - carry;
        restLow = beyondLow - (lower - carry * WORD);
        if (restLow < 0) {
          restLow += WORD;
          restHigh -= 1;
        }
        if (restHigh >= 0 || symbol === 0) break;
        symbol--;
      }
      let newHigh = 0;
      let newLow = 0;
      for (;;) {
        const count = bounds[start + symbol + 1] - bounds[start + symbol];
        const product = unitHigh * count;
        const upper = Math.floor(product / HALF);
        const lower = (product - upper * HALF) * HALF + unitLow * count;
        const carry = Math.floor(lower / WORD);
        newHigh = upper + carry;
        newLow = lower - carry * WORD;
        if (restHigh < newHigh || (restHigh === newHigh && restLow < newLow)) break;
        if (++symbol === alphabet) break;
        restHigh -= newHigh;
        restLow -= newLow;
        if (restLow < 0) {
          restLow += WORD;
          restHigh -= 1;
        }
      }
      if (symbol === alphabet) break; // what no encoder writes
      if (unknown > 0) {
        // determined only if the largest number that begins with these bytes is in the interval, too
        const mostLow = restLow + (unknown < 4 ? 256 ** unknown - 1 : WORD - 1);
        const carry = mostLow >= WORD ? 1 : 0;
        const mostHigh = restHigh + carry + (unknown > 4 ? 256 ** (unknown - 4) - 1 : 0);
        if (!(mostHigh < newHigh || (mostHigh === newHigh && mostLow - carry * WORD < newLow))) break;
      }
      symbols[place] = symbol;
      if (newHigh > 0) {
        [widthHigh, widthLow, beyondHigh, beyondLow] = [newHigh, newLow, restHigh, restLow];
      } else {
        widthHigh = newLow;
        widthLow = 0;
        beyondHigh = restLow;
        beyondLow = 0;
        for (let at = end; at < end + 4; at++) beyondLow = beyondLow * 256 + (at < this.#length ? stream[at] : 0);
        end += 4;
      }
    }
    [this.#widthHigh, this.#widthLow, this.#beyondHigh, this.#beyondLow] = [
      widthHigh,
      widthLow,
      beyondHigh,
      beyondLow,
    ];
    this.#end = end;
    return place;
  }
}
