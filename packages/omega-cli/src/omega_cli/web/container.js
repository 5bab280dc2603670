/** An `.omega` file that is read while it arrives: its header and checksum, as FORMAT.md specifies them. */

import { Reader, crc32 } from "./bytes.js";
import { CutOffError, OmegaError, damaged } from "./errors.js";

const VERSION = 2;
const CODERS = ["", "omega-entropy/range", "omega-entropy/torchac", "omega-entropy/fixed", "omega-entropy/raw"];
/** @type {Mode[]} */
const MODES = ["L", "RGB", "LA", "RGBA"];
const [TILE, ALPHA, PICTURES] = [1, 2, 3];
const FIRST_OPTIONAL_FIELD = 128;
const MAX_PICTURES = 64;
const SMALL_SIDE = 256;
const [MIN_TILE, MAX_TILE] = [256, 2048];
const CHECKSUM_BYTES = 4;

/** @typedef {"L" | "RGB" | "LA" | "RGBA"} Mode */

/** @typedef {{ height: number, width: number }} Size the size of a picture in pixels, or of a latent in positions */

/**
 * @typedef {object} Header
 * @property {string} fingerprint the first 8 hexadecimal digits of the fingerprint of the model
 * @property {string} coder the qualified name of the coder
 * @property {Mode} mode the mode of the pictures
 * @property {Size[]} sizes the sizes of the pictures
 * @property {number} length the number of bytes of the stream
 * @property {boolean} complete whether the stream has all symbols
 * @property {number | null} tile the side of the tiles, in pixels; null without tiles
 * @property {Uint8Array<ArrayBuffer> | null} alpha the compressed alpha planes; null in modes without alpha
 * @property {number} start the offset of the stream in the file
 */

/** A file that is parsed while it arrives. */
export class ArrivingFile {
  #bytes = new Uint8Array(1 << 12);
  #there = 0;

  /** @type {Header | null} null until it has arrived completely */
  header = null;

