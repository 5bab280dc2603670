"""Damaged and forged files: each is read as what it was, or refused with a named error, soon and in little memory.

OMEGA_FUZZ sets how many damaged files and packs are tried (1,000 unless given), and a tenth as many of each other kind;
from a given OMEGA_FUZZ_SEED on they are others.
"""

import gc
import json
import os
import random
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, example, given, seed, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.numpy import save_file

import omega_core
from omega_cli.info import about
from omega_core.codec.model import Model
from omega_core.codec.model_file import Choice, Description, fingerprint, read_model, write_model
from omega_core.coding.tables import FrozenTables
from omega_core.errors import OmegaError
from omega_core.format.file import OmegaFile
from omega_core.format.header import CODERS, MODES
from omega_core.format.packs import Pack, is_pack, read_index
from omega_core.images.pictures import Picture
from omega_core.images.reading import read_picture
from omega_core.plugins.registry import build
from omega_entropy import ContextPrior

SECONDS, MEBIBYTES = 1.0, 64.0
ALLOWED = 80  # MiB that decoding may take: models are loaded with this limit
COUNT = int(os.environ.get("OMEGA_FUZZ", "1000"))
SEED = int(os.environ.get("OMEGA_FUZZ_SEED", "0"))
many = settings(
    max_examples=COUNT,
    deadline=None,
    database=None,
    derandomize=not SEED,
    phases=[Phase.explicit, Phase.generate],  # to make a slow example smaller takes too long
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.large_base_example],
)


