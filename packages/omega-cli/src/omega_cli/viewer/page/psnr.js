/** A worker that computes the PSNR of decoded pictures. The server provides the pixels of their originals. */

/** @type {{ index: number, planes: Promise<Uint8Array | null> } | null} */
let last = null;

addEventListener("message", async ({ data: { index, streamBytes, data } }) => {
  if (last === null || last.index !== index) last = { index, planes: original(index) };
  const planes = await last.planes;
  if (planes) postMessage({ index, streamBytes, psnr: psnr(planes, data) });
});

/** @param {number} index @returns {Promise<Uint8Array | null>} (colors, H, W); null without a matching original */
async function original(index) {
  const response = await fetch(new URL(`originals/${index}`, import.meta.url)).catch(() => null);
  return response?.ok ? new Uint8Array(await response.arrayBuffer()) : null;
}

/**
 * @param {Uint8Array} planes (colors, H, W)
 * @param {Uint8ClampedArray} decoded RGBA
 * @returns {number} the PSNR of the visible pixels in dB; Infinity if they are equal
 */
function psnr(planes, decoded) {
  let sum = 0, count = 0;
  for (let index = 0, color = 0; index < planes.length; color++) {
    for (let i = 0; i < decoded.length; i += 4, index++) {
      if (decoded[i + 3] === 0) continue; // the colors of invisible pixels are not kept
      sum += (planes[index] - decoded[i + color]) ** 2;
      count++;
    }
  }
  return sum ? 10 * Math.log10((255 ** 2 * count) / sum) : Infinity;
}
