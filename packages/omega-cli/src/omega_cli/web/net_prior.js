/**
 * The prior with a net of integers: which table each symbol has, as FORMAT.md specifies it under "A net".
 *
 * Features and marks lie position after position, so that inner loops, and those of products, run over features. C
 * channels, n of them in a group; W features, F of them with padding; P positions of a list.
 */

import { around, besides, lattice } from "./lattice.js";
import { Products } from "./products.js";
import { intervals } from "./range_decoder.js";

const MOST_LEVEL = 31;
const LEVELS = 2 * MOST_LEVEL + 1;
const KINDS = 8;
const [ZERO_KIND, ROOT_KIND] = [3, 7];
const KIND_BORDERS = [-3, -1, 0, 1, 2, 4];
const LARGEST_MARK = 6;
const LARGEST = 127;
const [PARTS, PARTS_BELOW, LEANS, MOST_LEAN] = [40, 32, 7, 3];
const TABLES = KINDS * PARTS * LEANS;
const LOCAL_BITS = 6;
/** The places of the roundings of a group; of those of layers, the first. */
const [INPUTS, SPATIAL, MIXING, OWN] = [0, 1, 4, 7];

/** The numbers of parents, from level −31 on, whose sums are weighted: the size in the upper 16 bits, and the signed. */
const OF_PARENT = Int32Array.from({ length: LEVELS }, (_, i) => {
  const level = i - MOST_LEVEL;
  return (Math.min(LARGEST_MARK, Math.abs(level)) << 16) + Math.max(-LARGEST_MARK, Math.min(LARGEST_MARK, level));
});
const KIND_OF_PARENT = Int32Array.from({ length: LEVELS }, (_, i) => {
  return KIND_BORDERS.filter((border) => i - MOST_LEVEL >= border).length;
});

/** @typedef {import("./lattice.js").Lattice} Lattice */
/** @typedef {import("./net_arrays.js").Group} Group */
/** @typedef {import("./net_arrays.js").Rounding} Rounding */
/** @typedef {import("./tables.js").Symbols} Symbols */
/** @typedef {import("./tables.js").Step} Step */

/**
 * What is known of a group of channels when its symbols are decoded.
 *
 * @typedef {object} State
 * @property {Group} group
 * @property {Lattice} grid
 * @property {Int8Array} before (n, h·w), the levels of the parents of its channels; 0 without a parent
 * @property {Int32Array} local (n, 2, h·w), what is added to scores in both halves
 * @property {Int16Array} features z (h·w, F)
 * @property {Int16Array} marks (h·w, 2n), of its symbols that are decoded; 0 of others
 */

/** @implements {import("./tables.js").Prior} */
export class NetPrior {
  #net;
  #products = new Products();

  /** @param {import("./net_arrays.js").NetArrays} net */
  constructor(net) {
    this.#net = net;
    this.alphabet = net.alphabet;
    this.bounds = intervals(net.table, net.alphabet);
    this.ranks = net.order.length;
  }

