/**
 * Decodes the symbols of files as a browser would: `node symbols.mjs DECODER FOLDER`.
 *
 * DECODER: the folder with decoder.js.
 * FOLDER: has coding.bin and jobs.json, a list of { file, cuts, maxMemory? }: the bytes of `file` are pushed up to each of
 * `cuts`, and after each push the symbols of all pictures are appended to `file`.symbols, with 32 bits. results.json,
 * which is written, has for each job { header } or { error, own }: whether the error is an OmegaError, and its message.
 */

import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [decoderFolder, folder] = process.argv.slice(2);
const decoderModule = await import(pathToFileURL(join(decoderFolder, "decoder.js")));
const { CodingModel } = await import(pathToFileURL(join(decoderFolder, "model.js")));
const { OmegaDecoder, OmegaError, OmegaModel } = decoderModule;

const coding = new CodingModel(new Uint8Array(readFileSync(join(folder, "coding.bin"))));
/** Gray: what is wanted are symbols, and what picture() says of files. */
const gray = async (symbols, channels, { height, width }) => {
  const stride = coding.blocks?.stride ?? coding.oneSize.image[0] / coding.oneSize.latent[0];
  return new Float32Array(coding.colors * height * stride * width * stride).fill(128);
};
const model = new OmegaModel(coding, gray);

const results = [];
for (const { file, cuts, maxMemory } of JSON.parse(readFileSync(join(folder, "jobs.json"), "utf8"))) {
  const data = new Uint8Array(readFileSync(join(folder, file)));
  try {
    const decoder = new OmegaDecoder(model, { maxMemory });
    let done = 0;
    for (const cut of cuts) {
      decoder.push(data.subarray(done, cut));
      done = cut;
      for (const { symbols } of decoder.latents) appendFileSync(join(folder, `${file}.symbols`), Int32Array.from(symbols));
    }
    decoder.end();
    const { width, height, data: pixels } = await decoder.picture();
    const alpha = pixels.filter((_, i) => i % 4 === 3);
    writeFileSync(join(folder, `${file}.alpha`), alpha);
    results.push({ header: decoder.header, whole: decoder.whole, width, height, shown: pixels[0] });
  } catch (error) {
    results.push({ error: String(error), own: error instanceof OmegaError });
  }
}
// maxRSS would be that of the process that started this one, if it is larger
const status = existsSync("/proc/self/status") ? readFileSync("/proc/self/status", "utf8") : "";
const kilobytes = Number(status.match(/VmHWM:\s+(\d+)/)?.[1] ?? 0);
writeFileSync(join(folder, "results.json"), JSON.stringify({ results, kilobytes }));
