/**
 * Matrix products of integers, by WebAssembly with SIMD: one instruction multiplies four pairs of 16 bits and adds the
 * two products of each pair, in 32 bits. The program is small enough to be written here, instruction by instruction.
 */

import { OmegaError } from "./errors.js";

const ROWS = 16; // are computed at once, in four vectors
const MOST_POSITIONS = 128; // in the memory of the program at a time
const PAGE = 1 << 16;

/**
 * Weights in the order in which the program reads them.
 *
 * @typedef {object} PackedWeights
 * @property {number} rows R, a multiple of 16
 * @property {number} depth N, a multiple of 2
 * @property {Int16Array} numbers (R / 16, N / 2, 16, 2)
 */

/** @param {number} rows @returns {number} the rows of packed weights of so many rows */
export const packedRows = (rows) => Math.ceil(rows / ROWS) * ROWS;

/** @param {number} depth @returns {number} the depth of packed weights of such a depth */
export const packedDepth = (depth) => depth + (depth & 1);

/**
 * @param {number} rows
 * @param {number} depth
 * @param {(row: number, column: number) => number} weight of up to 16 bits
 * @returns {PackedWeights} with zeros in the rows and columns that are added
 */
export function pack(rows, depth, weight) {
  const pairs = packedDepth(depth) / 2;
  const numbers = new Int16Array(packedRows(rows) * 2 * pairs);
  for (let row = 0; row < rows; row++) {
    const block = Math.floor(row / ROWS) * pairs;
    for (let column = 0; column < depth; column++) {
      numbers[((block + (column >> 1)) * ROWS + (row % ROWS)) * 2 + (column & 1)] = weight(row, column);
    }
  }
  return { rows: packedRows(rows), depth: 2 * pairs, numbers };
}

/** Adds products of matrices to sums. */
export class Products {
  #memory = new WebAssembly.Memory({ initial: 1 });
  #run;

  /** @throws {OmegaError} where WebAssembly lacks SIMD, or is forbidden */
  constructor() {
    try {
      const instance = new WebAssembly.Instance(new WebAssembly.Module(PROGRAM), { memory: { all: this.#memory } });
      this.#run = /** @type {(...numbers: number[]) => void} */ (instance.exports.add);
    } catch (problem) {
      throw new OmegaError(`this browser cannot decode the picture: ${problem}`);
    }
  }

  /**
   * sums[p, r] += Σ over n: weights[r, n] · numbers[p, n]
   *
   * @param {Int32Array} sums (P, R)
   * @param {PackedWeights} weights
   * @param {Int16Array} numbers (P, N)
   */
  add(sums, weights, numbers) {
    const { rows, depth } = weights;
    const positions = Math.min(MOST_POSITIONS, sums.length / rows);
    const at = { numbers: weights.numbers.byteLength, sums: 0 };
    at.sums = Math.ceil((at.numbers + 2 * positions * depth) / 16) * 16;
    const needed = at.sums + 4 * positions * rows - this.#memory.buffer.byteLength;
    if (needed > 0) this.#memory.grow(Math.ceil(needed / PAGE));
    const { buffer } = this.#memory;
    new Int16Array(buffer).set(weights.numbers);
    const ownSums = new Int32Array(buffer, at.sums);
    const ownNumbers = new Int16Array(buffer, at.numbers);
    for (let first = 0; first * rows < sums.length; first += positions) {
      const some = sums.subarray(first * rows, (first + positions) * rows);
      ownSums.set(some);
      ownNumbers.set(numbers.subarray(first * depth, (first + positions) * depth));
      this.#run(at.sums, 0, at.numbers, some.length / rows, rows / ROWS, 2 * depth);
      some.set(ownSums.subarray(0, some.length));
    }
  }
}

const PROGRAM = (() => {
  const [I32, V128, EMPTY] = [0x7f, 0x7b, 0x40];
  // the arguments, in bytes where they are addresses, and then the other variables
  const [sums, weights, numbers, positions, blocks, depthBytes] = [0, 1, 2, 3, 4, 5];
  const [weight, number, block, end, pair, accumulators] = [6, 7, 8, 9, 10, 11];
  const vectors = [0, 1, 2, 3];

  /** @param {number} variable */
  const get = (variable) => [0x20, variable];
  /** @param {number} variable */
  const set = (variable) => [0x21, variable];
  /** @param {number} value 0 to 63 */
  const constant = (value) => [0x41, value];
  const [add, subtract, lessThan] = [[0x6a], [0x6b], [0x49]];
  /** @param {number} variable @param {number[]} amount */
  const increase = (variable, amount) => [...get(variable), ...amount, ...add, ...set(variable)];
  /** Until the condition, which is computed after the body, is 0. @param {number[][]} body @param {number[]} condition */
  const repeat = (body, condition) => [0x03, EMPTY, ...body.flat(), ...condition, 0x0d, 0, 0x0b];
  /** @param {number} variable */
  const countDown = (variable) => [...get(variable), ...constant(1), ...subtract, 0x22, variable];
  /** @param {number} variable @param {number} offset */
  const loadVector = (variable, offset) => [...get(variable), 0xfd, 0x00, 0, offset];
  /** @param {number} variable @param {number} offset @param {number} vector */
  const storeVector = (variable, offset, vector) => [...get(variable), ...get(vector), 0xfd, 0x0b, 0, offset];
  /** Four times the same 32 bits. @param {number} variable */
  const loadRepeated = (variable) => [...get(variable), 0xfd, 0x09, 0, 0];
  const multiplyPairs = [0xfd, 0xba, 0x01];
  const addVectors = [0xfd, 0xae, 0x01];

  const accumulate = vectors.flatMap((i) => [
    ...get(accumulators + i),
    ...get(pair),
    ...loadVector(weight, 16 * i),
    ...multiplyPairs,
    ...addVectors,
    ...set(accumulators + i),
  ]);
  const overPairs = repeat(
    [loadRepeated(number), set(pair), accumulate, increase(number, constant(4)), increase(weight, [0x41, 0xc0, 0])],
    [...get(number), ...get(end), ...lessThan],
  );
  const overBlocks = repeat(
    [
      [...get(numbers), ...set(number)],
      vectors.flatMap((i) => [...loadVector(sums, 16 * i), ...set(accumulators + i)]),
      overPairs,
      vectors.flatMap((i) => storeVector(sums, 16 * i, accumulators + i)),
      increase(sums, [0x41, 0xc0, 0]),
    ],
    countDown(block),
  );
  const overPositions = repeat(
    [
      [...get(weights), ...set(weight), ...get(blocks), ...set(block)],
      [...get(numbers), ...get(depthBytes), ...add, ...set(end)],
      overBlocks,
      [...get(end), ...set(numbers)],
    ],
    countDown(positions),
  );
  const variables = [2, 4, I32, 5, V128];
  const body = [...variables, ...overPositions, 0x0b];

  /** @param {string} text */
  const name = (text) => [text.length, ...new TextEncoder().encode(text)];
  /** @param {number} value below 2¹⁴ */
  const length = (value) => [(value & 127) | 128, value >> 7];
  /** @param {number} number @param {number[]} content */
  const section = (number, content) => [number, ...length(content.length), ...content];
  return new Uint8Array([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 6, I32, I32, I32, I32, I32, I32, 0]),
    ...section(2, [1, ...name("memory"), ...name("all"), 2, 0, 1]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...name("add"), 0, 0]),
    ...section(10, [1, ...length(body.length), ...body]),
  ]);
})();
