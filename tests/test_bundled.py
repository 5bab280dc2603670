"""Models that come with a distribution are found by name, and by the files that they made."""

import copy
import io
import json
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import omega_core
from omega_core import load_model
from omega_core.codec import image_codec
from omega_core.codec.model_file import read_description, read_model, write_model
from omega_core.errors import ModelFileError
from omega_core.images.metrics import psnr
from omega_core.images.reading import read_picture
from omega_core.plugins.registry import registry

GOLDEN = Path(__file__).parent / "golden"
PLUGIN = """
from omega_core import BundledModel, hookimpl

@hookimpl
def omega_register_models():
    return [BundledModel(name={name!r}, file={file!r}, summary="small and golden", fingerprint={mark!r})]
"""


def distribution(site: Path, called: str, **words: str) -> None:
    package = called.replace("-", "_")
    (site / package).mkdir()
    (site / package / "__init__.py").write_text("")
    (site / package / "plugin.py").write_text(PLUGIN.format(**words))
    info = site / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {called}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[omega]\nit = {package}.plugin\n")


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which a distribution has the golden model, as `golden`."""
    site = tmp_path_factory.mktemp("site")
    mark = read_description(GOLDEN / "model.safetensors")[1]
    distribution(site, "omega-golden", name="golden", file="omega_golden:models/it.safetensors", mark=mark)
    (site / "omega_golden" / "models").mkdir()
    shutil.copy(GOLDEN / "model.safetensors", site / "omega_golden" / "models" / "it.safetensors")
    distribution(site, "omega-lost", name="lost", file="omega_lost:nowhere.safetensors", mark="0" * 64)
    return {"PYTHONPATH": str(site)}


OURS = {"compact": 16, "compact-screen": 4, "compact-small": 4, "mnist-omega-16": 4, "mnist-integer-16": 4}
"""The models that come with the command, and how many MB each may take."""

OF_PICTURES = ("compact", "compact-screen", "compact-small")


@pytest.mark.parametrize("name", OURS)
def test_a_model_of_ours_is_small_whole_and_described(omega_here: Any, name: str) -> None:
    found = registry().find_model(name)
    assert found.qualified_name == f"omega-cli/{name}"
    assert found.path().stat().st_size <= OURS[name] * 1_000_000
    assert read_model(found.path()).fingerprint == found.fingerprint
    card = (Path(__file__).parents[1] / "docs" / "models" / f"{name}.md").read_text("utf-8")
    assert omega_here("info", name).stdout.endswith(f"\n\n{card}")
    for said in ("What it is for", "What it is bad at", "How good it is", "How it was made", "MIT"):
        assert said in card
    assert f"--model {name}" in card or name == "compact"


@pytest.mark.parametrize("copied", [lambda model: pickle.loads(pickle.dumps(model)), copy.deepcopy])
def test_a_model_is_pickled_and_copied_also_after_it_was_used(copied: Any) -> None:
    model, picture = load_model("compact"), np.arange(96 * 64, dtype=np.uint8).reshape(64, 96)
    files = [model.compress(picture, bpp=0.5, effort=effort) for effort in (0, 1)]
    again = copied(model)
    assert [again.compress(picture, bpp=0.5, effort=effort) for effort in (0, 1)] == files
    assert again.decompress(files[0]).tobytes() == model.decompress(files[0]).tobytes()


def test_threads_share_the_models_that_are_kept() -> None:
    """`omega_core.compress` and `decompress` keep the models that are named."""
    noise = [np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8) for seed in range(4)]
    pictures = [each.repeat(12, 0).repeat(12, 1) for each in noise]
    files = [omega_core.compress(picture, "compact", bpp=0.5) for picture in pictures]
    decoded = [omega_core.decompress(data).tobytes() for data in files]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda each: omega_core.compress(each, "compact", bpp=0.5), 3 * pictures)) == 3 * files
        assert list(pool.map(lambda data: omega_core.decompress(data).tobytes(), 3 * files)) == 3 * decoded


@pytest.mark.parametrize("name", OURS)
def test_files_of_a_model_of_ours_are_read_for_ever(name: str) -> None:
    data = (GOLDEN / "bundled" / f"{name}.omega").read_bytes()
    with Image.open(GOLDEN / "bundled" / f"{name}.png") as expected:
        wanted = np.asarray(expected, int)
    decoded = np.asarray(omega_core.decompress(data), int)
    assert decoded.shape == wanted.shape
    assert np.abs(decoded - wanted).max() <= 1


@pytest.mark.parametrize("tile", [None, 32])
def test_processors_that_are_quick_with_shorter_numbers_decode_pixels_one_level_apart_at_most(
    monkeypatch: pytest.MonkeyPatch, tile: int | None
) -> None:
    symbols = omega_core.load_model("compact").codec.encode_symbols(
        torch.from_numpy(read_picture(GOLDEN / "bundled" / "compact.png").pixels)[None]
    )
    pixels = []
    for quick in (False, True):
        monkeypatch.setattr(image_codec, "is_quick", lambda *_, quick=quick: quick)
        codec = omega_core.load_model("compact").codec
        pixels.append(codec.decode_pixels(symbols, 16 * symbols.shape[2], 16 * symbols.shape[3], tile=tile).int())
    apart = (pixels[0] - pixels[1]).abs()
    assert apart.max() == 1
    assert apart.float().mean() < 0.2


def test_processors_that_are_quick_with_shorter_numbers_encode_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    octaves = [random.normal(128, 90, (4 << k, 6 << k)).clip(0, 255).astype(np.uint8) for k in range(5)]
    noise = np.mean([Image.fromarray(each).resize((192, 128), 3) for each in octaves], axis=0)
    picture = read_picture(Image.fromarray(noise.astype(np.uint8)).convert("RGB"))
    model = omega_core.load_model("compact")
    symbols, found = [], []
    for quick in (False, True):
        monkeypatch.setattr(image_codec, "is_quick", lambda *_, quick=quick: quick)
        encoded = model.encode(picture)
        symbols.append(encoded.symbols)
        data = encoded.whole.to_bytes()
        found.append((len(data), psnr(picture.pixels, omega_core.decompress_picture(data).pixels)))
    assert 0 < (symbols[0] != symbols[1]).mean() < 0.01
    assert found[1] == pytest.approx(found[0], rel=0.005)


@pytest.mark.parametrize("name", OURS)
def test_a_file_of_a_model_of_ours_is_a_picture_at_any_length_and_a_better_one_at_more(name: str) -> None:
    model = omega_core.load_model(name)
    with Image.open(GOLDEN / ("bundled/compact.png" if name in OF_PICTURES else "a.png")) as opened:
        picture = read_picture(opened)
    whole = model.encode(picture).whole
    every = max(1, whole.header.length // 12) if name in OF_PICTURES else 1
    for length in range(0, whole.header.length, every):
        decoded = omega_core.decompress(whole.truncated(length).to_bytes())
        assert decoded.size == (picture.size[1], picture.size[0])
    quality = [
        psnr(picture.pixels, omega_core.decompress_picture(whole.truncated(length).to_bytes()).pixels)
        for length in (0, whole.header.length // 2, whole.header.length)
    ]
    assert quality == sorted(quality)
    assert quality[-1] > quality[0] + 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_files_are_the_same_where_the_caller_computes_with_shorter_numbers(dtype: torch.dtype) -> None:
    """Under autocast, as in a loop of training: the net of the prior would have other tables."""
    model = load_model("compact-small")
    y, x = np.mgrid[0:96, 0:128]
    image = np.stack([x * 2, y * 2, (x ^ y) * 2], -1).clip(0, 255).astype(np.uint8)
    data = model.compress(image)
    wanted = model.decode(data)[0]
    with torch.autocast("cpu", dtype=dtype):
        decoded = model.decode(data)[0]
        theirs = model.compress(image)
        shown = model.decompress(theirs)
    assert np.array_equal(decoded, wanted)
    assert np.abs(np.asarray(shown, int) - np.asarray(model.decompress(theirs), int)).max() <= 1


def test_the_compiler_of_torch_is_not_imported_to_compress_and_decompress() -> None:
    program = """