  /** @param {number} height @param {number} width */
  bytes(height, width) {
    const widest = Math.max(...this.#net.groups.map(({ start, end }) => end - start));
    return height * width * (20 * this.#net.stride + this.#net.channels + 40 * widest);
  }

  /** @param {Symbols} symbols @param {number} height @param {number} width @returns {Generator<Step>} */
  *steps(symbols, height, width) {
    const grid = lattice(height, width);
    const levels = new Int8Array(symbols.length); // after each symbol
    const total = new Int32Array(height * width * this.#net.stride); // of the marks of earlier groups
    for (const group of this.#net.groups) {
      const before = this.#before(group, levels, height * width);
      const state = {
        group,
        grid,
        before,
        local: this.#local(group, before, grid),
        features: this.#features(group, total, grid),
        marks: new Int16Array(height * width * group.inputs.depth),
      };
      yield this.#step(state, 0, this.#scores(group, 0, this.#at(state.features, grid.halves[0])));
      this.#mark(state, 0, symbols);
      yield this.#step(state, 1, this.#secondScores(state));
      this.#mark(state, 1, symbols);
      this.#raise(state, symbols, levels);
      this.#products.add(total, group.inputs, state.marks);
    }
  }

  /**
   * The levels (n, h·w) of the parents of the channels of a group, 0 without a parent.
   *
   * @param {Group} group
   * @param {Int8Array} levels (C, h·w)
   * @param {number} positions
   */
  #before({ start, end }, levels, positions) {
    const before = new Int8Array((end - start) * positions);
    for (let channel = start; channel < end; channel++) {
      const parent = this.#net.parents[channel];
      if (parent < 0) continue;
      before.set(levels.subarray(parent * positions, (parent + 1) * positions), (channel - start) * positions);
    }
    return before;
  }

  /**
   * What is added to the scores (n, 2, h·w) of a group in both halves.
   *
   * @param {Group} group
   * @param {Int8Array} before (n, h·w)
   * @param {Lattice} grid
   */
  #local({ start, end }, before, grid) {
    const { base, ofKind, around: weights, parents } = this.#net;
    const positions = grid.height * grid.width;
    const local = new Int32Array((end - start) * 2 * positions);
    for (let channel = start; channel < end; channel++) {
      const [first, second, last] = [0, 1, 2].map((j) => (2 * (channel - start) + j) * positions);
      const [ofSize, ofSigned] = [weights[2 * channel], weights[2 * channel + 1]];
      const [size, signed] = [base[2 * channel], base[2 * channel + 1]];
      if (parents[channel] < 0) {
        local.fill(size + ofKind[KINDS * channel + ROOT_KIND], first, second);
        local.fill(signed, second, last);
        continue;
      }
      const own = before.subarray((channel - start) * positions, (channel - start + 1) * positions);
      const numbers = new Int32Array(positions);
      for (let position = 0; position < positions; position++) numbers[position] = OF_PARENT[own[position] + MOST_LEVEL];
      const sums = around(numbers, grid, false);
      for (let position = 0; position < positions; position++) {
        const kind = KIND_OF_PARENT[own[position] + MOST_LEVEL];
        const sumOfSigned = (sums[position] << 16) >> 16;
        const sumOfSizes = (sums[position] - sumOfSigned) >> 16;
        local[first + position] = size + ofKind[KINDS * channel + kind] + localPart(sumOfSizes * ofSize);
        local[second + position] = signed + localPart(sumOfSigned * ofSigned);
      }
    }
    return local;
  }

  /**
   * The features z (h·w, F) of a group.
   *
   * @param {Group} group
   * @param {Int32Array} total (h·w, F), of the marks of earlier groups
   * @param {Lattice} grid
   */
  #features(group, total, grid) {
    const sums = total.slice();
    const { stride } = this.#net;
    for (let i = 0; i < sums.length; i += stride) for (let f = 0; f < stride; f++) sums[i + f] += group.bias[f];
    let z = rounded(sums, group.roundings[INPUTS], 0);
    for (const layer of [0, 1]) {
      const convolved = this.#convolved(group, layer, z, grid, grid.all);
      z = this.#mixed(group, layer, rounded(convolved, group.roundings[SPATIAL + layer], -LARGEST));
    }
    return z;
  }

  /**
   * Mix the features (P, F) of each position, and round them.
   *
   * @param {Group} group
   * @param {number} layer
   * @param {Int16Array} features (P, F)
   */
  #mixed(group, layer, features) {
    const sums = repeated(group.mixingBias[layer], features.length / this.#net.stride);
    this.#products.add(sums, group.mixing[layer], features);
    return rounded(sums, group.roundings[MIXING + layer], 0);
  }

