/**
 * Decodes the symbols of files as a browser would: `node symbols.mjs DECODER FOLDER`.
 *
 * DECODER: the folder with decoder.js.
 * FOLDER: contains coding.bin and jobs.json, a list of { file, cuts, maxMemory? }. The bytes of `file` are pushed up to
 * each of `cuts`. After each push, the symbols of all pictures are appended to `file`.symbols, with 32 bits. The alpha
 * plane is written to `file`.alpha. results.json receives { header, whole, width, height, shown } for each job, or
 * { error, own }: the message, and whether the error is an OmegaError.
 */

import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [decoderFolder, folder] = process.argv.slice(2);
const decoderModule = await import(pathToFileURL(join(decoderFolder, "decoder.js")));
const { CodingModel } = await import(pathToFileURL(join(decoderFolder, "model.js")));
const { OmegaDecoder, OmegaError, OmegaModel } = decoderModule;

const coding = new CodingModel(new Uint8Array(readFileSync(join(folder, "coding.bin"))));
/** A synthesis that returns gray: the tests compare symbols and errors. */
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
// maxRSS would be the value of the parent process if that is larger
const status = existsSync("/proc/self/status") ? readFileSync("/proc/self/status", "utf8") : "";
const kilobytes = Number(status.match(/VmHWM:\s+(\d+)/)?.[1] ?? 0);
writeFileSync(join(folder, "results.json"), JSON.stringify({ results, kilobytes }));