def files(count: int) -> Any:
    """Decorates a test to run `count` times as often as asked for, with other files from another seed."""

    def decorate(test: Any) -> Any:
        return settings(many, max_examples=max(1, COUNT // count))(seed(SEED)(test) if SEED else test)

    return decorate


@dataclass(frozen=True)
class Sample:
    """A file or a pack, its model, and the pictures that are in it."""

    name: str
    data: bytes
    model: Model
    pictures: list[NDArray[np.uint8]]


class Samples(list[Sample]):
    """Samples that are not printed pixel by pixel."""

    def __repr__(self) -> str:
        return f"{len(self)} samples"


MODELS: dict[str, tuple[str, str, str, int, int]] = {
    "mnist": ("mnist", "omega", "static", 8, 64),
    "photo": ("openimages", "omega", "static", 6, 16),
    "integer": ("openimages", "integer", "static", 4, 16),
    "context": ("openimages", "integer", "context", 4, 16),
    "identity": ("openimages", "identity", "", 4, 1 << 32),
}


def make_model(path: Path, architecture: str, quantizer: str, prior: str, channels: int, alphabet: int) -> Path:
    """Write an untrained model whose tables are uneven, as those of trained ones are."""
    torch.manual_seed(0)
    options = {} if architecture == "mnist" else {"width": 4}
    modules = {
        "architecture": build("architecture", architecture, options, latent_channels=channels),
        "quantizer": build("quantizer", quantizer, {}, latent_channels=channels, channels=channels, alphabet=alphabet),
    }
    arrays = {
        f"{part}.{name}": t.numpy() for part, module in modules.items() for name, t in module.state_dict().items()
    }
    uneven = np.random.default_rng(0).dirichlet(np.full(min(alphabet, 64), 0.3), (channels, 1))
    options_of_prior = {"width": 4, "groups": 2} if prior == "context" else {}
    if prior:
        frozen = FrozenTables.from_probabilities(uneven)
        if prior == "context":
            frozen = net_of(modules["quantizer"].refinement(), uneven, options_of_prior)
        arrays |= {f"prior.{name}": array for name, array in frozen.arrays().items()}
    description = Description(
        architecture=Choice(name=f"omega-core/{architecture}", options=options),
        quantizer=Choice(name=f"omega-quant/{quantizer}"),
        prior=Choice(name=f"omega-entropy/{prior}", options=options_of_prior) if prior else None,
        coder=f"omega-entropy/{'range' if prior else 'raw'}",
        latent_channels=channels,
        channels=channels,
        alphabet=alphabet,
        channels_min=0 if prior else channels,
    )
    write_model(path, description, arrays)
    return path


def net_of(refinement: Any, uneven: NDArray[np.float64], options: dict[str, Any]) -> Any:
    """A frozen prior whose net is hardly trained."""
    channels, _, alphabet = uneven.shape
    prior = ContextPrior(channels=channels, alphabet=alphabet, **options)
    prior.follow(refinement)
    rng = np.random.default_rng(2)
    drawn = [rng.choice(alphabet, (20, 5, 6), p=uneven[channel, 0]) for channel in range(channels)]
    symbols, kept = torch.from_numpy(np.stack(drawn, 1)), torch.full((20,), channels)
    prior.train().observe(symbols, kept)
    prior.channel_bits(symbols)
    prior.eval().recount()
    prior.observe(symbols, kept)
    return prior.freeze()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {name: make_model(folder / f"{name}.safetensors", *settings) for name, settings in MODELS.items()}


@pytest.fixture(scope="module")
def samples(models: dict[str, Path]) -> Samples:
    """Files of every kind there is."""
    torch.set_num_threads(1)  # there is little to share
    with suppress(OmegaError):
        omega_core.resolve("coder", "torchac")  # compiles when it is first imported
    rng = np.random.default_rng(1)
    loaded = {name: omega_core.load_model(path, max_memory=ALLOWED << 20) for name, path in models.items()}
    found = Samples()

    def noise(*shape: int) -> NDArray[np.uint8]:
        return rng.integers(0, 256, shape, dtype=np.uint8)

    def add(name: str, data: bytes, model: Model, decoded: list[Image.Image]) -> None:
        found.append(Sample(name, data, model, [np.asarray(picture) for picture in decoded]))

    for key, picture in (
        ("mnist", noise(28, 28)),
        ("photo", noise(40, 70, 3)),
        ("photo", noise(1, 1)),
        ("photo", noise(300, 20, 4)),
        ("integer", noise(33, 50, 2)),
        ("context", noise(70, 50, 3)),
        ("identity", noise(30, 30, 3)),
    ):
        model = loaded[key]
        model.tile_size = 256
        for coder in ("raw",) if key == "identity" else ("range", "fixed"):
            encoded = model.encode(picture, coder=coder)
            length = len(encoded.whole.stream)
            for taken in (length, length // 2, 1):
                data = encoded.whole.truncated(taken).to_bytes()
                add(f"{key} {picture.shape} {coder} {taken}", data, model, [model.decompress(data)])
    model, blocks = loaded["photo"], []
    for shapes in ([(16, 16)] * 3, [(20, 9), (5, 40)], [(30, 30)]):
        pictures = [Picture(noise(3, *shape), profile=bytes(16) + b"RGB " * 40) for shape in shapes]
        block = model.encode_together(pictures)
        blocks.append((block, tuple(f"{len(blocks)}/{number}" for number in range(len(shapes)))))
        data = block.to_bytes()
        add(f"{len(shapes)} together", data, model, model.decompress_all(data))
    for name, pack in (("pack", Pack(tuple(blocks))), ("short pack", Pack(tuple(blocks)).truncated(60))):
        inside = [picture for block, _ in pack.blocks for picture in model.decompress_all(block.to_bytes())]
        add(name, pack.to_bytes(), model, inside)
    return found


@contextmanager
def watched() -> Iterator[None]:
    """Fails if what is done takes more than a second or 64 MiB."""
    before = memory("VmRSS")
    if memory("VmHWM") - before > MEBIBYTES / 2:
        Path("/proc/self/clear_refs").write_text("5")  # the peak is now what there is
    gc.disable()  # what hypothesis remembers takes long to look through
    start = time.perf_counter(), time.process_time()
    try:
        yield
    finally:
        gc.enable()
    took = min(time.perf_counter() - start[0], time.process_time() - start[1])  # the machine may have been busy
    peak = memory("VmHWM") - before
    assert took <= SECONDS, f"it took {took:.2f} s"
    assert peak <= MEBIBYTES, f"it took {peak:.0f} MiB"


def memory(name: str) -> float:
    """A figure of this process in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


POSITION = st.floats(0, 1, exclude_max=True)
NUMBER = st.integers(0, 300) | st.integers(0, 1 << 28)
MUTATION = st.one_of(
    st.tuples(st.just("flip"), POSITION, st.integers(0, 7)),
    st.tuples(st.just("flip head"), st.integers(0, 40), st.integers(0, 7)),
    st.tuples(st.just("put"), st.integers(0, 40), st.integers(0, 255)),
    st.tuples(st.just("cut"), POSITION, st.integers(1, 60)),
    st.tuples(st.just("insert"), POSITION, st.binary(min_size=1, max_size=60)),
    st.tuples(st.just("swap"), POSITION, POSITION),
    st.tuples(st.just("end"), POSITION, st.none()),
    st.tuples(st.just("append"), st.none(), st.binary(min_size=1, max_size=20)),
    st.tuples(st.just("repeat"), POSITION, st.integers(1, 200)),
)
FORGERY = st.one_of(
    st.tuples(st.just("length"), NUMBER),
    st.tuples(st.just("complete"), st.booleans()),
    st.tuples(st.just("sizes"), st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=4).map(tuple)),
    st.tuples(st.just("coder"), st.sampled_from([*CODERS[1:], "omega-quant/omega", "x"])),
    st.tuples(st.just("mode"), st.sampled_from(MODES)),
    st.tuples(st.just("stream"), st.binary(max_size=400)),
    st.tuples(st.just("unknown"), st.dictionaries(st.integers(1, 255), st.binary(max_size=40), max_size=4)),
    st.tuples(st.sampled_from(["alpha", "profile"]), st.binary(max_size=40)),
    st.tuples(st.just("tile"), NUMBER),
    st.tuples(st.just("alpha planes"), st.integers(0, 1 << 22)),
    st.tuples(st.just("others"), st.lists(st.tuples(NUMBER, NUMBER), max_size=4)),
)


def mutate(data: bytes, kind: str, first: Any, second: Any) -> bytes:
    at = int(first * len(data)) if isinstance(first, float) else min(first or 0, max(0, len(data) - 1))
    changed = bytearray(data)
    match kind:
        case "flip" | "flip head":
            changed[at : at + 1] = bytes(byte ^ 1 << second for byte in changed[at : at + 1])
        case "put":
            changed[at : at + 1] = bytes([second])
        case "cut":
            del changed[at : at + second]
        case "insert":
            changed[at:at] = second
        case "swap":
            other = int(second * len(data))
            changed[at : at + 8], changed[other : other + 8] = changed[other : other + 8], changed[at : at + 8]
        case "end":
            del changed[at:]
        case "append":
            changed += second
        case "repeat":
            changed[at:at] = changed[at : at + 3] * second
    return bytes(changed)


def forge(file: OmegaFile, what: str, value: Any) -> OmegaFile:
    """A file that says something else, which need not make sense."""
    header, stream = file.header, file.stream
    match what:
        case "stream":
            stream = value
            header = forced(header, length=len(stream))
        case "alpha planes":
            header = forced(header, mode="LA", alpha=zlib.compress(bytes(value)))
        case "others":
            header = forced(header, sizes=(header.sizes[0], *value))
        case _:
            header = forced(header, **{what: value})
    return forced(file, header=header, stream=stream)


def forced(original: Any, **values: Any) -> Any:
    """A copy of something frozen with other values, which are not checked."""
    made = object.__new__(type(original))
    for field in fields(original):
        object.__setattr__(made, field.name, values.get(field.name, getattr(original, field.name)))
    return made


def with_checksum(data: bytes) -> bytes:
    return data[:-4] + zlib.crc32(data[:-4]).to_bytes(4, "little")


def decoded(model: Model, data: bytes, *, partial: bool = False) -> list[Image.Image]:
    if not is_pack(data):
        return model.decompress_all(data, partial=partial)
    file = BytesIO(data)
    return [picture for block in read_index(file) for picture in model.decompress_all(block.read(file))]


def try_all(path: Path, model: Model, data: bytes) -> list[Image.Image] | None:
    """What comes of `info`, `truncate` and `decompress`; the pictures if it is a whole file."""
    path.write_bytes(data)
    pictures = None
    for attempt in (
        lambda: about(path),
        lambda: omega_core.truncate(data, bpp=1),
        lambda: omega_core.truncate(data, max_bytes=60),
        lambda: list(omega_core.decode_progressively(BytesIO(data), model)),
        lambda: decoded(model, data, partial=True),
        lambda: decoded(model, data),
    ):
        with suppress(OmegaError), watched():
            pictures = None
            pictures = attempt()
    return pictures  # type: ignore[return-value]


def mutation_of(rng: random.Random) -> tuple[str, Any, Any]:
    """A mutation as those of MUTATION, drawn in a thousandth of the time."""
    kind = rng.choice(["flip", "flip head", "put", "cut", "insert", "swap", "end", "append", "repeat"])
    at = rng.randrange(41) if kind in ("flip head", "put") else rng.random()
    match kind:
        case "flip" | "flip head":
            return kind, at, rng.randrange(8)
        case "put":
            return kind, at, rng.randrange(256)
        case "insert" | "append":
            return kind, at if kind == "insert" else None, rng.randbytes(rng.randint(1, 60))
        case "swap":
            return kind, at, rng.random()
    return kind, at, rng.randint(1, 200 if kind == "repeat" else 60)


@contextmanager
def named(number: int, name: str, data: bytes) -> Iterator[None]:
    """Turns what is no named error, or takes more than a second, into a failure that shows the file."""
    start = time.process_time()
    try:
        with suppress(OmegaError):
            yield
    except Exception as problem:
        raise AssertionError(f"number {number}, of {name}: {data.hex()}") from problem
    took = time.process_time() - start
    assert took <= SECONDS, f"number {number}, of {name}, took {took:.2f} s: {data.hex()}"


def check_peak(before: float, number: int) -> None:
    peak = memory("VmHWM") - before
    assert peak <= ALLOWED, f"the last thousand files up to number {number} took {peak:.0f} MiB"


@pytest.mark.job
def test_damaged_files_and_packs_are_the_original_or_a_named_error(samples: Samples, tmp_path: Path) -> None:
    rng = random.Random(SEED)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before, path = memory("VmRSS"), tmp_path / "a.omega"
    for number in range(COUNT):
        sample = rng.choice(samples)
        data = sample.data
        for _ in range(rng.randint(1, 3)):
            data = mutate(data, *mutation_of(rng))
        mended = rng.random() < 0.25 and not is_pack(data)
        if mended:
            data = with_checksum(data)
        match rng.randrange(32):
            case 0:
                with named(number, sample.name, data):
                    list(omega_core.decode_progressively(BytesIO(data), sample.model))
            case 1 | 2:
                with named(number, sample.name, data):
                    decoded(sample.model, data, partial=True)
            case 3 | 4 | 5:
                with named(number, sample.name, data):
                    omega_core.truncate(data, bpp=1)
                with named(number, sample.name, data):
                    omega_core.truncate(data, max_bytes=60)
            case 6:
                path.write_bytes(data)
                with named(number, sample.name, data):
                    about(path)
            case _:
                with named(number, sample.name, data):
                    pictures = decoded(sample.model, data)
                    same = [np.asarray(each).tobytes() for each in pictures] == [p.tobytes() for p in sample.pictures]
                    assert same or mended
        if number % 1000 == 999:
            check_peak(before, number)


PICTURES = {
    **{form: {} for form in ("PNG", "JPEG", "BMP", "PPM", "GIF", "JPEG2000", "TIFF", "WEBP", "AVIF")},
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_lzw"},
}


@pytest.mark.job
@pytest.mark.filterwarnings("ignore")
def test_damaged_pictures_are_read_or_a_named_error() -> None:
    rng = random.Random(SEED)
    noise = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112], exif[0x8769] = 6, {0xA001: 2}
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", 'tiff:Orientation="3"', zip=True)
    text.add(b"cICP", bytes([12, 13, 0, 1]))
    text.add(b"gAMA", bytes([0, 1, 0, 0]))
    whole = list[tuple[str, bytes]]()
    for form, options in PICTURES.items():
        for mode in (
            "RGB",
            "L",
            "CMYK" if form in ("JPEG", "TIFF") else "RGB",
            "I;16" if form in ("PNG", "TIFF") else "L",
        ):
            file = BytesIO()
            more = {"exif": exif.tobytes(), "icc_profile": bytes(16) + b"RGB " + bytes(200), "pnginfo": text}
            image = (
                Image.fromarray(noise).convert("L").convert(mode)
                if mode == "I;16"
                else Image.fromarray(noise).convert(mode)
            )
            image.save(file, form, **options, **({} if form in ("BMP", "PPM", "GIF", "JPEG2000", "TIFF") else more))
            whole.append((f"{form} {mode}", file.getvalue()))
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    for number in range(max(1, COUNT // 10)):
        name, data = rng.choice(whole)
        for _ in range(rng.randint(1, 3)):
            data = mutate(data, *mutation_of(rng))
        with named(number, name, data):
            read_picture(data, max_pixels=1 << 20)
        if number % 1000 == 999:
            check_peak(before, number)


@pytest.mark.job
@files(10)
@given(place=st.integers(0), forgeries=st.lists(FORGERY, min_size=1, max_size=3))
def test_a_forged_file_is_another_or_a_named_error(
    samples: Samples, tmp_path: Path, place: int, forgeries: list[Any]
) -> None:
    whole = [sample for sample in samples if not is_pack(sample.data)]
    sample = whole[place % len(whole)]
    file = OmegaFile.parse(sample.data)
    for forgery in forgeries:
        file = forge(file, *forgery)
    try:
        data = file.to_bytes()
    except (ValueError, OverflowError):
        return  # there is no such file
    try_all(tmp_path / "a.omega", sample.model, data)


@pytest.mark.job
@files(10)
@given(key=st.sampled_from(list(MODELS)), mutations=st.lists(MUTATION, min_size=1, max_size=3))
def test_a_damaged_model_is_a_named_error(
    models: dict[str, Path], tmp_path: Path, key: str, mutations: list[Any]
) -> None:
    original = models[key].read_bytes()
    data = original
    for mutation in mutations:
        data = mutate(data, *mutation)
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    for attempt in (about, omega_core.load_model):
        with suppress(OmegaError), watched():
            attempt(path)
            continue
    with suppress(OmegaError):
        loaded = omega_core.load_model(path)
        assert loaded.fingerprint == omega_core.load_model(models[key]).fingerprint


WRONG = st.one_of(
    st.none(),
    st.integers(-3, 70),
    st.integers(1, 1 << 40),
    st.floats(),
    st.text(max_size=10),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
    st.sampled_from(["omega-core/mnist", "omega-core/openimages", "omega-quant/integer", "omega-entropy/factorized"]),
)


@pytest.mark.job
@files(10)
@given(
    key=st.sampled_from(list(MODELS)),
    settings_=st.dictionaries(st.sampled_from([*Description.__dataclass_fields__, "more"]), WRONG, max_size=3),
    inner=st.dictionaries(
        st.tuples(st.sampled_from(["architecture", "quantizer", "prior"]), st.sampled_from(["name", "options"])),
        WRONG,
        max_size=2,
    ),
    array=st.none() | st.tuples(st.integers(0), st.sampled_from(["shape", "kind", "gone", "nan", "huge"])),
)
@example(key="photo", settings_={"latent_channels": 1 << 30}, inner={}, array=None)
@example(key="photo", settings_={"channels": 1 << 31}, inner={}, array=None)
def test_a_forged_model_is_another_or_a_named_error(
    models: dict[str, Path],
    samples: Samples,
    tmp_path: Path,
    key: str,
    settings_: dict[str, Any],
    inner: dict[tuple[str, str], Any],
    array: tuple[int, str] | None,
) -> None:
    original = read_model(models[key])
    values = asdict(original.description) | settings_
    for (part, name), value in inner.items():
        if isinstance(values.get(part), dict):
            values[part][name] = value
    arrays = dict(original.arrays)
    if array is not None:
        name = sorted(arrays)[array[0] % len(arrays)]
        if array[1] == "gone":
            del arrays[name]
        else:
            values_ = arrays[name].astype(np.float64)
            arrays[name] = {
                "shape": arrays[name].reshape(-1)[:-1].copy(),
                "kind": values_,
                "nan": values_.astype(np.float32) * np.float32("nan"),
                "huge": (values_ + 1e9).astype(arrays[name].dtype),
            }[array[1]]
    path = tmp_path / "model.safetensors"
    text = json.dumps(values)
    try:
        mark = fingerprint(Description.from_json(text), arrays)
    except (TypeError, ValueError, AttributeError):
        mark = original.fingerprint
    save_file(arrays, path, {"format": "omega 1", "omega": text, "fingerprint": mark})
    with suppress(OmegaError), watched():
        about(path)
    with suppress(OmegaError), watched():
        model = omega_core.load_model(path)
        sample = next(sample for sample in samples if sample.name.startswith(key))
        with np.errstate(invalid="ignore"):
            forged = forge(OmegaFile.parse(sample.data), "fingerprint", bytes.fromhex(mark)[:4])
            model.decompress(forged.to_bytes())
