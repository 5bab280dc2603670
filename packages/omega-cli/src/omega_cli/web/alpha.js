/** The alpha planes of the pictures in a file. */

import { inflate } from "./bytes.js";

/** @typedef {import("./container.js").Size} Size */

/**
 * @param {Uint8Array<ArrayBuffer>} compressed one zlib stream; empty if all pictures are opaque
 * @param {Size[]} sizes the sizes of the pictures
 * @returns {Promise<Uint8Array[] | null>} the plane of each picture, row after row; null if all are opaque
 * @throws {import("./errors.js").OmegaError} if the stream is damaged
 */
export async function alphaPlanes(compressed, sizes) {
  if (!compressed.length) return null;
  const pixels = sizes.reduce((sum, { height, width }) => sum + height * width, 0);
  const differences = await inflate(compressed, pixels, "alpha");
  let start = 0;
  return sizes.map(({ height, width }) => {
    const plane = differences.subarray(start, (start += height * width));
    for (let i = width; i < plane.length; i++) plane[i] += plane[i - width]; // modulo 256
    return plane;
  });
}
