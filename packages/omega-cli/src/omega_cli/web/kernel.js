/**
 * The arithmetic of the net of a model, in WebAssembly with SIMD: products, convolutions and rounding of integers.
 *
 * The programs are written here, instruction by instruction. Shapes: P positions, R rows and N columns of weights, F
 * features, a multiple of 16.
 */

import * as wasm from "./assembler.js";
import { OmegaError } from "./errors.js";

const ROWS = 16; // rows of a product that are computed at once, in four vectors
const ALIGNMENT = 16;
const PAGE = 1 << 16;
const TAPS = 9;
const [I16, I32] = [2, 4]; // sizes in bytes

/**
 * Weights in the order in which the program reads them.
 *
 * @typedef {object} PackedWeights
 * @property {number} rows R, a multiple of 16
 * @property {number} depth N, a multiple of 2
 * @property {Int16Array} numbers (R / 16, N / 2, 16, 2)
 */

/** @param {number} rows R @returns {number} the number of rows of the packed weights */
export const packedRows = (rows) => Math.ceil(rows / ROWS) * ROWS;

/**
 * @param {number} rows
 * @param {number} depth even
 * @param {(row: number, column: number) => number} weight returns a weight, an integer of up to 16 bits
 * @returns {PackedWeights} the weights, padded with rows of zeros
 */
export function pack(rows, depth, weight) {
  const pairs = depth / 2;
  const numbers = new Int16Array(packedRows(rows) * depth);
  for (let row = 0; row < rows; row++) {
    const block = Math.floor(row / ROWS) * pairs;
    for (let column = 0; column < depth; column++) {
      numbers[((block + (column >> 1)) * ROWS + (row % ROWS)) * 2 + (column & 1)] = weight(row, column);
    }
  }
  return { rows: packedRows(rows), depth, numbers };
}

/** The programs, and a memory of fixed size that contains their arrays. */
export class Kernel {
  #memory;
  #programs;
  #used = 0;
  #constants;

