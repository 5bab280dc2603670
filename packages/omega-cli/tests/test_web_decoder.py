"""The decoder in JavaScript, run by node, against Python's: symbols to the last one, and what it refuses."""

import gzip
import json
import shutil
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from omega_cli.web_files import decoder_files
from omega_core.codec.loading import load_model, model_path
from omega_core.codec.model import Model
from omega_core.codec.model_parts import load_parts
from omega_core.codec.onnx.coding_file import Blocks, CodingFile, Graph, OneSize
from omega_core.contracts import LocalArchitecture
from omega_core.errors import OmegaError
from omega_core.format.file import OmegaFile
from omega_core.plugins.registry import registry

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="needs node")
SCRIPT = Path(__file__).parent / "web_decoder" / "symbols.mjs"
MAX_BYTES = 30_000
MEMORY = 1 << 28
COMPACT = registry().find_model("compact").fingerprint

load = cache(load_model)


@cache
def coding_file(name: str) -> bytes:
    """`coding.bin` of a bundled model, as `omega export-onnx` writes it, but without graphs: symbols need none."""
    parts = load_parts(model_path(name), precision="float32")
    codec = parts.codec
    stride = codec.architecture.stride if isinstance(codec.architecture, LocalArchitecture) else 16
    blocks = Blocks(stride=stride, smallest=1, analysis_halo=5, synthesis_halo=5, padding=None)
    return CodingFile(
        fingerprint=parts.fingerprint,
        description=parts.description,
        colors=codec.colors,
        sizes=OneSize(image=(28, 28), latent=(3, 3)) if codec.image_size else blocks,
        transformed=codec.decoding_memory().transformed,
        analysis=Graph.of("analysis.onnx", b""),
        synthesis=Graph.of("synthesis.onnx", b""),
        prior=parts.prior.arrays(),
    ).to_bytes()


@dataclass(frozen=True)
class Job:
    """The bytes of a file, and up to where they have arrived each time that symbols are decoded."""

    data: bytes
    cuts: list[int]


