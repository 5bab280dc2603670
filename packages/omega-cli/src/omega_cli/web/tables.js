/** Priors without a net, which select the table of each symbol as FORMAT.md specifies under "Tables" and "Contexts". */

import { around, besides, lattice } from "./lattice.js";
import { intervals } from "./range_decoder.js";

/** @typedef {import("./model.js").Arrays} Arrays */
/** @typedef {Int8Array | Int16Array} Symbols */

/**
 * The symbols of one picture whose tables are known at once.
 *
 * @typedef {object} Step
 * @property {Int32Array} indices (N,), their indices among the symbols (C, h, w) of the picture
 * @property {Int32Array} tables (N,), the table of each symbol
 * @property {Int32Array} ranks (N,), which determine the order of coding; symbols of one rank are coded in this order
 */

/**
 * Selects the tables of symbols. `steps` yields the steps in which the symbols (C, h, w) of a picture are coded. The
 * symbols of the steps so far have to be decoded when the next step is requested.
 *
 * @typedef {object} Prior
 * @property {number} alphabet S
 * @property {number} ranks the number of ranks
 * @property {Uint32Array} bounds the intervals of all tables: see `intervals`
 * @property {(symbols: Symbols, height: number, width: number) => Generator<Step>} steps
 * @property {(height: number, width: number) => number} bytes returns the memory for the steps of a picture, in bytes
 */

/** Tables that depend on the channel, or on channel and position. @implements {Prior} */
export class StaticPrior {
  #rows;
  #channels;

  /**
   * @param {Arrays} arrays the arrays of the model
   * @param {number} channels C
   * @param {number} alphabet S
   */
  constructor(arrays, channels, alphabet) {
    this.alphabet = alphabet;
    const cumulative = arrays.get("cumulative", [null, alphabet + 1]);
    this.bounds = intervals(cumulative, alphabet);
    this.ranks = cumulative.length / (alphabet + 1);
    this.#rows = arrays.get("rows", [channels, null]);
    this.#channels = channels;
    arrays.check("rows", 0, this.ranks - 1);
  }

  /** @param {number} height @param {number} width */
  bytes(height, width) {
    return 24 * this.#channels * height * width;
  }

  /** @param {Symbols} symbols @param {number} height @param {number} width @returns {Generator<Step>} */
  *steps(symbols, height, width) {
    const positions = height * width;
    const perChannel = this.#rows.length / this.#channels;
    const rows = Int32Array.from({ length: symbols.length }, (_, index) => {
      const channel = Math.floor(index / positions);
      return this.#rows[perChannel === 1 ? channel : channel * perChannel + (index % positions)];
    });
    const indices = Int32Array.from({ length: symbols.length }, (_, index) => index);
    const atOnce = this.#rise(perChannel) ? symbols.length : positions;
    for (let first = 0; first < symbols.length; first += atOnce) {
      const tables = rows.subarray(first, first + atOnce);
      yield { indices: indices.subarray(first, first + atOnce), tables, ranks: tables };
    }
  }

  /** @param {number} perChannel @returns {boolean} whether each channel has higher tables than the channel before */
  #rise(perChannel) {
    let highest = -1;
    for (let first = 0; first < this.#rows.length; first += perChannel) {
      const own = this.#rows.subarray(first, first + perChannel);
      if (own.some((row) => row <= highest)) return false;
      highest = own.reduce((most, row) => Math.max(most, row));
    }
    return true;
  }
}

/** The prior of symbols without probabilities: one step with all symbols. @implements {Prior} */
export class NoPrior {
  ranks = 1;
  bounds = new Uint32Array();

  #channels;

  /** @param {number} channels C @param {number} alphabet S */
  constructor(channels, alphabet) {
    this.#channels = channels;
    this.alphabet = alphabet;
  }

  /** @param {number} height @param {number} width */
  bytes(height, width) {
    return 20 * this.#channels * height * width;
  }

  /** @param {Symbols} symbols @returns {Generator<Step>} */
  *steps(symbols) {
    const none = new Int32Array(symbols.length);
    yield { indices: Int32Array.from({ length: symbols.length }, (_, index) => index), tables: none, ranks: none };
  }
}

/** Tables that depend on scores, which are weighted sums of marks of earlier symbols. @implements {Prior} */
export class RegressionPrior {
  #channels;
  #scores;
  #contexts = 1;
  #rows;
  #marks;
  #parents;
  #weights;
  #own;
  #thresholds;

