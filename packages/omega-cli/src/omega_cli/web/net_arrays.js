/** The integers of the net of a model, checked and in the order in which the kernel reads them. */

import { OmegaError } from "./errors.js";
import { pack, packedRows } from "./kernel.js";

const KINDS = 8;
const TABLES = 40 * (KINDS - 2 + 2 * 25);
const MAX_LEVEL = 31;
const [LAYERS, TAPS, ROUNDINGS] = [3, 9, 8];

/** @typedef {import("./kernel.js").PackedWeights} PackedWeights */

/**
 * The rounding of sums x to features ⌊x · factors[f] + offsets[f]⌋. A factor is a power of two, an offset is ½ plus the
 * bias times the factor. 32-bit floating-point numbers hold both exactly.
 *
 * @typedef {{ factors: Float32Array, offsets: Float32Array }} Rounding
 */

/**
 * The weights of a group of n channels. W features are padded to F with zeros.
 *
 * @typedef {object} Group
 * @property {number} start the first channel
 * @property {number} end the channel after the last
 * @property {PackedWeights} inputs (W, 2n)
 * @property {PackedWeights} own (W, 2n)
 * @property {Int16Array[]} spatial (9, F), for each of three layers
 * @property {PackedWeights[]} mixing (W, W), for each of three layers
 * @property {PackedWeights[]} outputs (2n, W), for each half
 * @property {Rounding[]} roundings (F,), for the inputs, three spatial and three mixing layers, and `own`
 * @property {Rounding[]} scoreRoundings (2n,), padded, for each half
 */

/**
 * @typedef {object} NetArrays
 * @property {number} channels C
 * @property {number} alphabet S
 * @property {number} stride F
 * @property {Int32Array} tables (2240, S + 1)
 * @property {Int32Array} classes (C,)
 * @property {Int32Array} ranks (K, 2240)
 * @property {Int32Array} parents (C,)
 * @property {Int32Array} levels (63, S)
 * @property {Int32Array} latest (C,), the group with which the symbols of each channel that refine are coded
 * @property {Int32Array} signed (S,), the signed mark of each symbol that does not refine; its size is the other mark
 * @property {Int32Array} base (C, 2)
 * @property {Int32Array} ofKind (C, 8)
 * @property {Int32Array} inSecond (C,)
 * @property {Int32Array} around (C, 2)
 * @property {Int32Array} beside (C, 2)
 * @property {Group[]} groups
 * @property {{ rows: number, columns: number, bytes: number }} widest the most rows of the weights of scores, the
 *   most columns of the weights of marks, and the most bytes of weights
 */

/**
 * @param {import("./model.js").Arrays} arrays the arrays of the model
 * @param {number} channels C
 * @param {number} alphabet S
 * @returns {NetArrays}
 * @throws {OmegaError} for arrays that do not fit each other
 */
export function netArrays(arrays, channels, alphabet) {
  const bounds = arrays.get("net.bounds", [null]);
  const count = bounds.length - 1;
  const width = arrays.get("net.bias", [count, null]).length / count;
  const ranks = arrays.get("ranks", [null, TABLES]);
  arrays.check("ranks", 0, ranks.length - 1);
  const classes = arrays.get("classes", [channels]);
  arrays.check("classes", 0, ranks.length / TABLES - 1);
  const levels = arrays.get("net.levels", [2 * MAX_LEVEL + 1, alphabet]);
  arrays.check("net.levels", -MAX_LEVEL, MAX_LEVEL);
  const parents = arrays.get("net.parents", [channels]);
  const latest = arrays.get("latest", [channels]);
  const groups = [];
  for (let index = 0; index < count; index++) {
    const [start, end] = [bounds[index], bounds[index + 1]];
    const own = parents.subarray(start, end);
    const isInOrder =
      start < end &&
      own.every((parent) => parent >= -1 && parent < start && (parent < 0 || latest[parent] < index)) &&
      latest.subarray(start, end).every((group) => group >= index && group < count);
    if (!isInOrder) throw new OmegaError("the model is damaged: its groups of channels are out of order.");
    groups.push(groupOf(arrays, { index, count, start, end, channels, width }));
  }
  if (bounds[0] !== 0 || bounds[count] !== channels) {
    throw new OmegaError("the model is damaged: its groups do not contain all channels.");
  }
  return {
    channels,
    alphabet,
    stride: packedRows(width),
    tables: arrays.get("tables", [TABLES, alphabet + 1]),
    classes,
    ranks,
    parents,
    levels,
    latest,
    signed: signedMarks(levels, alphabet),
    base: arrays.get("net.base", [channels, 2]),
    ofKind: arrays.get("net.of_kind", [channels, KINDS]),
    inSecond: arrays.get("net.in_second", [channels]),
    around: arrays.get("net.around", [channels, 2]),
    beside: arrays.get("net.beside", [channels, 2]),
    groups,
    widest: {
      rows: most(groups, ({ outputs }) => outputs[0].rows),
      columns: most(groups, ({ inputs }) => inputs.depth),
      bytes: most(groups, ({ outputs, inputs, mixing, spatial }) => {
        const weights = [outputs[0], inputs, mixing[0]].map(({ numbers }) => numbers.byteLength);
        return Math.max(...weights, spatial[0].byteLength);
      }),
    },
  };
}

