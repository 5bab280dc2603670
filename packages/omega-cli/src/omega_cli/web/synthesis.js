/** The synthesis of pixels from symbols: runs `synthesis.onnx` on a whole latent, or tile by tile. */

import { MISSING } from "./symbols.js";

/** The longest side, in positions, of a tile without its halo: it bounds the memory that large pictures take. */
const MAX_POSITIONS = 64;

/** @typedef {import("./container.js").Size} Size */
/** @typedef {import("./model.js").CodingModel} CodingModel */
/** @typedef {import("./symbols.js").Latent} Latent */

/**
 * Computes levels (colors, H, W) of whole blocks, from 0 to 255, from symbols (C, h, w), which may be MISSING.
 *
 * `known`: the number of known symbols of the whole picture, divided by the number of its positions.
 *
 * @callback Graph
 * @param {Int32Array} symbols
 * @param {number} channels C
 * @param {Size} size (h, w)
 * @param {number} known
 * @returns {Promise<Float32Array>}
 */

/**
 * A piece of an axis, in positions: [start, stop), and with its halo [first, last).
 *
 * @typedef {{ first: number, start: number, stop: number, last: number }} Span
 */

/**
 * @param {CodingModel} model
 * @param {Size} size the size of the latent
 * @param {number | null} tile the side of the tiles of the file, in pixels
 * @returns {number} the most positions that are synthesized at once
 */
export function positionsAtOnce({ blocks }, { height, width }, tile) {
  const most = longestPiece(blocks, tile) + 2 * (blocks?.synthesis_halo ?? 0);
  return Math.min(height, most) * Math.min(width, most);
}

/**
 * @param {CodingModel} model
 * @param {Graph} graph
 * @param {Latent} latent
 * @param {Size} picture the size of the picture, in pixels
 * @param {{ tile: number | null, isGray: boolean }} header from the header of the file
 * @returns {Promise<Uint8ClampedArray<ArrayBuffer>>} RGBA, opaque
 */
export async function synthesized(model, graph, latent, picture, { tile, isGray }) {
  const { symbols, size } = latent;
  const pixels = new Uint8ClampedArray(4 * picture.height * picture.width).fill(255);
  let count = 0;
  for (let i = 0; i < symbols.length; i++) if (symbols[i] !== MISSING) count++;
  const known = count / (size.height * size.width);
  if (!model.blocks) {
    const levels = await graph(Int32Array.from(symbols), model.channels, size, known);
    const [rows, columns] = [picture.height, picture.width].map((stop) => ({ start: 0, stop, within: 0 }));
    paint(pixels, picture.width, { levels, width: picture.width, colors: model.colors }, rows, columns, isGray);
    return pixels;
  }
  const { stride, synthesis_halo: halo } = model.blocks;
  const most = longestPiece(model.blocks, tile);
  // the picture is in the middle of its blocks
  const top = Math.floor((size.height * stride - picture.height) / 2);
  const left = Math.floor((size.width * stride - picture.width) / 2);
  for (const down of spans(size.height, most, halo)) {
    for (const across of spans(size.width, most, halo)) {
      const part = { height: down.last - down.first, width: across.last - across.first };
      const levels = await graph(cut(latent, model.channels, down, across), model.channels, part, known);
      const planes = { levels, width: part.width * stride, colors: model.colors };
      const rows = inside(down, stride, top, picture.height);
      const columns = inside(across, stride, left, picture.width);
      paint(pixels, picture.width, planes, rows, columns, isGray);
    }
  }
  return pixels;
}

/**
 * @param {import("./model.js").Blocks | null} blocks
 * @param {number | null} tile
 * @returns {number} the longest side of a piece, in positions
 */
function longestPiece(blocks, tile) {
  return blocks ? Math.max(1, Math.min(MAX_POSITIONS, Math.floor((tile ?? Infinity) / blocks.stride))) : Infinity;
}

/**
 * Divide an axis into pieces of nearly equal length.
 *
 * @param {number} length the length of the axis
 * @param {number} most the greatest length of a piece
 * @param {number} halo the halo on each side
 * @returns {Span[]}
 */
function spans(length, most, halo) {
  const pieces = Math.max(1, Math.ceil(length / most));
  return Array.from({ length: pieces }, (_, i) => {
    const [start, stop] = [Math.floor((length * i) / pieces), Math.floor((length * (i + 1)) / pieces)];
    return { first: Math.max(0, start - halo), start, stop, last: Math.min(length, stop + halo) };
  });
}

/**
 * @param {Latent} latent
 * @param {number} channels C
 * @param {Span} down
 * @param {Span} across
 * @returns {Int32Array} the symbols of a tile with its halo
 */
function cut({ symbols, size }, channels, down, across) {
  const width = across.last - across.first;
  const found = new Int32Array(channels * (down.last - down.first) * width);
  let index = 0;
  for (let channel = 0; channel < channels; channel++) {
    for (let y = down.first; y < down.last; y++, index += width) {
      const row = (channel * size.height + y) * size.width;
      found.set(symbols.subarray(row + across.first, row + across.last), index);
    }
  }
  return found;
}

/**
 * A range [start, stop) of pixels along an axis of a picture; `within` is the index of the first in its tile.
 *
 * @typedef {{ start: number, stop: number, within: number }} Pixels
 */

/**
 * @param {Span} span
 * @param {number} stride
 * @param {number} margin the pixels before the picture
 * @param {number} length the pixels of the picture
 * @returns {Pixels}
 */
function inside({ first, start, stop }, stride, margin, length) {
  const from = Math.max(0, start * stride - margin);
  return { start: from, stop: Math.min(length, stop * stride - margin), within: from + margin - first * stride };
}

/**
 * @param {Uint8ClampedArray} pixels RGBA; the array rounds values
 * @param {number} width the width of the picture
 * @param {{ levels: Float32Array, width: number, colors: number }} planes
 * @param {Pixels} rows
 * @param {Pixels} columns
 * @param {boolean} isGray whether each pixel is the mean of the colors
 */
function paint(pixels, width, { levels, width: stride, colors }, rows, columns, isGray) {
  const plane = levels.length / colors;
  const [green, blue] = colors === 3 ? [plane, 2 * plane] : [0, 0];
  for (let y = rows.start; y < rows.stop; y++) {
    let from = (rows.within + y - rows.start) * stride + columns.within;
    let to = 4 * (y * width + columns.start);
    for (let x = columns.start; x < columns.stop; x++, from++, to += 4) {
      const [r, g, b] = [levels[from], levels[from + green], levels[from + blue]];
      const mean = (r + g + b) / 3;
      pixels[to] = isGray ? mean : r;
      pixels[to + 1] = isGray ? mean : g;
      pixels[to + 2] = isGray ? mean : b;
    }
  }
}
