/** A model whose synthesis onnxruntime-web computes. */

import { OmegaError } from "./errors.js";
import { CodingModel } from "./model.js";

const ONLY_ERRORS = 3; // the log level of onnxruntime

/**
 * The part of the module `onnxruntime-web` that is used.
 *
 * @typedef {object} Runtime
 * @property {{ create(data: Uint8Array, options: object): Promise<any> }} InferenceSession
 * @property {new (type: any, data: any, dims: number[]) => any} Tensor
 */

/** A model, ready to decode any number of files. */
export class OmegaModel {
  /**
   * @param {CodingModel} coding
   * @param {import("./synthesis.js").Graph} graph the synthesis
   */
  constructor(coding, graph) {
    this.coding = coding;
    this.graph = graph;
  }

  /**
   * Fetch a model: only `coding.bin` and the graph that it names.
   *
   * @param {string | URL} folder the URL of its folder, with a `/` at the end
   * @param {Runtime} runtime onnxruntime-web
   * @param {RequestInit} [request] the options of the requests
   * @returns {Promise<OmegaModel>}
   * @throws {OmegaError} for a model that cannot be read or is damaged
   */
  static async load(folder, runtime, request) {
    const coding = readCoding(await fetched(new URL("coding.bin", folder), request));
    return OmegaModel.of(coding, await fetched(new URL(coding.synthesis.name, folder), request), runtime);
  }

  /**
   * @param {CodingModel | Uint8Array} coding the content of `coding.bin`
   * @param {Uint8Array} synthesis the content of `synthesis.onnx`
   * @param {Runtime} runtime onnxruntime-web
   * @returns {Promise<OmegaModel>}
   * @throws {OmegaError} for a damaged model
   */
  static async of(coding, synthesis, runtime) {
    const own = coding instanceof CodingModel ? coding : readCoding(coding);
    own.checkSynthesis(synthesis);
    const options = { executionProviders: ["wasm"], logSeverityLevel: ONLY_ERRORS };
    const session = await runtime.InferenceSession.create(synthesis, options).catch(raiseUnusable);
    return new OmegaModel(own, async (symbols, channels, { height, width }, known) => {
      const given = {
        symbols: new runtime.Tensor("int32", symbols, [1, channels, height, width]),
        known: new runtime.Tensor("float32", Float32Array.of(known), [1]),
      };
      const { levels } = await session.run(given).catch(raiseUnusable);
      return levels.data;
    });
  }
}

/** @param {unknown} problem @returns {never} */
function raiseUnusable(problem) {
  throw new OmegaError(`onnxruntime cannot compute the picture: ${problem}`);
}

/** @param {Uint8Array} data @returns {CodingModel} */
function readCoding(data) {
  try {
    return new CodingModel(data);
  } catch (problem) {
    throw problem instanceof OmegaError ? problem : new OmegaError(`coding.bin cannot be read: ${problem}`);
  }
}

/**
 * @param {URL} url
 * @param {RequestInit} [request]
 * @returns {Promise<Uint8Array>} the content at the URL
 */
async function fetched(url, request) {
  try {
    const response = await fetch(url, request);
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    throw new Error(`status ${response.status}`);
  } catch (problem) {
    throw new OmegaError(`cannot read the model ${url}: ${problem}`);
  }
}
