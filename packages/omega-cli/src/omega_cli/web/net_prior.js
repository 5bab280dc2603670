/**
 * The prior with a net of integers, which selects the table of each symbol as FORMAT.md specifies under "A net".
 *
 * Features and marks lie position after position, so that inner loops, also of products, run over features. C channels,
 * n of them in a group; W features, F of them with padding; P positions of a list.
 */

import { around, lattice } from "./lattice.js";
import { NetFeatures, bytesOfFeatures } from "./net_features.js";
import { intervals } from "./range_decoder.js";

const MAX_LEVEL = 31;
const LEVELS = 2 * MAX_LEVEL + 1;
const KINDS = 8;
const [ZERO_KIND, ROOT_KIND] = [3, 7];
const KIND_BORDERS = [-3, -1, 0, 1, 2, 4];
const LARGEST_MARK = 6;
const [PARTS, PARTS_BELOW, LEANS, MAX_LEAN] = [40, 32, 25, 12];
const TABLES = PARTS * (KINDS - 2 + 2 * LEANS);
const LOCAL_BITS = 6;

/** For each level of a parent, from −31 on: its size, in the upper 16 bits, plus the level, limited to ±6. */
const OF_PARENT = Int32Array.from({ length: LEVELS }, (_, i) => {
  const level = i - MAX_LEVEL;
  return (Math.min(LARGEST_MARK, Math.abs(level)) << 16) + Math.max(-LARGEST_MARK, Math.min(LARGEST_MARK, level));
});
const KIND_OF_PARENT = Int32Array.from({ length: LEVELS }, (_, i) => {
  return KIND_BORDERS.filter((border) => i - MAX_LEVEL >= border).length;
});

/** @typedef {import("./lattice.js").Lattice} Lattice */
/** @typedef {import("./net_arrays.js").Group} Group */
/** @typedef {import("./tables.js").Symbols} Symbols */
/** @typedef {import("./tables.js").Prior} Prior */
/** @typedef {import("./tables.js").Step} Step */

/**
 * The state of a group of channels while its symbols are decoded.
 *
 * @typedef {object} State
 * @property {Group} group
 * @property {Lattice} grid
 * @property {Int8Array} before (n, h·w), the levels of the parents of its channels; 0 without a parent
 * @property {Int32Array} local (n, 2, h·w), the terms that are added to scores in both halves
 * @property {Int16Array} marks (h·w, 2n), the marks of its decoded symbols; 0 for others
 */

/** @implements {Prior} */
export class NetPrior {
  #net;

  /** @param {import("./net_arrays.js").NetArrays} net */
  constructor(net) {
    this.#net = net;
    this.alphabet = net.alphabet;
    this.bounds = intervals(net.tables, net.alphabet);
    this.ranks = net.ranks.length;
  }