  /**
   * Convolve each feature by itself with its 3×3 weights; 0 is beyond the edge.
   *
   * @param {Group} group
   * @param {number} layer
   * @param {Int16Array} features (h·w, F)
   * @param {Lattice} grid
   * @param {Int32Array} places positions (P,) where sums are needed
   * @returns {Int32Array} (P, F)
   */
  #convolved(group, layer, features, { height, width }, places) {
    const { stride } = this.#net;
    const weights = group.spatial[layer];
    const sums = repeated(group.spatialBias[layer], places.length);
    for (let i = 0; i < places.length; i++) {
      const y = Math.floor(places[i] / width);
      const x = places[i] - y * width;
      for (let tap = 0; tap < 9; tap++) {
        const down = y + Math.floor(tap / 3) - 1;
        const across = x + (tap % 3) - 1;
        if (down < 0 || down >= height || across < 0 || across >= width) continue;
        multiplyAdd(sums, i * stride, weights, tap * stride, features, (down * width + across) * stride, stride);
      }
    }
    return sums;
  }

  /**
   * The scores (P, 2n) of a group from features alone.
   *
   * @param {Group} group
   * @param {number} half whose weights count
   * @param {Int16Array} features (P, F)
   */
  #scores(group, half, features) {
    const sums = repeated(group.outputBias[half], features.length / this.#net.stride);
    this.#products.add(sums, group.outputs[half], features);
    return shifted(sums, group.scoreRoundings[half]);
  }

  /**
   * The scores (P, 2n) of the positions of the second half, which symbols of the first half tell, too.
   *
   * @param {State} state
   */
  #secondScores({ group, grid, features, marks }) {
    const half = grid.halves[1];
    const z = this.#at(features, half);
    const scores = this.#scores(group, 0, z);
    const own = new Int32Array(features.length);
    this.#products.add(own, group.own, marks);
    const convolved = this.#convolved(group, 2, rounded(own, group.roundings[OWN], -LARGEST), grid, half);
    const added = shifted(convolved, group.roundings[SPATIAL + 2]);
    const u = z.map((feature, i) => Math.max(0, Math.min(LARGEST, feature + added[i])));
    const more = this.#scores(group, 1, this.#mixed(group, 2, u));
    for (let i = 0; i < scores.length; i++) scores[i] += more[i];
    this.#addBeside(scores, group, grid, marks);
    return scores;
  }

  /**
   * Add to scores (P, 2n) of the second half what the marks beside each position tell.
   *
   * @param {Int32Array} scores
   * @param {Group} group
   * @param {Lattice} grid
   * @param {Int16Array} marks (h·w, 2n), of the first half
   */
  #addBeside(scores, { start, end }, grid, marks) {
    const { beside: weights, inSecond } = this.#net;
    const columns = 2 * (end - start);
    const rows = scores.length / grid.halves[1].length;
    const sums = new Int32Array(columns);
    grid.halves[1].forEach((position, i) => {
      sums.fill(0);
      for (const neighbor of besides(position, grid)) {
        for (let column = 0; column < columns; column++) sums[column] += marks[neighbor * columns + column];
      }
      for (let column = 0; column < columns; column += 2) {
        const channel = start + (column >> 1);
        scores[i * rows + column] += localPart(sums[column + 1] * weights[2 * channel]) + inSecond[channel];
        scores[i * rows + column + 1] += localPart(sums[column] * weights[2 * channel + 1]);
      }
    });
  }

  /**
   * The symbols of a group at the positions of a half.
   *
   * @param {State} state
   * @param {number} half
   * @param {Int32Array} scores (P, 2n)
   * @returns {Step}
   */
  #step({ group: { start, end }, grid, before, local }, half, scores) {
    const { classes, order, parents } = this.#net;
    const own = grid.halves[half];
    const positions = grid.all.length;
    const rows = scores.length / own.length;
    const count = (end - start) * own.length;
    const [places, tables, ranks] = [new Int32Array(count), new Int32Array(count), new Int32Array(count)];
    for (let channel = start, place = 0; channel < end; channel++) {
      const column = 2 * (channel - start);
      const isRoot = parents[channel] < 0;
      for (let i = 0; i < own.length; i++, place++) {
        const position = own[i];
        const kind = isRoot ? ROOT_KIND : KIND_OF_PARENT[before[(channel - start) * positions + position] + MOST_LEVEL];
        const score = scores[i * rows + column] + local[column * positions + position];
        const part = Math.max(0, Math.min(PARTS - 1, (score >> 4) + PARTS_BELOW));
        let lean = 0;
        if (isRoot || kind === ZERO_KIND) {
          const second = scores[i * rows + column + 1] + local[(column + 1) * positions + position];
          lean = Math.max(-MOST_LEAN, Math.min(MOST_LEAN, (second + 16) >> 5));
        }
        const table = (kind * PARTS + part) * LEANS + lean + MOST_LEAN;
        places[place] = channel * positions + position;
        tables[place] = table;
        ranks[place] = order[classes[channel] * TABLES + table];
      }
    }
    return { places, tables, ranks };
  }

  /**
   * Write the marks of the symbols of a half, which are decoded.
   *
   * @param {State} state
   * @param {number} half
   * @param {Symbols} symbols (C, h·w)
   */
  #mark({ group: { start, end }, grid, before, marks }, half, symbols) {
    const { alphabet, signed, sizes } = this.#net;
    const positions = grid.all.length;
    const columns = 2 * (end - start);
    const own = grid.halves[half];
    for (let channel = 0; channel < end - start; channel++) {
      for (let i = 0; i < own.length; i++) {
        const position = own[i];
        const level = before[channel * positions + position] + MOST_LEVEL;
        const entry = level * alphabet + symbols[(start + channel) * positions + position];
        marks[position * columns + 2 * channel] = signed[entry];
        marks[position * columns + 2 * channel + 1] = sizes[entry];
      }
    }
  }

  /**
   * Write the levels (C, h·w) after the symbols of a group.
   *
   * @param {State} state
   * @param {Symbols} symbols (C, h·w)
   * @param {Int8Array} levels
   */
  #raise({ group: { start }, before }, symbols, levels) {
    const first = start * (symbols.length / this.#net.channels);
    for (let i = 0; i < before.length; i++) {
      levels[first + i] = this.#net.levels[(before[i] + MOST_LEVEL) * this.alphabet + symbols[first + i]];
    }
  }

  /**
   * @param {Int16Array} features (h·w, F)
   * @param {Int32Array} places positions (P,)
   * @returns {Int16Array} (P, F)
   */
  #at(features, places) {
    const { stride } = this.#net;
    const found = new Int16Array(places.length * stride);
    places.forEach((place, i) => found.set(features.subarray(place * stride, (place + 1) * stride), i * stride));
    return found;
  }
}

