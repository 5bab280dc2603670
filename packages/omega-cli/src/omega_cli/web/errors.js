/** A problem with a file, a model or a browser. Its message is written for the people who look at the picture. */
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
 * @param {string} what the damage, as a clause
 * @returns {OmegaError}
 */
export const damaged = (what) => new OmegaError(`the file is damaged: ${what}. Get it again.`);