  /** @param {number} height @param {number} width */
  bytes(height, width) {
    const { channels, widest } = this.#net;
    const ofSymbols = 30 * (widest.columns / 2); // scores and the terms added to them, indices, tables and ranks
    const ofChannel = 3; // the level of the parent, and the table of a symbol that refines
    return bytesOfFeatures(this.#net, height, width) + height * width * (ofChannel * channels + ofSymbols + 8);
  }

  /** @param {Symbols} symbols @param {number} height @param {number} width @returns {Generator<Step>} */
  *steps(symbols, height, width) {
    const grid = lattice(height, width);
    const features = new NetFeatures(this.#net, grid);
    const known = new Int8Array(symbols.length); // the level of the parent of each symbol
    const waiting = new Uint16Array(symbols.length); // the tables of symbols that refine
    const { groups } = this.#net;
    for (const [index, group] of groups.entries()) {
      const before = this.#before(group, symbols, known);
      const marks = features.begin(group);
      const state = { group, grid, before, marks, local: this.#local(group, before, grid) };
      yield this.#step(state, 0, features.firstScores(group), waiting);
      this.#mark(state, 0, symbols);
      const scores = features.secondScores(group);
      this.#addBeside(state, scores);
      const fresh = this.#step(state, 1, scores, waiting);
      yield joined(this.#refining(index, grid, known, waiting), fresh);
      this.#mark(state, 1, symbols);
      features.end(group);
    }
  }

  /**
   * Return the levels (n, h·w) of the parents of the channels of a group, 0 without a parent.
   *
   * @param {Group} group
   * @param {Symbols} symbols (C, h·w); those of the parents are decoded
   * @param {Int8Array} known (C, h·w), the levels of the parents of earlier groups; those of this group are added
   */
  #before({ start, end }, symbols, known) {
    const { channels, parents, levels } = this.#net;
    const positions = symbols.length / channels;
    for (let channel = start; channel < end; channel++) {
      if (parents[channel] < 0) continue;
      for (let own = channel * positions, of = parents[channel] * positions, i = 0; i < positions; i++, own++, of++) {
        known[own] = levels[(known[of] + MAX_LEVEL) * this.alphabet + symbols[of]];
      }
    }
    return known.subarray(start * positions, end * positions);
  }

  /**
   * Return the symbols that refine and are coded with a group.
   *
   * @param {number} index the index of the group
   * @param {Lattice} grid
   * @param {Int8Array} known (C, h·w)
   * @param {Uint16Array} waiting (C, h·w), their tables
   * @returns {Step}
   */
  #refining(index, grid, known, waiting) {
    const { classes, ranks: rankOf, latest, groups } = this.#net;
    const positions = grid.all.length;
    const [indices, tables, ranks] = /** @type {number[][]} */ ([[], [], []]);
    for (const { start, end } of groups.slice(0, index + 1)) {
      const channels = [...latest.subarray(start, end).keys()].filter((i) => latest[start + i] === index);
      for (const half of grid.halves) {
        for (const channel of channels) {
          for (const position of half) {
            const i = (start + channel) * positions + position;
            if (known[i] === 0) continue;
            indices.push(i);
            tables.push(waiting[i]);
            ranks.push(rankOf[classes[start + channel] * TABLES + waiting[i]]);
          }
        }
      }
    }
    return { indices: Int32Array.from(indices), tables: Int32Array.from(tables), ranks: Int32Array.from(ranks) };
  }

  /**
   * Return the terms (n, 2, h·w) that are added to the scores of a group in both halves.
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
      for (let position = 0; position < positions; position++) numbers[position] = OF_PARENT[own[position] + MAX_LEVEL];
      const sums = around(numbers, grid, false);
      for (let position = 0; position < positions; position++) {
        const kind = KIND_OF_PARENT[own[position] + MAX_LEVEL];
        const sumOfSigned = (sums[position] << 16) >> 16;
        const sumOfSizes = (sums[position] - sumOfSigned) >> 16;
        local[first + position] = size + ofKind[KINDS * channel + kind] + localPart(sumOfSizes * ofSize);
        local[second + position] = signed + localPart(sumOfSigned * ofSigned);
      }
    }
    return local;
  }

  /**
   * Add the terms of the marks beside each position to the scores (P, 2n) of the second half.
   *
   * @param {State} state
   * @param {Int32Array} scores
   */
  #addBeside({ group: { start, end }, grid, marks }, scores) {
    const { beside: weights, inSecond } = this.#net;
    const { height, width } = grid;
    const half = grid.halves[1];
    const columns = 2 * (end - start);
    const rows = scores.length / half.length;
    for (let i = 0; i < half.length; i++) {
      const x = half[i] % width;
      const here = half[i] * columns;
      const up = half[i] >= width ? here - width * columns : -1;
      const down = half[i] < (height - 1) * width ? here + width * columns : -1;
      const left = x > 0 ? here - columns : -1;
      const right = x < width - 1 ? here + columns : -1;
      for (let column = 0; column < columns; column++) {
        let sum = 0;
        if (up >= 0) sum += marks[up + column];
        if (down >= 0) sum += marks[down + column];
        if (left >= 0) sum += marks[left + column];
        if (right >= 0) sum += marks[right + column];
        // the signed marks come first, but determine the second scores
        const score = column ^ 1;
        scores[i * rows + score] += localPart(sum * weights[2 * start + score]);
        if (column & 1) scores[i * rows + score] += inSecond[start + (column >> 1)];
      }
    }
  }

  /**
   * Return the symbols of a group at the positions of a half, without those that refine.
   *
   * @param {State} state
   * @param {number} half
   * @param {Int32Array} scores (P, 2n)
   * @param {Uint16Array} waiting (C, h·w), to which the tables of the others are written
   * @returns {Step}
   */
  #step({ group: { start, end }, grid, before, local }, half, scores, waiting) {
    const { classes, ranks: rankOf, parents } = this.#net;
    const own = grid.halves[half];
    const positions = grid.all.length;
    const rows = scores.length / own.length;
    const count = (end - start) * own.length;
    const [indices, tables, ranks] = [new Int32Array(count), new Int32Array(count), new Int32Array(count)];
    let found = 0;
    for (let channel = start; channel < end; channel++) {
      const column = 2 * (channel - start);
      const isRoot = parents[channel] < 0;
      for (let i = 0; i < own.length; i++) {
        const position = own[i];
        const kind = isRoot ? ROOT_KIND : KIND_OF_PARENT[before[(channel - start) * positions + position] + MAX_LEVEL];
        const score = scores[i * rows + column] + local[column * positions + position];
        const part = Math.max(0, Math.min(PARTS - 1, (score >> 4) + PARTS_BELOW));
        const first = PARTS * (kind + (kind > ZERO_KIND ? LEANS - 1 : 0));
        if (!isRoot && kind !== ZERO_KIND) {
          waiting[channel * positions + position] = first + part;
          continue;
        }
        const second = scores[i * rows + column + 1] + local[(column + 1) * positions + position];
        const lean = Math.max(-MAX_LEAN, Math.min(MAX_LEAN, (second + 16) >> 5));
        const table = first + part * LEANS + lean + MAX_LEAN;
        indices[found] = channel * positions + position;
        tables[found] = table;
        ranks[found++] = rankOf[classes[channel] * TABLES + table];
      }
    }
    return { indices: indices.subarray(0, found), tables: tables.subarray(0, found), ranks: ranks.subarray(0, found) };
  }

