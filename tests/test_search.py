"""`--effort`: a search for better symbols for a file of one rate."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import omega_core
from omega_core import Model, load_model
from omega_core.codec import image_codec, symbol_search
from omega_core.codec.encoding import KnownSymbols
from omega_core.codec.model_file import read_model, write_model
from omega_core.codec.model_names import model_path
from omega_core.errors import ComponentError, ModelFileError, RateError
from omega_core.format.file import OmegaFile
from omega_core.format.rate_control import truncate
from omega_core.images.metrics import psnr

Painter = Callable[..., Image.Image]
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def painted() -> Painter:
    """Paints pictures with as much of each octave as photos have."""

    def paint(seed: int, height: int, width: int, mode: str = "RGB") -> Image.Image:
        random = np.random.default_rng(seed)
        picture = np.zeros((height, width, 3))
        for octave in range(6):
            coarse = random.normal(0, 90 * 0.65**octave, (2 << octave, 3 << octave, 3))
            coarse += coarse.mean(axis=2, keepdims=True)
            planes = [
                Image.fromarray(plane).resize((width, height), 3)
                for plane in coarse.astype(np.float32).transpose(2, 0, 1)
            ]
            picture += np.stack(planes, axis=2)
        picture = Image.fromarray((picture + 128).clip(0, 255).astype(np.uint8)).convert(mode)
        if "A" in mode:
            picture.putalpha(Image.linear_gradient("L").resize((width, height)))
        return picture

    return paint


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("compact")


def quality(model: Model, picture: Image.Image, data: bytes) -> float:
    return psnr(model.read(picture).pixels, model.decompress_picture(data).pixels)


@pytest.mark.parametrize("bpp", [0.2, 1.0])
def test_more_effort_makes_a_better_picture_of_as_many_bytes(model: Model, painted: Painter, bpp: float) -> None:
    picture = painted(3, 128, 160)
    files = [model.compress(picture, bpp=bpp, effort=effort) for effort in (0, 1, 2, 3)]
    assert files[0] == model.compress(picture, bpp=bpp)
    assert max(map(len, files)) <= bpp * 128 * 160 / 8
    qualities = [quality(model, picture, data) for data in files]
    assert qualities[1] > qualities[0]
    assert min(qualities[2:]) > qualities[0] + 0.08


def test_more_effort_takes_fewer_bytes_for_a_quality(model: Model, painted: Painter) -> None:
    picture = painted(4, 128, 160)
    wanted = quality(model, picture, model.compress(picture, bpp=1))
    quick, searched = (model.compress(picture, psnr=wanted, effort=effort) for effort in (0, 2))
    assert quality(model, picture, searched) >= wanted
    assert len(searched) < 0.99 * len(quick)


@pytest.mark.parametrize("rate", [{}, {"channels": 150}, {"fraction": 0.4}])
def test_files_of_some_channels_are_better_for_their_bytes(
    model: Model, painted: Painter, rate: dict[str, Any]
) -> None:
    picture = painted(5, 96, 128)
    searched = model.compress(picture, **rate, effort=2)
    quick = truncate(model.compress(picture), max_bytes=len(searched))
    assert quality(model, picture, searched) > quality(model, picture, quick) + 0.02


def test_a_file_truncated_to_a_lower_rate_is_as_good_as_others(model: Model, painted: Painter) -> None:
    picture = painted(6, 128, 160)
    quick, searched = (truncate(model.compress(picture, bpp=0.4, effort=effort), max_bytes=300) for effort in (0, 2))
    assert quality(model, picture, searched) > quality(model, picture, quick) - 0.15


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA"])
def test_gray_and_alpha_are_kept(model: Model, painted: Painter, mode: str) -> None:
    picture = painted(7, 64, 96, mode)
    quick, searched = (model.compress(picture, bpp=1.2 if "A" in mode else 0.3, effort=effort) for effort in (0, 2))
    decoded = omega_core.decompress(searched, model)
    assert decoded.mode == mode
    if "A" in mode:
        assert (np.asarray(decoded)[..., -1] == np.asarray(picture)[..., -1]).all()
    assert quality(model, picture, searched) > quality(model, picture, quick)


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (33, 17)])
def test_small_pictures_are_searched_too(model: Model, painted: Painter, size: tuple[int, int]) -> None:
    picture = painted(8, *size)
    quick, searched = (model.compress(picture, effort=effort) for effort in (0, 2))
    assert omega_core.decompress(searched, model).size == size[::-1]
    assert searched != quick
    assert quality(model, picture, searched) >= quality(model, picture, quick)


def test_pictures_of_one_color_get_no_worse(model: Model) -> None:
    picture = Image.new("RGB", (64, 48), "gray")
    data = model.compress(picture, bpp=0.3, effort=1)
    assert quality(model, picture, data) >= quality(model, picture, model.compress(picture, bpp=0.3)) - 0.1


def test_large_pictures_are_searched_in_tiles(model: Model, painted: Painter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbol_search, "_TILE_SIDE", 96)
    monkeypatch.setattr(symbol_search, "_PIXELS_AT_ONCE", 96 * 96)
    picture = painted(9, 150, 230)
    quick, searched = (model.compress(picture, bpp=0.3, effort=effort) for effort in (0, 2))
    assert quality(model, picture, searched) > quality(model, picture, quick) + 0.08
    whole = model.decode(model.compress(picture))[0]
    pixels, search = model.read(picture).pixels, model._search
    latent, nothing = search.latent_of(pixels, tile=64), np.full_like(whole, -1)
    unmoved = search.symbols_of(pixels, latent, KnownSymbols(nothing, nothing, 0.0), 1)  # nothing moves there
    assert (unmoved == search.nearest(latent)).all()
    assert (unmoved != whole).mean() < 1e-3


@pytest.mark.parametrize(
    ("quick", "precision"),
    [(False, None), (True, None), (False, "float64"), (False, "bfloat16"), (False, "float16")],  # quick without one
)
def test_the_search_works_in_any_precision_and_without_gradients(
    painted: Painter, monkeypatch: pytest.MonkeyPatch, quick: bool, precision: Any
) -> None:
    monkeypatch.setattr(image_codec, "is_quick", lambda *_: quick)
    picture = painted(10, 64, 96)
    with torch.inference_mode():
        model = load_model("compact", precision=precision)
        files = [model.compress(picture, bpp=0.35, effort=effort) for effort in (0, 2)]
    assert quality(model, picture, files[1]) > quality(model, picture, files[0])


def test_an_empty_middle_of_a_picture_does_not_tell_what_errors_are_worth(model: Model, painted: Painter) -> None:
    pixels = np.array(painted(12, 640, 640))
    curvatures = []
    for middle in (slice(0), slice(192, 448)):
        pixels[middle, middle] = 0
        symbols = torch.from_numpy(model.file_codec.symbols(model.read(Image.fromarray(pixels)).pixels))[None]
        curvatures.append(model._search._curvature(symbols, (1, 3, 640, 640), torch.ones(1)))
    assert 0.6 < curvatures[0] / curvatures[1] < 1.6


def test_a_budget_below_the_smallest_file_is_refused_before_the_search(
    model: Model, painted: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(symbol_search.SymbolSearch, "symbols_of", None)
    with pytest.raises(RateError) as refused:
        model.compress(painted(13, 40, 48), max_bytes=10, effort=1)
    with pytest.raises(RateError) as without:
        model.compress(painted(13, 40, 48), max_bytes=10)
    assert refused.value.least_bytes == without.value.least_bytes


def test_a_search_repeats(model: Model, painted: Painter) -> None:
    picture = painted(11, 64, 96)
    first, second = (load_model("compact").compress(picture, bpp=0.3, effort=2) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("effort", [-1, 4, 1.0, "2", True, None])
def test_an_effort_that_there_is_not_is_one_error(model: Model, painted: Painter, effort: Any) -> None:
    with pytest.raises(RateError):
        model.compress(painted(1, 16, 16), effort=effort)


def test_an_effort_may_be_a_number_of_numpy(model: Model, painted: Painter) -> None:
    assert model.compress(painted(1, 16, 16), effort=np.int64(1)) == model.compress(painted(1, 16, 16), effort=1)


def test_models_without_cells_or_density_have_no_search(painted: Painter, tmp_path: Path) -> None:
    for name, size in (("mnist-omega-16", 28), ("compact-small", 32)):
        with pytest.raises(ComponentError):
            load_model(name).compress(painted(1, size, size, "L"), effort=1)
    file = read_model(model_path("compact"))
    arrays = {name: array for name, array in file.arrays.items() if not name.startswith("relaxation.")}
    write_model(tmp_path / "without.safetensors", file.description, arrays)
    without = load_model(tmp_path / "without.safetensors")
    picture = painted(1, 32, 32)
    with pytest.raises(ComponentError):
        without.compress(picture, effort=1)
    quick, other = (OmegaFile.parse(each.compress(picture)) for each in (without, load_model("compact")))
    assert quick.stream == other.stream


def test_a_density_that_does_not_fit_is_one_error(painted: Painter, tmp_path: Path) -> None:
    file = read_model(model_path("compact"))
    [name] = (name for name in file.arrays if name == "relaxation.prior.log_scale")
    write_model(tmp_path / "bad.safetensors", file.description, {**file.arrays, name: np.zeros((3, 7), np.float16)})
    with pytest.raises(ModelFileError):
        load_model(tmp_path / "bad.safetensors").compress(painted(1, 32, 32), effort=1)


def test_the_command_takes_an_effort(omega_here: Any, painted: Painter, tmp_path: Path) -> None:
    picture = painted(12, 64, 96)
    picture.save(tmp_path / "a.png")
    model = load_model("compact")
    common = ("compress", tmp_path / "a.png", "--bpp", 0.5)
    done = omega_here(*common, "-o", tmp_path / "a.omega", "--effort", 2)
    assert done.returncode == 0, done.stderr
    searched = (tmp_path / "a.omega").read_bytes()
    assert quality(model, picture, searched) > quality(model, picture, model.compress(picture, bpp=0.5))
    for more, said in (
        (("--effort", 4), "the effort is a whole number from 0 to 3, not 4"),
        (("--effort", 1, "--model", "mnist-omega-16"), "no density of latents"),
        (("--effort", 1, "--pack"), "--effort does not work with --pack"),
    ):
        refused = omega_here(*common, "-o", tmp_path / "b.omega", *more)
        assert refused.returncode == 2
        assert said in refused.stderr
    assert not (tmp_path / "b.omega").exists()


def test_evaluation_with_an_effort_measures_a_file_of_its_own_for_each_rate(
    omega_here: Any, painted: Painter, tmp_path: Path
) -> None:
    painted(13, 64, 96).save(tmp_path / "a.png")
    found = []
    for effort in (0, 2):
        folder = tmp_path / f"effort-{effort}"
        options = ("--model", "compact", "--channels", "100,200,400,600,800", "--metrics", "psnr", "--effort", effort)
        done = omega_here("evaluate", "--images", tmp_path / "a.png", "--output", folder, *options)
        assert done.returncode == 0, done.stderr
        rows = [line.split(",") for line in (folder / "images.csv").read_text("utf-8").splitlines()]
        place = [rows[0].index(name) for name in ("setting", "bpp", "psnr")]
        found.append([[float(row[k]) for k in place] for row in rows[1:]])
    quick, searched = np.array(found)
    assert (quick[:, 0] == searched[:, 0]).all()
    better = searched[:, 2] - np.interp(searched[:, 1], quick[:, 1], quick[:, 2], right=np.nan)
    assert (better[np.isfinite(better)][1:] > 0).all()
    assert np.isfinite(better).sum() >= 3


@pytest.mark.parametrize("effort", [0, 1])
@pytest.mark.parametrize("bpp", [0.03, 0.8])
def test_a_quality_takes_no_more_bytes_than_it_needs(model: Model, painted: Painter, bpp: float, effort: int) -> None:
    picture = painted(14, 128, 160)
    wanted = quality(model, picture, model.compress(picture, bpp=bpp)) - 0.05
    data = model.compress(picture, psnr=wanted, effort=effort)
    assert quality(model, picture, data) >= wanted
    assert quality(model, picture, truncate(data, max_bytes=len(data) * 97 // 100)) < wanted + 0.02


def test_the_default_type_of_torch_changes_nothing(painted: Painter) -> None:
    image = painted(3, 48, 64)
    expected = load_model("compact").compress(image, effort=1)
    torch.set_default_dtype(torch.float64)
    try:
        assert load_model("compact").compress(image, effort=1) == expected
    finally:
        torch.set_default_dtype(torch.float32)
