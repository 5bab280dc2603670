/** Alpha planes of the pictures of a file. */

import { inflate } from "./bytes.js";

/** @typedef {import("./container.js").Size} Size */

/**
 * @param {Uint8Array<ArrayBuffer>} compressed one zlib stream, or nothing if all pictures are opaque
 * @param {Size[]} sizes of the pictures
 * @returns {Promise<Uint8Array[] | null>} the plane of each, row after row; null if all are opaque
 * @throws {import("./errors.js").OmegaError} if it is damaged
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
