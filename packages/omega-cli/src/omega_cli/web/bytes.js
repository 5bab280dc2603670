/** A reader of bytes, checksums and zlib. */

import { CutOffError, damaged } from "./errors.js";

/** Reads bytes and numbers one after the other. Its methods throw CutOffError at the end of the bytes. */
export class Reader {
  /** @param {Uint8Array} data */
  constructor(data) {
    this.data = data;
    /** The offset of the next byte. */
    this.at = 0;
  }

  /** @returns {number} */
  byte() {
    if (this.at >= this.data.length) throw new CutOffError();
    return this.data[this.at++];
  }

  /**
   * @param {number} count
   * @returns {Uint8Array} a copy of the next bytes
   */
  bytes(count) {
    if (this.at + count > this.data.length) throw new CutOffError();
    this.at += count;
    return this.data.slice(this.at - count, this.at);
  }

  /** @returns {number} a varint below 2²⁸ @throws {OmegaError} if it is not canonical */
  varint() {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte();
      value |= (byte & 127) << shift;
      if (byte < 128) {
        if (byte === 0 && shift > 0) break;
        return value;
      }
    }
    throw damaged("a number in its header is not a canonical varint");
  }
}

const CRC_OF_BYTE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  return crc;
});

/**
 * @param {Uint8Array} data
 * @returns {number} the CRC-32, as in zlib and PNG
 */
export function crc32(data) {
  let crc = ~0;
  for (let i = 0; i < data.length; i++) crc = (crc >>> 8) ^ CRC_OF_BYTE[(crc ^ data[i]) & 255];
  return ~crc >>> 0;
}

/**
 * Decompress one zlib stream of a known length.
 *
 * @param {Uint8Array<ArrayBuffer>} data the stream, without further bytes
 * @param {number} length the size of the decompressed data, in bytes
 * @param {string} what a name for the data in error messages
 * @returns {Promise<Uint8Array>}
 */
export async function inflate(data, length, what) {
  const inflated = new Uint8Array(length);
  let there = 0;
  const reader = new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      inflated.set(part.value, there); // throws RangeError if the data is longer
      there += part.value.length;
    }
  } catch {
    reader.cancel().catch(() => {});
    throw damaged(`its ${what} cannot be read`);
  }
  if (there < length) throw damaged(`its ${what} is too short`);
  return inflated;
}
