/**
 * The features of one picture, which the net of a model computes group after group, and the scores from features alone.
 *
 * Features and marks lie position after position. n channels in a group; F features; P positions of a half.
 */

import { Kernel } from "./kernel.js";

const LARGEST = 127;
const LEAST_16_BITS = -(1 << 15);
/** The indices of the roundings of a group; SPATIAL and MIXING are those of the first layer. */
const [INPUTS, SPATIAL, MIXING, OWN] = [0, 1, 4, 7];

/** @typedef {import("./lattice.js").Lattice} Lattice */
/** @typedef {import("./net_arrays.js").Group} Group */
/** @typedef {import("./net_arrays.js").NetArrays} NetArrays */
/** @typedef {import("./net_arrays.js").Rounding} Rounding */

/**
 * @param {NetArrays} net
 * @param {number} height the height of the latent
 * @param {number} width
 * @returns {number} the bytes of memory that `NetFeatures` takes
 */
export function bytesOfFeatures(net, height, width) {
  const { stride, widest } = net;
  const positions = height * width;
  const padded = (height + 2) * (width + 2);
  const ofHalf = positions * Math.max(stride, widest.rows) * 2 + positions * stride * 2;
  return 4 * padded * stride + positions * (10 * stride + 2 * widest.columns) + 2 * ofHalf + (1 << 10);
}

/** The features of one picture. */
export class NetFeatures {
  #net;
  #grid;
  #kernel;
  #total; // (h·w, F), the weighted sum of the marks of earlier groups
  #sums; // (h·w, F)
  #features; // z, (h + 2, w + 2, F)
  #convolved; // (h·w, F)
  #own; // (h + 2, w + 2, F)
  #half; // (P, F)
  #scores; // (P, 2n)
  #marks; // (h·w, 2n)

  /**
   * @param {NetArrays} net
   * @param {Lattice} grid
   */
  constructor(net, grid) {
    const { height, width } = grid;
    const { stride, widest } = net;
    const positions = height * width;
    const kernel = new Kernel(bytesOfFeatures(net, height, width), widest.bytes);
    this.#net = net;
    this.#grid = grid;
    this.#kernel = kernel;
    this.#total = kernel.int32(positions * stride);
    this.#sums = kernel.int32(positions * stride);
    this.#features = kernel.int16((height + 2) * (width + 2) * stride);
    this.#own = kernel.int16((height + 2) * (width + 2) * stride);
    this.#convolved = kernel.int16(positions * stride);
    this.#half = kernel.int16(grid.halves[0].length * stride);
    this.#scores = kernel.int32(grid.halves[0].length * widest.rows);
    this.#marks = kernel.int16(positions * widest.columns);
  }

  /**
   * Begin a group: compute its features.
   *
   * @param {Group} group
   * @returns {Int16Array} the marks (h·w, 2n) of its symbols, all 0; they have to be written when symbols are decoded
   */
  begin(group) {
    this.#roundInto(this.#features, this.#total, group.roundings[INPUTS], 0);
    for (const layer of [0, 1]) {
      this.#convolve(group, layer, this.#features);
      this.#kernel.round(this.#convolved, this.#sums, group.roundings[SPATIAL + layer], -LARGEST, LARGEST);
      this.#kernel.add(this.#sums.fill(0), group.mixing[layer], this.#convolved);
      this.#roundInto(this.#features, this.#sums, group.roundings[MIXING + layer], 0);
    }
    return this.#marksOf(group).fill(0);
  }

  /**
   * @param {Group} group the current group
   * @returns {Int32Array} its scores (P, 2n) at the positions of the first half
   */
  firstScores(group) {
    return this.#scoresOf(group, 0, this.#gather(this.#grid.halves[0]));
  }

  /**
   * @param {Group} group the current group; its marks of the first half are written
   * @returns {Int32Array} its scores (P, 2n) at the positions of the second half
   */
  secondScores(group) {
    const half = this.#grid.halves[1];
    const features = this.#gather(half);
    const scores = this.#scoresOf(group, 0, features);
    this.#kernel.add(this.#sums.fill(0), group.own, this.#marksOf(group));
    this.#roundInto(this.#own, this.#sums, group.roundings[OWN], -LARGEST);
    this.#convolve(group, 2, this.#own);
    this.#kernel.round(this.#convolved, this.#sums, group.roundings[SPATIAL + 2], LEAST_16_BITS, ~LEAST_16_BITS);
    const { stride } = this.#net;
    for (let i = 0; i < half.length; i++) {
      for (let f = 0, own = i * stride, all = half[i] * stride; f < stride; f++, own++, all++) {
        features[own] = Math.max(0, Math.min(LARGEST, features[own] + this.#convolved[all]));
      }
    }
    const sums = this.#sums.subarray(0, features.length);
    this.#kernel.add(sums.fill(0), group.mixing[2], features);
    this.#kernel.round(features, sums, group.roundings[MIXING + 2], 0, LARGEST);
    const more = this.#scoresOf(group, 1, features);
    for (let i = 0; i < scores.length; i++) scores[i] += more[i];
    return scores;
  }

  /** End a group; all of its marks are written. @param {Group} group */
  end(group) {
    this.#kernel.add(this.#total, group.inputs, this.#marksOf(group));
  }

  /** @param {Group} group */
  #marksOf(group) {
    return this.#marks.subarray(0, this.#grid.all.length * group.inputs.depth);
  }

  /**
   * Round sums into features with a margin.
   *
   * @param {Int16Array} features (h + 2, w + 2, F)
   * @param {Int32Array} sums (h·w, F)
   * @param {Rounding} rounding (F,)
   * @param {number} least
   */
  #roundInto(features, sums, rounding, least) {
    const { width } = this.#grid;
    const inside = features.subarray((width + 3) * this.#net.stride);
    this.#kernel.round(inside, sums, rounding, least, LARGEST, { length: width, gap: 2 });
  }

  /** @param {Group} group @param {number} layer @param {Int16Array} features (h + 2, w + 2, F) */
  #convolve(group, layer, features) {
    this.#kernel.convolve(this.#sums, group.spatial[layer], features, this.#grid.width);
  }

  /**
   * @param {Group} group
   * @param {number} half the half whose weights are used
   * @param {Int16Array} features (P, F)
   * @returns {Int32Array} a copy of the scores (P, 2n)
   */
  #scoresOf(group, half, features) {
    const { factors, offsets } = group.scoreRoundings[half];
    const sums = this.#scores.subarray(0, (features.length / this.#net.stride) * factors.length);
    this.#kernel.add(sums.fill(0), group.outputs[half], features);
    const scores = new Int32Array(sums.length);
    for (let first = 0; first < sums.length; first += factors.length) {
      for (let i = 0; i < factors.length; i++) scores[first + i] = Math.floor(sums[first + i] * factors[i] + offsets[i]);
    }
    return scores;
  }

  /**
   * @param {Int32Array} positions (P,)
   * @returns {Int16Array} the features (P, F) at these positions
   */
  #gather(positions) {
    const { stride } = this.#net;
    const { width } = this.#grid;
    const found = this.#half.subarray(0, positions.length * stride);
    for (let i = 0; i < positions.length; i++) {
      const padded = positions[i] + 2 * Math.floor(positions[i] / width) + width + 3;
      found.set(this.#features.subarray(padded * stride, (padded + 1) * stride), i * stride);
    }
    return found;
  }
}