@dataclass(frozen=True)
class Decoded:
    """What JavaScript says of a file, the symbols after each cut, and the alpha plane."""

    result: dict[str, Any]
    symbols: NDArray[np.int32]
    alpha: bytes


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the modules, as they are served."""
    folder: Path = tmp_path_factory.mktemp("decoder")
    for name, content in decoder_files().items():
        (folder / name).write_bytes(content)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


@pytest.fixture
def decode(decoder: Path, tmp_path: Path) -> Callable[..., tuple[list[Decoded], int]]:
    """Decodes jobs in one process of node, and returns with the results the most kilobytes that it took."""

    def run(model: str, jobs: list[Job], *, memory: int = 1 << 30) -> tuple[list[Decoded], int]:
        (tmp_path / "coding.bin").write_bytes(coding_file(model))
        told = []
        for number, job in enumerate(jobs):
            (tmp_path / f"{number}.omega").write_bytes(job.data)
            told.append({"file": f"{number}.omega", "cuts": job.cuts, "maxMemory": memory})
        (tmp_path / "jobs.json").write_text(json.dumps(told))
        done = subprocess.run([str(NODE), str(SCRIPT), str(decoder), str(tmp_path)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        report = json.loads((tmp_path / "results.json").read_text())
        found = []
        for number, result in enumerate(report["results"]):
            symbols, alpha = (tmp_path / f"{number}.omega.{what}" for what in ("symbols", "alpha"))
            numbers = np.fromfile(symbols, np.int32) if symbols.exists() else np.zeros(0, np.int32)
            found.append(Decoded(result, numbers, alpha.read_bytes() if alpha.exists() else b""))
        return found, report["kilobytes"]

    return run


def painted(seed: int, height: int, width: int, mode: str = "RGB") -> Image.Image:
    """A picture with ramps, edges and noise."""
    chance = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    planes = [
        (rows * chance.integers(1, 4) + columns * chance.integers(1, 4) + columns // 9 % 2 * 60) % 220 for _ in mode
    ]
    noisy = [Image.fromarray((plane + chance.integers(0, 36, plane.shape)).astype(np.uint8)) for plane in planes]
    return Image.merge(mode, noisy)


def symbols_at(model: Model, data: bytes, cut: int) -> NDArray[np.int32]:
    """The symbols of all pictures that Python decodes from the first bytes of a file."""
    file = OmegaFile.parse(data[:cut], partial=True)
    return np.concatenate([each.reshape(-1) for each in model._decode(file)]).astype(np.int32)


def cuts_of(data: bytes) -> list[int]:
    """After the header, at shares of the stream, within the last bytes, and at the end."""
    file = OmegaFile.parse(data)
    start, length = len(data) - file.header.length - 4, file.header.length
    shares = {start + max(1, int(share * length)) for share in (0.003, 0.02, 0.08, 0.3, 0.7)}
    return sorted({start + 1, start + min(2, length), *shares, len(data) - 5, len(data) - 1, len(data)})


def check_symbols(model: str, made: list[bytes], decode: Callable[..., Any]) -> list[Decoded]:
    """Compare the symbols of files at each cut; return what was decoded."""
    decoded, _ = decode(model, [Job(data, cuts_of(data)) for data in made])
    for data, own in zip(made, decoded, strict=True):
        assert "error" not in own.result, own.result
        wanted = [symbols_at(load(model), data, cut) for cut in cuts_of(data)]
        assert np.array_equal(own.symbols, np.concatenate(wanted))
        assert (own.symbols[-wanted[-1].size :] >= 0).all()
    return decoded


def forged(data: bytes, **changes: Any) -> bytes:
    """A file with another header, and the right checksum."""
    file = OmegaFile.parse(data)
    return OmegaFile(replace(file.header, **changes), file.stream).to_bytes()


SIZES = [(1, 1), (1, 40), (33, 1), (15, 17), (16, 16), (17, 47), (50, 33), (64, 96), (90, 75), (31, 130), (48, 144)]
MODES = ["RGB", "L", "RGBA", "LA"]


@pytest.mark.parametrize("model", ["compact", "compact-screen"])
def test_symbols_of_photos_are_those_of_python_at_every_cut(decode: Callable[..., Any], model: str) -> None:
    count = 18 if model == "compact" else 8
    pictures = [painted(seed, *SIZES[seed % len(SIZES)], MODES[seed % 4]) for seed in range(count)]
    pictures += [painted(0, 60, 1100), Image.new("RGBA", (70, 50), (200, 10, 30, 255))]
    decoded = check_symbols(model, [load(model).compress(picture) for picture in pictures], decode)
    for picture, own in zip(pictures, decoded, strict=True):
        assert (own.result["width"], own.result["height"]) == picture.size
        assert own.result["header"]["mode"] == picture.mode
        assert own.result["whole"]
        opaque = b"\xff" * (picture.width * picture.height)
        assert own.alpha == (picture.getchannel("A").tobytes() if "A" in picture.mode else opaque)


def test_shortened_files_have_the_symbols_that_python_finds_in_them(decode: Callable[..., Any]) -> None:
    whole = OmegaFile.parse(load("compact").compress(painted(3, 90, 75)))
    shorter = [whole.truncated(int(share * whole.header.length)).to_bytes() for share in (0.9, 0.5, 0.1, 0.01, 0.0)]
    decoded, _ = decode("compact", [Job(data, [len(data)]) for data in shorter])
    for data, own in zip(shorter, decoded, strict=True):
        assert np.array_equal(own.symbols, symbols_at(load("compact"), data, len(data)))
        assert not own.result["header"]["complete"]


@pytest.mark.parametrize("name", ["mnist-omega-16", "mnist-integer-16"])
def test_models_with_other_priors_decode_the_same(name: str, decode: Callable[..., Any]) -> None:
    pictures = [painted(seed, 28, 28, "L") for seed in range(8)]
    model = load(name)
    several = model.encode_together([model.read(picture) for picture in pictures])
    files_of_one = [model.compress(picture) for picture in pictures]
    other_coders = [model.compress(pictures[0], coder=coder) for coder in ("fixed", "raw")]
    check_symbols(name, [*files_of_one, *other_coders, several.to_bytes()], decode)


def test_bytes_that_arrive_one_by_one_change_nothing(decode: Callable[..., Any]) -> None:
    data = load("compact").compress(painted(5, 40, 52, "RGBA"))
    [own], _ = decode("compact", [Job(data, list(range(1, len(data) + 1)))])
    last = symbols_at(load("compact"), data, len(data))
    assert np.array_equal(own.symbols[-last.size :], last)


def test_damaged_and_forged_files_are_refused_by_name_and_decode_as_python_does(decode: Callable[..., Any]) -> None:
    chance = np.random.default_rng(1)
    model = load("compact")
    sources = [model.compress(painted(seed, 40 + seed, 70, MODES[seed % 4])) for seed in range(4)]
    sources.append(model.compress(painted(9, 20, 300)))
    mutated = []
    for number in range(150):
        data = bytearray(sources[number % len(sources)])
        body = len(data) - 4
        kind = number % 3
        reach = 20 if kind < 2 else body  # headers are short
        for _ in range(chance.integers(1, 4)):
            data[chance.integers(2, min(reach, body))] = chance.integers(256)
        if kind:  # forged: with the right checksum
            data[body:] = zlib.crc32(data[:body]).to_bytes(4, "little")
        if chance.integers(5) == 0:
            del data[chance.integers(len(data)) :]
        if chance.integers(9) == 0:
            data += b"more"
        mutated.append(bytes(data))
    decoded, kilobytes = decode("compact", [Job(data, [len(data)]) for data in mutated], memory=MEMORY)
    refused = 0
    for data, own in zip(mutated, decoded, strict=True):
        try:
            wanted = symbols_at(model, data, len(data))
        except OmegaError:
            wanted = None
        if "error" in own.result:
            refused += 1
            assert own.result["own"], own.result
            assert own.result["error"].startswith("OmegaError: ")
            assert wanted is None or "alpha" in own.result["error"]  # which Python reads with the pixels
        elif wanted is not None:
            assert np.array_equal(own.symbols, wanted)
        else:  # nothing of the stream has arrived: in a browser, more may follow
            assert not own.result["whole"] or not own.result["header"]["length"]
    assert 30 < refused < len(mutated)
    assert kilobytes << 10 < MEMORY + (300 << 20)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda data: data[:0], "the file is incomplete: it ends in its header"),
        (lambda data: data[:7], "the file is incomplete: it ends in its header"),
        (lambda data: b"GIF89a" + data, "this is not an .omega file"),
        (lambda data: b"\xcf\x89" + data[2:], "this is a pack of .omega files"),
        (lambda data: data[:2] + b"\x31" + data[3:], "this .omega file has version 3"),
        (
            lambda data: forged(data, fingerprint=b"1234"),
            f"this file was made with the model 31323334, not {COMPACT[:8]}",
        ),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "its checksum does not match"),
        (lambda data: data + b"!", "1 bytes more than its header states"),
    ],
)
def test_errors_say_what_is_wrong(change: Callable[[bytes], bytes], complaint: str, decode: Callable[..., Any]) -> None:
    data = change(load("compact").compress(painted(1, 30, 30)))
    [own], _ = decode("compact", [Job(data, [len(data)])])
    assert own.result["own"]
    assert complaint in own.result["error"]


def test_a_picture_that_would_take_too_much_memory_is_refused_before_it_does(decode: Callable[..., Any]) -> None:
    data = load("compact").compress(painted(0, 60, 1100))
    large = [forged(data, sizes=((side, side),), tile=1024) for side in (1 << 13, (1 << 28) - 1)]
    several = forged(data, sizes=((1500, 1500),) * 64)
    decoded, kilobytes = decode("compact", [Job(each, [len(each)]) for each in (*large, several)])
    for own in decoded:
        assert "MiB of memory, more than 1024" in own.result["error"]
    assert kilobytes < 300 << 10


def test_the_decoder_is_small() -> None:
    assert sum(len(gzip.compress(content)) for content in decoder_files().values()) < MAX_BYTES


def test_what_is_served_has_no_comments() -> None:
    for name, content in decoder_files().items():
        lines = [line.strip() for line in content.decode().splitlines()]
        assert not [line for line in lines if line.startswith(("//", "/*", "*/"))], name