/**
 * @param {import("./model.js").Arrays} arrays
 * @param {{ index: number, count: number, start: number, end: number, channels: number, width: number }} sizes
 * @returns {Group}
 */
function groupOf(arrays, { index, count, start, end, channels, width }) {
  const stride = packedRows(width);
  const columns = 2 * (end - start);
  /** Return the numbers of group or layer i, of which each has `size`. @param {Int32Array} all */
  const part = (all, /** @type {number} */ i, /** @type {number} */ size) => {
    return all.subarray(i * size, (i + 1) * size);
  };
  /** @param {string} name the name of weights (W, 2·C) of marks */
  const ofMarks = (name) => {
    const weights = arrays.get(name, [width, 2 * channels]);
    return pack(width, columns, (row, column) => weights[2 * (row * channels + start) + column]);
  };
  /** @param {string} name the name of weights (2·C, W) of features */
  const ofScores = (name) => {
    const weights = arrays.get(`net.${name}`, [2 * channels, width]);
    return pack(columns, stride, (row, column) => (column < width ? weights[(2 * start + row) * width + column] : 0));
  };
  const layers = [0, 1, 2].map((layer) => index * LAYERS + layer);
  const mixing = arrays.get("net.mixing", [count, LAYERS, width, width]);
  const spatial = arrays.get("net.spatial", [count, LAYERS, width, 3, 3]);
  const mixingBias = arrays.get("net.mixing_bias", [count, LAYERS, width]);
  const spatialBias = arrays.get("net.spatial_bias", [count, LAYERS, width]);
  const shifts = arrays.get("net.shifts", [count, ROUNDINGS, width]);
  const scoreShifts = arrays.get("net.score_shifts", [2, 2 * channels]);
  const biases = [
    part(arrays.get("net.bias", [count, width]), index, width),
    ...layers.map((layer) => part(spatialBias, layer, width)),
    ...layers.map((layer) => part(mixingBias, layer, width)),
    new Int32Array(width),
  ];
  return {
    start,
    end,
    inputs: ofMarks("net.inputs"),
    own: ofMarks("net.own"),
    spatial: layers.map((layer) => transposed(part(spatial, layer, width * TAPS), stride)),
    mixing: layers.map((layer) => {
      const own = part(mixing, layer, width * width);
      return pack(width, stride, (row, column) => (column < width ? own[row * width + column] : 0));
    }),
    outputs: [ofScores("first"), ofScores("second")],
    roundings: biases.map((bias, i) => rounding(part(shifts, index * ROUNDINGS + i, width), bias, stride)),
    scoreRoundings: ["first", "second"].map((name, half) => {
      const own = part(scoreShifts, half, 2 * channels).subarray(2 * start, 2 * end);
      const bias = arrays.get(`net.${name}_bias`, [2 * channels]).subarray(2 * start, 2 * end);
      return rounding(own, bias, packedRows(columns));
    }),
  };
}

/**
 * @param {Group[]} groups
 * @param {(group: Group) => number} number returns the number of a group
 * @returns {number} the largest number
 */
const most = (groups, number) => groups.reduce((largest, group) => Math.max(largest, number(group)), 0);

/**
 * @param {Int32Array} kernels (W, 9)
 * @param {number} stride F
 * @returns {Int16Array} (9, F)
 */
function transposed(kernels, stride) {
  const found = new Int16Array(TAPS * stride);
  kernels.forEach((weight, i) => (found[(i % TAPS) * stride + Math.floor(i / TAPS)] = weight));
  return found;
}

/**
 * @param {Int32Array} shifts the powers of two by which sums are divided
 * @param {Int32Array} bias
 * @param {number} length
 * @returns {Rounding} the rounding, padded with zeros
 */
function rounding(shifts, bias, length) {
  const [factors, offsets] = [new Float32Array(length), new Float32Array(length)];
  shifts.forEach((shift, i) => {
    factors[i] = 2 ** -shift;
    offsets[i] = bias[i] * factors[i] + 0.5;
  });
  return { factors, offsets };
}

/**
 * Return the signed marks of symbols that do not refine.
 *
 * @param {Int32Array} levels (63, S)
 * @param {number} alphabet S
 * @returns {Int32Array} (S,), twice their levels, limited to ±6
 */
function signedMarks(levels, alphabet) {
  const own = levels.subarray(MAX_LEVEL * alphabet, (MAX_LEVEL + 1) * alphabet);
  return own.map((level) => 2 * Math.max(-3, Math.min(3, level)));
}