  /**
   * Write the marks of the symbols of a half, which are decoded. Symbols that refine have none.
   *
   * @param {State} state
   * @param {number} half
   * @param {Symbols} symbols (C, h·w)
   */
  #mark({ group: { start, end }, grid, before, marks }, half, symbols) {
    const { signed } = this.#net;
    const positions = grid.all.length;
    const columns = 2 * (end - start);
    const own = grid.halves[half];
    for (let channel = 0; channel < end - start; channel++) {
      for (let i = 0; i < own.length; i++) {
        const position = own[i];
        if (before[channel * positions + position] !== 0) continue;
        const mark = signed[symbols[(start + channel) * positions + position]];
        marks[position * columns + 2 * channel] = mark;
        marks[position * columns + 2 * channel + 1] = Math.abs(mark);
      }
    }
  }
}

/** @param {number} sum a weighted sum over neighbors @returns {number} its term of a score */
const localPart = (sum) => (sum + (1 << (LOCAL_BITS - 1))) >> LOCAL_BITS;

/** @param {Int32Array} a @param {Int32Array} b */
const after = (a, b) => {
  const both = new Int32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
};

/** Join two steps. @param {Step} a @param {Step} b @returns {Step} */
const joined = (a, b) => ({
  indices: after(a.indices, b.indices),
  tables: after(a.tables, b.tables),
  ranks: after(a.ranks, b.ranks),
});