  /**
   * @param {Uint8Array} data the next bytes, any number of them
   * @throws {OmegaError} for another format, or a damaged header
   */
  push(data) {
    const there = this.#there + data.length;
    if (there > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(there, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, this.#there));
      this.#bytes = larger;
    }
    this.#bytes.set(data, this.#there);
    this.#there = there;
    if (this.header === null) this.header = this.#readHeader();
  }

  /** Verify the checksum if it has arrived. @throws {OmegaError} if it does not match, or if bytes follow it */
  check() {
    if (this.header === null) return;
    const end = this.header.start + this.header.length;
    const missing = end + CHECKSUM_BYTES - this.#there;
    if (missing < 0) throw damaged(`${-missing} bytes more than its header states`);
    if (missing > 0) return;
    const found = new DataView(this.#bytes.buffer).getUint32(end, true);
    if (crc32(this.#bytes.subarray(0, end)) !== found) throw damaged("its checksum does not match");
  }

  /** The bytes of the stream that have arrived. */
  get stream() {
    if (this.header === null) return new Uint8Array();
    const { start, length } = this.header;
    return this.#bytes.subarray(start, Math.min(start + length, this.#there));
  }

  /** Whether the file has arrived completely. */
  get whole() {
    return this.header !== null && this.#there === this.header.start + this.header.length + CHECKSUM_BYTES;
  }

  #readHeader() {
    try {
      return readHeader(new Reader(this.#bytes.subarray(0, this.#there)));
    } catch (problem) {
      if (problem instanceof CutOffError) return null; // the rest of the header has not arrived
      throw problem;
    }
  }
}

/**
 * @param {Reader} reader a reader at the beginning of a file
 * @returns {Header}
 * @throws {OmegaError} for another format or a damaged header; CutOffError for an incomplete header
 */
export function readHeader(reader) {
  const magic = [reader.byte(), reader.byte()];
  if (magic[0] === 0xcf && magic[1] === 0x89) {
    throw new OmegaError("this is a pack of .omega files: `omega decompress` unpacks it.");
  }
  if (magic[0] !== 0xce || magic[1] !== 0xa9) throw new OmegaError("this is not an .omega file.");
  const first = reader.byte();
  const version = first >> 4;
  if (version !== VERSION) throw new OmegaError(`this .omega file has version ${version}; this page reads ${VERSION}.`);
  const flags = reader.byte();
  const fingerprint = Array.from(reader.bytes(4), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const small = (flags & 4) !== 0;
  const side = () => (small ? reader.byte() + 1 : reader.varint());
  const size = { height: side(), width: side() };
  const coder = readCoder(reader, first & 15);
  const fields = flags & 8 ? readFields(reader) : new Map();
  const lengthBytes = reader.bytes(((flags >> 5) & 3) + 1);
  const length = lengthBytes.reduceRight((value, byte) => value * 256 + byte, 0);
  const mode = MODES[flags & 3];
  const isCanonical =
    flags < 128 &&
    small === Math.max(size.height, size.width) <= SMALL_SIDE &&
    (lengthBytes.length === 1 || lengthBytes[lengthBytes.length - 1] > 0) &&
    fields.has(ALPHA) === mode.endsWith("A");
  const sizes = isCanonical ? readSizes(size, fields.get(PICTURES)) : [];
  if (!sizes.length || sizes.some((each) => each.height < 1 || each.width < 1)) throw contradiction();
  return {
    fingerprint,
    coder,
    mode,
    sizes,
    length,
    complete: (flags & 16) !== 0,
    tile: readTile(fields.get(TILE)),
    alpha: fields.get(ALPHA) ?? null,
    start: reader.at,
  };
}

const contradiction = () => damaged("its header contradicts itself");

/**
 * @param {Reader} reader
 * @param {number} number the number of the coder; 0 if its name follows
 * @returns {string} its qualified name
 */
function readCoder(reader, number) {
  if (number >= CODERS.length) throw new OmegaError(`this .omega file has coder number ${number}, which is unknown.`);
  if (number > 0) return CODERS[number];
  const name = new TextDecoder().decode(reader.bytes(reader.varint()));
  if (name.split("/").length !== 2 || CODERS.includes(name)) throw contradiction();
  return name;
}

/**
 * @param {Reader} reader
 * @returns {Map<number, Uint8Array<ArrayBuffer>>} the bytes of each field, by number
 */
function readFields(reader) {
  const fields = new Map();
  let last = 0;
  for (let number = reader.byte(); number > 0; number = reader.byte()) {
    if (number <= last) throw damaged("fields of its header are out of order");
    if (![TILE, ALPHA, PICTURES].includes(number) && number < FIRST_OPTIONAL_FIELD) {
      throw new OmegaError(`this .omega file has a field ${number}, which is unknown.`);
    }
    fields.set(number, reader.bytes(reader.varint()));
    last = number;
  }
  if (!fields.size) throw contradiction();
  return fields;
}

/**
 * @param {Size} first
 * @param {Uint8Array | undefined} field the field with the sizes of the other pictures
 * @returns {Size[]} the sizes of all pictures; empty if the field is invalid
 */
function readSizes(first, field) {
  if (field === undefined) return [first];
  return within(field, (reader) => {
    const count = reader.byte();
    if (count < 2 || count > MAX_PICTURES) return [];
    if (field.length === 1) return Array(count).fill(first);
    const sizes = [first];
    while (sizes.length < count) sizes.push({ height: reader.varint(), width: reader.varint() });
    return sizes.some((size) => size.height !== first.height || size.width !== first.width) ? sizes : [];
  });
}

/**
 * @param {Uint8Array | undefined} field
 * @returns {number | null} the side of the tiles, in pixels; null without tiles
 */
function readTile(field) {
  if (field === undefined) return null;
  const tile = within(field, (reader) => reader.varint());
  if (tile >= MIN_TILE && tile <= MAX_TILE) return tile;
  throw damaged(`its tiles have ${tile}, not ${MIN_TILE} to ${MAX_TILE} pixels`);
}

/**
 * @template T
 * @param {Uint8Array} field
 * @param {(reader: Reader) => T} read reads the field to its end
 * @returns {T}
 */
function within(field, read) {
  const reader = new Reader(field);
  try {
    const found = read(reader);
    if (reader.at === field.length) return found;
  } catch (problem) {
    if (!(problem instanceof OmegaError)) throw problem;
  }
  throw contradiction();
}