  /**
   * @param {number} bytes the size of all arrays, in bytes
   * @param {number} constants the size of the largest weights, in bytes
   * @throws {OmegaError} if WebAssembly lacks SIMD or is forbidden, or if there is not enough memory
   */
  constructor(bytes, constants) {
    try {
      this.#memory = new WebAssembly.Memory({ initial: Math.ceil((bytes + constants) / PAGE) + 1 });
      const instance = new WebAssembly.Instance(compiled(), { memory: { all: this.#memory } });
      this.#programs = /** @type {Record<string, (...numbers: number[]) => void>} */ (instance.exports);
    } catch (problem) {
      throw new OmegaError(`this browser cannot decode the picture: ${problem}`);
    }
    this.#constants = this.int16(Math.ceil(constants / I16));
  }

  /** @param {number} length @returns {Int16Array} an array of zeros */
  int16(length) {
    return new Int16Array(this.#memory.buffer, this.#allocate(length * I16), length);
  }

  /** @param {number} length @returns {Int32Array} an array of zeros */
  int32(length) {
    return new Int32Array(this.#memory.buffer, this.#allocate(length * I32), length);
  }

  /** @param {number} bytes @returns {number} their address */
  #allocate(bytes) {
    const start = this.#used;
    this.#used += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    return start;
  }

  /**
   * sums[p, r] += Σ over n: weights[r, n] · numbers[p, n]
   *
   * @param {Int32Array} sums (P, R), in this memory
   * @param {PackedWeights} weights
   * @param {Int16Array} numbers (P, N), in this memory
   */
  add(sums, { rows, depth, numbers: weights }, numbers) {
    const positions = sums.length / rows;
    if (positions === 0) return;
    this.#constants.set(weights);
    const addresses = [sums.byteOffset, this.#constants.byteOffset, numbers.byteOffset];
    this.#programs.add(...addresses, positions, rows / ROWS, depth / 2);
  }

  /**
   * Compute the depthwise 3×3 convolution of F features.
   *
   * @param {Int32Array} sums (h, w, F), in this memory
   * @param {Int16Array} weights (9, F)
   * @param {Int16Array} features (h + 2, w + 2, F), in this memory
   * @param {number} width w
   */
  convolve(sums, weights, features, width) {
    const count = weights.length / TAPS;
    this.#constants.set(weights);
    const rowBytes = (width + 2) * count * I16;
    for (let y = 0; y * width * count < sums.length; y++) {
      const row = features.byteOffset + y * rowBytes;
      const addresses = [sums.byteOffset + I32 * y * width * count, this.#constants.byteOffset];
      this.#programs.convolve(...addresses, row, row + rowBytes, row + 2 * rowBytes, width, count * I16, count / 8);
    }
  }

  /**
   * numbers[p, f] = ⌊sums[p, f] · factors[f] + offsets[f]⌋, limited to the range from `least` to `most`
   *
   * @param {Int16Array} numbers (P, F), in this memory
   * @param {Int32Array} sums (P, F), in this memory
   * @param {{ factors: Float32Array, offsets: Float32Array }} rounding (F,)
   * @param {number} least
   * @param {number} most
   * @param {{ length: number, gap: number }} [rows] positions in a row of `numbers`, and in the unwritten gap after it
   */
  round(numbers, sums, { factors, offsets }, least, most, rows) {
    const count = factors.length;
    const length = (rows?.length ?? sums.length / count) * count;
    const step = length + (rows?.gap ?? 0) * count;
    const constants = new Float32Array(this.#memory.buffer, this.#constants.byteOffset, 2 * count);
    constants.set(factors);
    constants.set(offsets, count);
    const first = constants.byteOffset;
    for (let done = 0, at = 0; done < sums.length; done += length, at += step) {
      const addresses = [numbers.byteOffset + I16 * at, sums.byteOffset + I32 * done, first, first + I32 * count];
      this.#programs.round(...addresses, least, most, length / count, count / 8);
    }
  }
}

/** @type {WebAssembly.Module | undefined} */
let programs;

const compiled = () => (programs ??= new WebAssembly.Module(wasm.assembled([add(), convolve(), round()])));

/** The program `add`: for each position, block of 16 rows and pair of columns, it adds four products of four pairs. */
function add() {
  const [sums, weights, numbers, positions, blocks, pairs] = [0, 1, 2, 3, 4, 5];
  const [weight, number, block, left, pair, results] = [6, 7, 8, 9, 10, 11];
  const { get, set, load, increase, constant, repeat } = wasm;
  const vectors = [0, 1, 2, 3];
  const accumulate = vectors.map((i) => {
    const product = wasm.multiplyPairs(get(pair), load(get(weight), 16 * i));
    return set(results + i, wasm.addIntegers(get(results + i), product));
  });
  const overPairs = repeat(
    left,
    set(pair, wasm.loadRepeated(get(number))),
    ...accumulate,
    increase(number, constant(4)),
    increase(weight, constant(64)),
  );
  const overBlocks = repeat(
    block,
    set(number, get(numbers)),
    set(left, get(pairs)),
    ...vectors.map((i) => set(results + i, load(get(sums), 16 * i))),
    overPairs,
    ...vectors.map((i) => wasm.store(get(sums), 16 * i, get(results + i))),
    increase(sums, constant(64)),
  );
  const code = repeat(
    positions,
    set(weight, get(weights)),
    set(block, get(blocks)),
    overBlocks,
    set(numbers, get(number)),
  );
  return program("add", 6, 4, 5, code);
}

/** The program `convolve`: for eight features at a time, at each position of a row, it adds nine products. */
function convolve() {
  const [sums, weights, above, middle, below, width, step, blocks] = [0, 1, 2, 3, 4, 5, 6, 7];
  const [address, left, top, center, bottom] = [8, 9, 10, 11, 12];
  const [number, lower, upper, kernel] = [13, 14, 15, 16]; // kernel: the first of nine variables with the weights
  const { get, set, load, increase, constant, repeat, sum } = wasm;
  const rows = [top, center, bottom];
  const taps = Array.from({ length: TAPS }, (_, tap) => {
    const across = Array(tap % 3).fill(get(step));
    return [
      ...set(number, load(sum(get(rows[Math.floor(tap / 3)]), ...across))),
      ...set(lower, wasm.addIntegers(get(lower), wasm.multiplyLower(get(number), get(kernel + tap)))),
      ...set(upper, wasm.addIntegers(get(upper), wasm.multiplyUpper(get(number), get(kernel + tap)))),
    ];
  });
  const overPositions = repeat(
    left,
    set(lower, wasm.zeros()),
    set(upper, wasm.zeros()),
    ...taps,
    wasm.store(get(address), 0, get(lower)),
    wasm.store(get(address), 16, get(upper)),
    increase(address, sum(get(step), get(step))),
    ...rows.map((row) => increase(row, get(step))),
  );
  const code = repeat(
    blocks,
    set(address, get(weights)),
    ...Array.from({ length: TAPS }, (_, tap) => [
      ...set(kernel + tap, load(get(address))),
      ...increase(address, get(step)),
    ]),
    set(address, get(sums)),
    set(left, get(width)),
    ...[above, middle, below].map((row, i) => [...set(rows[i], get(row)), ...increase(row, constant(16))]),
    overPositions,
    increase(sums, constant(32)),
    increase(weights, constant(16)),
  );
  return program("convolve", 8, 5, 12, code);
}

/** The program `round`: for each position, it rounds eight features at a time, in two vectors. */
function round() {
  const [numbers, sums, factors, offsets, least, most, positions, blocks] = [0, 1, 2, 3, 4, 5, 6, 7];
  const [factor, added, block, lowest, highest] = [8, 9, 10, 11, 12];
  const { get, set, load, increase, constant, repeat } = wasm;
  const [lower, upper] = [0, 16].map((offset) => {
    const divided = wasm.multiplyFloats(wasm.toFloats(load(get(sums), offset)), load(get(factor), offset));
    return wasm.toIntegers(wasm.floor(wasm.addFloats(divided, load(get(added), offset))));
  });
  const limited = wasm.least16(wasm.most16(wasm.narrow(lower, upper), get(lowest)), get(highest));
  const code = [
    ...set(lowest, wasm.repeated16(get(least))),
    ...set(highest, wasm.repeated16(get(most))),
    ...repeat(
      positions,
      set(factor, get(factors)),
      set(added, get(offsets)),
      set(block, get(blocks)),
      repeat(
        block,
        wasm.store(get(numbers), 0, limited),
        increase(numbers, constant(16)),
        increase(sums, constant(32)),
        increase(factor, constant(32)),
        increase(added, constant(32)),
      ),
    ),
  ];
  return program("round", 8, 3, 2, code);
}

/**
 * @param {string} name
 * @param {number} parameters the number of parameters
 * @param {number} integers the number of integer variables
 * @param {number} vectors the number of vector variables, which follow the integers
 * @param {wasm.Code} code
 * @returns {wasm.Program}
 */
function program(name, parameters, integers, vectors, code) {
  return { name, parameters, variables: [[integers, wasm.I32], [vectors, wasm.V128]], code };
}