/** @param {number} sum weighted, of neighbors @returns {number} what it adds to a score */
const localPart = (sum) => (sum + (1 << (LOCAL_BITS - 1))) >> LOCAL_BITS;

/**
 * @param {Int32Array} row
 * @param {number} times
 * @returns {Int32Array}
 */
function repeated(row, times) {
  const found = new Int32Array(row.length * times);
  for (let i = 0; i < found.length; i += row.length) found.set(row, i);
  return found;
}

/** sums[i + f] += weights[j + f] · numbers[k + f] for f from 0 to `count` − 1
 *
 * @param {Int32Array} sums @param {number} i
 * @param {Int32Array} weights @param {number} j
 * @param {Int16Array} numbers @param {number} k
 * @param {number} count
 */
function multiplyAdd(sums, i, weights, j, numbers, k, count) {
  for (let f = 0; f < count; f++) sums[i + f] += Math.imul(weights[j + f], numbers[k + f]);
}

/**
 * Divide sums (P, N) by powers of two and round them, in place.
 *
 * @param {Int32Array} sums
 * @param {Rounding} rounding (N,)
 */
function shifted(sums, { up, half, down }) {
  for (let first = 0; first < sums.length; first += up.length) {
    for (let i = 0; i < up.length; i++) sums[first + i] = ((sums[first + i] << up[i]) + half[i]) >> down[i];
  }
  return sums;
}

/**
 * @param {Int32Array} sums (P, N), which are overwritten
 * @param {Rounding} rounding (N,)
 * @param {number} least
 * @returns {Int16Array} the sums, divided and rounded, from `least` to 127
 */
function rounded(sums, rounding, least) {
  const found = new Int16Array(sums.length);
  shifted(sums, rounding);
  for (let i = 0; i < sums.length; i++) found[i] = Math.max(least, Math.min(LARGEST, sums[i]));
  return found;
}