import sys, omega_core
from PIL import Image
model = omega_core.load_model("compact")
omega_core.decompress(model.compress(Image.new("RGB", (40, 30), "teal")), model)
assert "torch._dynamo" not in sys.modules, "it takes as long to import as the rest of torch"
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("mode", "size"), [("RGB", (90, 61)), ("L", (90, 61)), ("LA", (31, 40)), ("RGBA", (50, 16)), ("RGB", (1, 1))]
)
def test_pictures_go_there_and_back_with_nothing_but_paths(
    omega: Any, mode: str, size: tuple[int, int], tmp_path: Path
) -> None:
    gradients = [Image.linear_gradient("L"), Image.linear_gradient("L").rotate(90), Image.radial_gradient("L")]
    colors = [gradient.point(lambda value: 70 + value // 3) for gradient in gradients]  # as pale as photos are
    picture = Image.merge("RGBA", [*colors, gradients[0]]).resize(size).convert(mode)
    picture.save(tmp_path / "a.png")
    done = omega("compress", tmp_path / "a.png", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    done = omega("decompress", tmp_path / "a.omega", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "out" / "a.png") as decoded:
        assert (decoded.mode, decoded.size) == (picture.mode, picture.size)
        difference = np.asarray(decoded, float) - np.asarray(picture, float)
    assert np.sqrt(np.square(difference).mean()) < 10


def test_many_small_pictures_go_into_a_pack_and_back_with_nothing_but_paths(omega_here: Any, tmp_path: Path) -> None:
    ramp = np.asarray(Image.linear_gradient("L").resize((64, 64)), int)
    for number in range(66):  # more than one block has
        colors = [60 + (ramp.T if (number >> color) % 2 else ramp) * (number + 30) // 200 for color in range(3)]
        size = (12 + number % 3 * 4, 16)
        Image.fromarray(np.stack(colors, axis=2).astype(np.uint8)).resize(size).save(tmp_path / f"{number:02}.png")
    done = omega_here("compress", *sorted(tmp_path.glob("*.png")), "--output", tmp_path / "all.omega", "--pack")
    assert done.returncode == 0, done.stderr
    done = omega_here("decompress", tmp_path / "all.omega", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    model = omega_core.load_model("compact")
    alone = model.compress([tmp_path / "03.png", tmp_path / "65.png"])
    assert (tmp_path / "all.omega").stat().st_size < 66 * min(map(len, alone))
    for name, data in zip(("03.png", "65.png"), alone, strict=True):
        with Image.open(tmp_path / "out" / "all" / name) as unpacked:
            apart = np.asarray(unpacked, int) - np.asarray(model.decompress(data), int)
        assert np.abs(apart).max() <= 1
    for path in tmp_path.glob("*.png"):
        with Image.open(path) as picture, Image.open(tmp_path / "out" / "all" / path.name) as unpacked:
            assert psnr(read_picture(picture).pixels, read_picture(unpacked).pixels) > 28, path


def test_a_model_is_named(omega: Any, bundled: dict[str, str], tmp_path: Path) -> None:
    done = omega("compress", GOLDEN / "a.png", "--output", tmp_path, "--model", "golden", **bundled)
    assert done.returncode == 0, done.stderr
    done = omega(
        "compress", GOLDEN / "a.png", "--output", tmp_path, "--model", "omega-golden/golden", "--overwrite", **bundled
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.omega").read_bytes() == (GOLDEN / "4-channels.omega").read_bytes()
    wrong = omega("compress", GOLDEN / "a.png", "--output", tmp_path, "--model", "goldn", **bundled)
    assert wrong.returncode == 2
    assert "there is no model 'goldn'. Did you mean 'golden'?" in wrong.stderr
    assert "Or name a .safetensors file" in wrong.stderr
    lost = omega("compress", GOLDEN / "a.png", "--output", tmp_path, "--model", "lost", **bundled)
    assert lost.returncode == 2
    assert "the file of the model omega-lost/lost is missing" in lost.stderr


@pytest.mark.parametrize("preview", [False, True])
def test_a_file_finds_its_model(omega: Any, bundled: dict[str, str], tmp_path: Path, preview: bool) -> None:
    more = ("--preview", tmp_path / "views") if preview else ()
    done = omega("decompress", GOLDEN / "2-channels.omega", "--output", tmp_path, *more, **bundled)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "2-channels.png") as picture, Image.open(GOLDEN / "2-channels.png") as wanted:
        assert picture.tobytes() == wanted.tobytes()
    assert bool(list((tmp_path / "views").glob("2-channels-*.png"))) == preview


def test_packs_find_theirs_too(omega: Any, bundled: dict[str, str], tmp_path: Path) -> None:
    packed = omega("compress", GOLDEN / "a.png", "--output", tmp_path, "--model", "golden", "--pack", **bundled)
    assert packed.returncode == 0, packed.stderr
    done = omega("decompress", tmp_path / "a.omega", "--output", tmp_path / "out", **bundled)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "out").rglob("*.png")] == ["a.png"]


def test_a_file_of_an_unknown_model_says_so(omega: Any, bundled: dict[str, str], tmp_path: Path) -> None:
    other = GOLDEN / "any-size" / "gray.omega"
    done = omega("decompress", other, "--output", tmp_path, **bundled)
    assert done.returncode == 2
    mark = read_description(GOLDEN / "any-size" / "model.safetensors")[1][:8]
    assert f"made with the model {mark}, which is not installed. Name its file with --model" in done.stderr


def test_models_are_listed_and_described(omega: Any, bundled: dict[str, str]) -> None:
    rows = json.loads(omega("models", "--json", **bundled).stdout)
    assert {"golden", *OURS} <= {row["model"] for row in rows if row["type"] == "model"}
    assert {"mnist-omega-16", "compact-omega"} <= {row["model"] for row in rows if row["type"] == "recipe"}
    facts = json.loads(omega("info", "golden", "--json", **bundled).stdout)
    assert facts["fingerprint"] == read_description(GOLDEN / "model.safetensors")[1]
    plugins = {row["plugin"]: row for row in json.loads(omega("plugins", "--json", **bundled).stdout)}
    assert plugins["omega-golden"]["components"] == ["model golden"]


def test_python_finds_them_by_name_and_by_file(monkeypatch: pytest.MonkeyPatch, bundled: dict[str, str]) -> None:
    monkeypatch.syspath_prepend(bundled["PYTHONPATH"])
    registry.cache_clear()
    try:
        model = omega_core.load_model("golden")
        data = model.compress(GOLDEN / "a.png")
        picture = omega_core.decompress(data)
        assert picture.tobytes() == model.decompress(data).tobytes()
        *_, last = omega_core.decode_progressively(io.BytesIO(data))
        assert last.tobytes() == picture.tobytes()
        with pytest.raises(omega_core.OmegaError, match="which is not installed"):
            omega_core.decompress((GOLDEN / "any-size" / "gray.omega").read_bytes())
        with pytest.raises(omega_core.OmegaError):
            omega_core.decompress(b"no file at all")
    finally:
        registry.cache_clear()


def test_python_and_the_command_compress_with_the_same_model(omega_here: Any, tmp_path: Path) -> None:
    done = omega_here("compress", GOLDEN / "bundled" / "compact.png", "--output", tmp_path, "--channels", 24)
    assert done.returncode == 0
    data = omega_core.compress(GOLDEN / "bundled" / "compact.png", channels=24)
    assert data == (tmp_path / "compact.omega").read_bytes()
    assert _fingerprint("compact") == data[4:8].hex()


def test_files_that_have_the_names_of_bundled_models_are_not_taken_for_them(
    omega_here: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "compact").mkdir()
    (tmp_path / "compact-small").write_text("a note")
    picture = GOLDEN / "bundled" / "compact.png"
    assert omega_core.compress(picture, channels=24)[4:8].hex() == _fingerprint("compact")
    for name, options in (("compact", ()), ("compact-small", ("--model", "compact-small"))):
        done = omega_here("compress", picture, "--output", f"{name}.omega", "--channels", 24, *options)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / f"{name}.omega").read_bytes()[4:8].hex() == _fingerprint(name)
    with pytest.raises(ModelFileError):
        omega_core.load_model("./compact-small")


def _fingerprint(name: str) -> str:
    """The first 4 bytes of that of a bundled model, as files have them."""
    return next(each.fingerprint[:8] for each in omega_core.list_models() if each.name == name)


def test_a_card_is_printed_and_changes_nothing_else(omega_here: Any, tmp_path: Path) -> None:
    file = read_model(GOLDEN / "model.safetensors")
    described = replace(file.description, card="# Golden\n\nGood for tests, bad at photos.\n")
    path = tmp_path / "described.safetensors"
    assert write_model(path, described, file.arrays) == file.fingerprint
    printed = omega_here("info", path).stdout
    assert printed.endswith("\n\n# Golden\n\nGood for tests, bad at photos.\n")
    assert json.loads(omega_here("info", path, "--json").stdout)["card"] == described.card
    plain = omega_here("info", GOLDEN / "model.safetensors").stdout
    assert plain == printed[: len(plain)]


def test_weights_may_be_of_half_precision(tmp_path: Path) -> None:
    file = read_model(GOLDEN / "model.safetensors")
    half = {name: a.astype(np.float16) if a.dtype.kind == "f" else a for name, a in file.arrays.items()}
    path = tmp_path / "half.safetensors"
    assert write_model(path, file.description, half) != file.fingerprint
    assert path.stat().st_size < 0.6 * (GOLDEN / "model.safetensors").stat().st_size
    one, other, whole = load_model(path), load_model(path), load_model(GOLDEN / "model.safetensors")
    data = one.compress(GOLDEN / "a.png")
    picture = np.asarray(other.decompress(data), float)
    assert np.array_equal(picture, np.asarray(one.decompress(data)))
    assert np.abs(picture - np.asarray(whole.decompress(whole.compress(GOLDEN / "a.png")), float)).mean() < 2
    assert next(one.codec.architecture.parameters()).dtype == one.codec.architecture.precision
