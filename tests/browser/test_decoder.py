"""The decoder in a real browser, compared with Python's: all symbols, and files that it refuses."""

import base64
import hashlib
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from omega_core.codec.loading import load_model, model_path
from omega_core.codec.model import Model
from omega_core.codec.model_parts import load_parts
from omega_core.codec.onnx.coding_file import Blocks, CodingFile, Graph
from omega_core.errors import OmegaError
from omega_core.format.file import OmegaFile

pytestmark = pytest.mark.browser

SIZES = [(1, 1), (1, 40), (33, 1), (15, 17), (16, 16), (17, 47), (50, 33), (64, 96), (90, 75), (31, 130)]
MODES = ["RGB", "L", "RGBA", "LA"]
MEMORY = 1 << 28
DECODE = """
async ([jobs, maxMemory]) => {
  const { OmegaDecoder, OmegaError, OmegaModel } = await import("/omega/decoder.js");
  const { CodingModel } = await import("/omega/model.js");
  const coding = new CodingModel(new Uint8Array(await (await fetch("/compact/coding.bin")).arrayBuffer()));
  const gray = async (symbols, channels, { height, width }) => new Float32Array(3 * 256 * height * width);
  const model = new OmegaModel(coding, gray);
  const hexadecimal = bytes => Array.from(new Uint8Array(bytes), byte => byte.toString(16).padStart(2, "0")).join("");
  const found = [];
  for (const [text, cuts] of jobs) {
    const data = Uint8Array.from(atob(text), character => character.charCodeAt(0));
    const digests = [];
    try {
      const decoder = new OmegaDecoder(model, { maxMemory });
      let done = 0;
      for (const cut of cuts) {
        decoder.push(data.subarray(done, cut));
        done = cut;
        const symbols = Int32Array.from(decoder.latents.flatMap(({ symbols }) => Array.from(symbols)));
        digests.push(hexadecimal(await crypto.subtle.digest("SHA-256", symbols)));
      }
      decoder.end();
      const { width, height } = await decoder.picture();
      found.push({ digests, size: [height, width], whole: decoder.whole });
    } catch (problem) {
      found.push({ digests, problem: String(problem), isOwn: problem instanceof OmegaError });
    }
  }
  return found;
}
"""

load = cache(load_model)


@pytest.fixture(scope="module")
def decode(browser: Any, site: Any) -> Callable[[list[tuple[bytes, list[int]]]], Any]:
    """Decodes files that arrive up to each of several cuts; returns digests of symbols, sizes, and errors."""
    parts = load_parts(model_path("compact"), precision="float32")
    site.contents["/compact/coding.bin"] = CodingFile(
        fingerprint=parts.fingerprint,
        description=parts.description,
        colors=parts.codec.colors,
        sizes=Blocks(stride=16, smallest=1, analysis_halo=5, synthesis_halo=5, padding=None),
        transformed=parts.codec.decoding_memory().transformed,
        analysis=Graph.of("analysis.onnx", b""),
        synthesis=Graph.of("synthesis.onnx", b""),
        prior=parts.prior.arrays(),
    ).to_bytes()
    page = browser.new_page()
    page.goto(f"{site.url}/index.html")

    def run(jobs: list[tuple[bytes, list[int]]]) -> Any:
        return page.evaluate(DECODE, [[[base64.b64encode(data).decode(), cuts] for data, cuts in jobs], MEMORY])

    return run


def digest_at(model: Model, data: bytes, cut: int) -> str:
    """The digest of the symbols that Python decodes from the first bytes of a file."""
    symbols = model._decode(OmegaFile.parse(data[:cut], partial=True))
    return hashlib.sha256(np.concatenate([each.reshape(-1) for each in symbols]).astype(np.int32).tobytes()).hexdigest()


def cuts_of(data: bytes) -> list[int]:
    """Cuts at shares of the stream, within the checksum, and at the end."""
    length = OmegaFile.parse(data).header.length
    start = len(data) - length - 4
    return sorted({start + max(1, int(share * length)) for share in (0.01, 0.2, 0.7)} | {len(data) - 2, len(data)})


def test_symbols_are_those_of_python_at_every_cut(decode: Any, painted: Callable[..., Image.Image]) -> None:
    pictures = [painted(seed, *SIZES[seed % len(SIZES)], MODES[seed % 4]) for seed in range(19)]
    pictures.append(painted(0, 30, 1100))  # in tiles
    made = [load("compact").compress(picture) for picture in pictures]
    for picture, data, own in zip(pictures, made, decode([(data, cuts_of(data)) for data in made]), strict=True):
        assert "problem" not in own, own
        assert own["digests"] == [digest_at(load("compact"), data, cut) for cut in cuts_of(data)]
        assert tuple(own["size"]) == (picture.height, picture.width)
        assert own["whole"]


def test_damaged_files_are_refused_by_name_and_within_memory(
    decode: Any, browser: Any, painted: Callable[..., Image.Image]
) -> None:
    chance = np.random.default_rng(2)
    model = load("compact")
    sources = [model.compress(painted(seed, 40 + seed, 50, MODES[seed])) for seed in range(4)]
    mutated = []
    for number in range(100):
        data = bytearray(sources[number % 4])
        body = len(data) - 4
        for _ in range(chance.integers(1, 4)):
            data[chance.integers(2, 20 if number % 3 else body)] = chance.integers(256)
        if number % 3:  # forged: with the right checksum
            data[body:] = zlib.crc32(data[:body]).to_bytes(4, "little")
        if number % 5 == 0:
            del data[chance.integers(len(data)) :]
        mutated.append(bytes(data))
    refused = 0
    for data, own in zip(mutated, decode([(data, [len(data)]) for data in mutated]), strict=True):
        if "problem" in own:
            refused += 1
            assert own["isOwn"], own
            assert own["problem"].startswith("OmegaError: ")
            continue
        try:
            wanted = digest_at(model, data, len(data))
        except OmegaError:  # nothing of the stream has arrived: in a browser, more may follow
            assert not own["whole"]
        else:
            assert own["digests"] == [wanted]
    assert 30 < refused < 100
    assert most_memory(browser) < MEMORY + (400 << 20)


def most_memory(browser: Any) -> int:
    """The most memory, in bytes, that a process with a page of the browser has taken."""
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    files = [Path(f"/proc/{each['id']}/status") for each in processes if each["type"] == "renderer"]
    lines = [line for file in files if file.exists() for line in file.read_text().splitlines()]
    return max((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM")), default=0)