  /**
   * @param {Arrays} arrays the arrays of the model
   * @param {number} channels C
   * @param {number} alphabet S
   */
  constructor(arrays, channels, alphabet) {
    this.#channels = channels;
    this.alphabet = alphabet;
    const cumulative = arrays.get("cumulative", [null, alphabet + 1]);
    this.bounds = intervals(cumulative, alphabet);
    this.ranks = cumulative.length / (alphabet + 1);
    this.#marks = arrays.get("marks", [null, channels, alphabet]);
    this.#scores = this.#marks.length / (channels * alphabet);
    this.#parents = arrays.get("parents", [channels, 2, null]);
    const most = this.#parents.length / (2 * channels);
    this.#weights = arrays.get("weights", [this.#scores, channels, 2, most, 2]);
    this.#own = arrays.get("own", [this.#scores, channels]);
    this.#thresholds = Array.from({ length: this.#scores }, (_, m) => arrays.get(`thresholds.${m}`, [channels, 2, null]));
    for (const thresholds of this.#thresholds) this.#contexts *= thresholds.length / (2 * channels) + 1;
    this.#rows = arrays.get("rows", [channels, null]);
    arrays.check("parents", -1, channels - 1);
    arrays.check("rows", 0, this.ranks - this.#contexts);
  }

  /** @param {number} height @param {number} width */
  bytes(height, width) {
    return 40 * height * width;
  }

  /** @param {Symbols} symbols @param {number} height @param {number} width @returns {Generator<Step>} */
  *steps(symbols, height, width) {
    const grid = lattice(height, width);
    const positions = height * width;
    const perChannel = this.#rows.length / this.#channels;
    for (let channel = 0; channel < this.#channels; channel++) {
      for (const stage of [0, 1]) {
        const half = grid.halves[stage];
        const contexts = this.#contextsOf(symbols, grid, channel, stage);
        const tables = contexts.map((context, i) => {
          const row = perChannel === 1 ? 0 : perChannel === 2 ? stage : half[i];
          return this.#rows[channel * perChannel + row] + context;
        });
        yield { indices: half.map((position) => channel * positions + position), tables, ranks: tables };
      }
    }
  }

  /**
   * @param {Symbols} symbols
   * @param {import("./lattice.js").Lattice} grid
   * @param {number} channel
   * @param {number} stage
   * @returns {Int32Array} the contexts of the positions of the stage
   */
  #contextsOf(symbols, grid, channel, stage) {
    const half = grid.halves[stage];
    const contexts = new Int32Array(half.length);
    for (let m = 0; m < this.#scores; m++) {
      const scores = this.#score(m, symbols, grid, channel, stage);
      const count = this.#thresholds[m].length / (2 * this.#channels);
      const first = (2 * channel + stage) * count;
      const thresholds = this.#thresholds[m].subarray(first, first + count);
      half.forEach((position, i) => {
        const part = thresholds.reduce((passed, threshold) => passed + Number(scores[position] >= threshold), 0);
        contexts[i] = contexts[i] * (count + 1) + part;
      });
    }
    return contexts;
  }

  /**
   * @param {number} m the number of the score
   * @param {Symbols} symbols
   * @param {import("./lattice.js").Lattice} grid
   * @param {number} channel
   * @param {number} stage
   * @returns {Int32Array} the score of every position; undefined at those of the other stage
   */
  #score(m, symbols, grid, channel, stage) {
    const { height, width } = grid;
    const positions = height * width;
    const most = this.#parents.length / (2 * this.#channels);
    const here = new Int32Array(positions);
    const there = new Int32Array(positions);
    for (let n = 0; n < most; n++) {
      const parent = this.#parents[(2 * channel + stage) * most + n];
      if (parent < 0) continue;
      const weight = 2 * (((m * this.#channels + channel) * 2 + stage) * most + n);
      for (let position = 0; position < positions; position++) {
        const mark = this.#mark(m, parent, symbols[parent * positions + position]);
        here[position] += this.#weights[weight] * mark;
        there[position] += this.#weights[weight + 1] * mark;
      }
    }
    const sums = around(there, grid, true);
    for (let position = 0; position < positions; position++) sums[position] += here[position];
    if (stage === 1) {
      const own = this.#own[m * this.#channels + channel];
      for (const position of grid.halves[1]) {
        const neighbors = besides(position, grid);
        const total = neighbors.reduce(
          (sum, neighbor) => sum + this.#mark(m, channel, symbols[channel * positions + neighbor]),
          0,
        );
        sums[position] += own * total * (12 / Math.max(1, neighbors.length));
      }
    }
    return sums;
  }

  /** @param {number} m @param {number} channel @param {number} symbol @returns {number} */
  #mark(m, channel, symbol) {
    return this.#marks[(m * this.#channels + channel) * this.alphabet + symbol];
  }
}
