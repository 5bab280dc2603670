/** The positions of a latent: the halves of a checkerboard, and the neighbors of each position. */

/**
 * @typedef {object} Lattice
 * @property {number} height h
 * @property {number} width w
 * @property {Int32Array} all the positions, row after row
 * @property {Int32Array[]} halves the positions whose row and column have an even sum, and the others, row after row
 */

/**
 * @param {number} height
 * @param {number} width
 * @returns {Lattice}
 */
export function lattice(height, width) {
  const positions = height * width;
  const halves = [new Int32Array((positions + 1) >> 1), new Int32Array(positions >> 1)];
  const there = [0, 0];
  for (let y = 0, position = 0; y < height; y++) {
    for (let x = 0; x < width; x++, position++) {
      const half = (y + x) & 1;
      halves[half][there[half]++] = position;
    }
  }
  return { height, width, all: Int32Array.from({ length: positions }, (_, i) => i), halves };
}

/**
 * Return the sum of neighbors of every position, twice the four direct and once the diagonal ones.
 *
 * @param {Int32Array} numbers (h·w,)
 * @param {Lattice} lattice
 * @param {boolean} repeatEdge whether numbers at the edge are repeated beyond it; otherwise, 0 is beyond it
 * @returns {Int32Array} (h·w,)
 */
export function around(numbers, { height, width }, repeatEdge) {
  const wide = width + 2;
  const padded = new Int32Array((height + 2) * wide);
  for (let y = 0; y < height; y++) padded.set(numbers.subarray(y * width, (y + 1) * width), (y + 1) * wide + 1);
  if (repeatEdge) {
    padded.copyWithin(0, wide, 2 * wide);
    padded.copyWithin((height + 1) * wide, height * wide, (height + 1) * wide);
    for (let row = 0; row < padded.length; row += wide) {
      padded[row] = padded[row + 1];
      padded[row + wide - 1] = padded[row + wide - 2];
    }
  }
  const sums = new Int32Array(numbers.length);
  for (let y = 0, position = 0; y < height; y++) {
    for (let x = 0, i = (y + 1) * wide + 1; x < width; x++, i++, position++) {
      const nearest = padded[i - wide] + padded[i + wide] + padded[i - 1] + padded[i + 1];
      const diagonal = padded[i - wide - 1] + padded[i - wide + 1] + padded[i + wide - 1] + padded[i + wide + 1];
      sums[position] = 2 * nearest + diagonal;
    }
  }
  return sums;
}

/**
 * @param {number} position
 * @param {Lattice} lattice
 * @returns {number[]} its direct neighbors, up to four
 */
export function besides(position, { height, width }) {
  const x = position % width;
  const found = [];
  if (position >= width) found.push(position - width);
  if (position < (height - 1) * width) found.push(position + width);
  if (x > 0) found.push(position - 1);
  if (x < width - 1) found.push(position + 1);
  return found;
}
