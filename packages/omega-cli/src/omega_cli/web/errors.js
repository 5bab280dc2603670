/** What can be wrong with a file, a model or a browser, in one sentence for whoever looks at the picture. */
export class OmegaError extends Error {
  name = "OmegaError";
}

/** The bytes end where more were expected; more of them may arrive. */
export class CutOffError extends OmegaError {
  name = "CutOffError";
}

/**
 * @param {string} what of the file
 * @returns {OmegaError}
 */
export const damaged = (what) => new OmegaError(`the file is damaged: ${what}. Get it again.`);
