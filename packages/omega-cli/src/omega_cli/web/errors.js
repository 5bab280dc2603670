/** What can be wrong with a file, a model or a browser, in a sentence for whoever looks at the picture. */
export class OmegaError extends Error {
  name = "OmegaError";
}

/** The bytes end in the header. */
export class CutOffError extends OmegaError {
  constructor() {
    super("the file is incomplete: it ends in its header. Nothing can be decoded.");
  }
}

/**
 * @param {string} what of the file
 * @returns {OmegaError}
 */
export const damaged = (what) => new OmegaError(`the file is damaged: ${what}. Get it again.`);
