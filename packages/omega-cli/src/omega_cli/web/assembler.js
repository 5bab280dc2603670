/** An assembler for the WebAssembly instructions that kernel.js uses. Code is a list of bytes. */

export const I32 = 0x7f;
export const V128 = 0x7b;
const EMPTY = 0x40;

/** @typedef {number[]} Code */

/**
 * @param {number} value an integer of up to 32 bits
 * @returns {Code} signed LEB128
 */
function signed(value) {
  const low = value & 127;
  const rest = value >> 7;
  const isLast = (rest === 0 && low < 64) || (rest === -1 && low >= 64);
  return isLast ? [low] : [low | 128, ...signed(rest)];
}

/**
 * @param {number} value an integer of 0 or more
 * @returns {Code} unsigned LEB128
 */
const unsigned = (value) => (value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >> 7)]);

/** @param {number} operation the opcode @returns {Code} a vector instruction */
const vector = (operation) => [0xfd, ...unsigned(operation)];

/** @param {number} variable @returns {Code} */
export const get = (variable) => [0x20, variable];

/** Set a variable to the result of code. @param {number} variable @param {...Code} code @returns {Code} */
export const set = (variable, ...code) => [...code.flat(), 0x21, variable];

/** @param {number} value @returns {Code} */
export const constant = (value) => [0x41, ...signed(value)];

/** @param {number} variable @param {Code} amount @returns {Code} */
export const increase = (variable, amount) => set(variable, get(variable), amount, [0x6a]);

/** @param {Code} first @param {...Code} others @returns {Code} their sum */
export const sum = (first, ...others) => [...first, ...others.flatMap((other) => [...other, 0x6a])];

/** Repeat code at least once, and count a variable down to 0. @param {number} variable @param {...Code} body */
export const repeat = (variable, ...body) => [
  ...[0x03, EMPTY],
  ...body.flat(),
  ...[...get(variable), ...constant(1), 0x6b, 0x22, variable, 0x0d, 0, 0x0b],
];

/** @param {Code} address @param {number} [offset] below 128 @returns {Code} the vector at this address */
export const load = (address, offset = 0) => [...address, ...vector(0), 0, offset];

/** @param {Code} address @returns {Code} a vector of four copies of the 32 bits at this address */
export const loadRepeated = (address) => [...address, ...vector(9), 0, 0];

/** @param {Code} address @param {number} offset below 128 @param {Code} value a vector */
export const store = (address, offset, value) => [...address, ...value, ...vector(11), 0, offset];

/**
 * @param {number} operation the opcode
 * @returns {(...operands: Code[]) => Code} the operation on vectors
 */
const operator = (operation) => (...operands) => [...operands.flat(), ...vector(operation)];

export const repeated16 = operator(0x10);
export const floor = operator(0x68);
export const narrow = operator(0x85);
export const least16 = operator(0x96);
export const most16 = operator(0x98);
export const addIntegers = operator(0xae);
export const multiplyPairs = operator(0xba);
export const multiplyLower = operator(0xbc);
export const multiplyUpper = operator(0xbd);
export const addFloats = operator(0xe4);
export const multiplyFloats = operator(0xe6);
export const toIntegers = operator(0xf8);
export const toFloats = operator(0xfa);

/** @returns {Code} a vector of zeros */
export const zeros = () => [...vector(12), ...Array(16).fill(0)];

/**
 * @typedef {object} Program
 * @property {string} name
 * @property {number} parameters the number of parameters, of type I32
 * @property {[number, number][]} variables counts and their types; variables are numbered after the parameters
 * @property {Code} code
 */

/**
 * @param {Program[]} programs
 * @returns {Uint8Array<ArrayBuffer>} a module that imports `memory.all` and exports the programs
 */
export function assembled(programs) {
  /** @param {Code[]} entries */
  const list = (entries) => [entries.length, ...entries.flat()];
  /** @param {string} text */
  const name = (text) => [text.length, ...new TextEncoder().encode(text)];
  /** @param {Code} content */
  const sized = (content) => [...unsigned(content.length), ...content];
  const types = programs.map(({ parameters }) => [0x60, parameters, ...Array(parameters).fill(I32), 0]);
  const bodies = programs.map(({ variables, code }) => sized([...list(variables), ...code, 0x0b]));
  return new Uint8Array([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...[1, ...sized(list(types))],
    ...[2, ...sized(list([[...name("memory"), ...name("all"), 2, 0, 1]]))],
    ...[3, ...sized(list(programs.map((_, i) => [i])))],
    ...[7, ...sized(list(programs.map((program, i) => [...name(program.name), 0, i])))],
    ...[10, ...sized(list(bodies))],
  ]);
}
