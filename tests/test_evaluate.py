"""`omega evaluate` on pictures with any names, some of which cannot be measured, and in folders that are not empty."""

import csv
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from omega_core.errors import OutputError
from omega_train.evaluation import measurements
from omega_train.evaluation.codecs import pillow
from omega_train.evaluation.report import claim

Run = Callable[..., Any]


def picture(path: Path, seed: int = 0) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (28, 28), np.uint8)
    with path.open("wb") as file:
        Image.fromarray(noise).save(file, "PNG")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, name in enumerate("abc"):
        picture(folder / f"{name}.png", number)
    return folder


@pytest.fixture
def evaluate(omega_here: Run, untrained: Callable[..., Path], images: Path, tmp_path: Path) -> Run:
    model = untrained("mnist", channels=2)

    def run(*arguments: object) -> Any:
        given = ("--model", model, "--images", images, "--output", tmp_path / "out", "--workers", 1)
        return omega_here("evaluate", *given, *arguments)

    return run


def measured(folder: Path) -> list[dict[str, str]]:
    with (folder / "images.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def data_of_page(folder: Path) -> Any:
    found = re.search(r"const data = (.*);\n", (folder / "report.html").read_text("utf-8"))
    assert found is not None
    return json.loads(found[1])


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_names_of_any_bytes_are_measured_and_their_reports_can_be_read(
    evaluate: Run, images: Path, tmp_path: Path
) -> None:
    given = (b"caf\xe9.png", b"<b>,\"'\n&.png", b">.png", "é ✓.png".encode(), b"n" * 251 + b".png")
    for number, name in enumerate(given):
        picture(images / os.fsdecode(name), number)
    done = evaluate("--save-images", "--against", "jpeg")
    assert done.returncode == 0, done.stderr
    names = {"a.png", "b.png", "c.png", "caf\\xe9.png", "<b>,\"'\n&.png", ">.png", "é ✓.png", "n" * 251 + ".png"}
    assert {row["image"] for row in measured(tmp_path / "out")} == names
    assert set(json.loads((tmp_path / "out" / "evaluation.json").read_bytes())["pictures"]) == names
    assert {each["image"] for each in data_of_page(tmp_path / "out")["gallery"]} <= names
    assert len(list((tmp_path / "out" / "pictures").iterdir())) == 8


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_models_and_folders_may_have_such_names_too(
    omega_here: Run, untrained: Callable[..., Path], images: Path, tmp_path: Path
) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff $a$ %"))
    folder.mkdir()
    model = folder / os.fsdecode(b"m\xe9$x_$.safetensors")
    model.write_bytes(untrained("mnist", channels=2).read_bytes())
    images = images.rename(folder / "images")
    for _ in range(2):  # the second one finds what the first has written
        done = omega_here("evaluate", "--model", model, "--images", images, "--output", folder / "out", "--workers", 1)
        assert done.returncode == 0, done.stderr
    assert {row["codec"] for row in measured(folder / "out")} == {"m\\xe9$x_$"}
    assert json.loads((folder / "out" / "evaluation.json").read_bytes())["images"] == str(images)
    assert data_of_page(folder / "out")["points"]


def test_pictures_of_one_stem_are_kept_apart(evaluate: Run, images: Path, tmp_path: Path) -> None:
    Image.open(images / "b.png").save(images / "a.bmp")
    assert evaluate("--save-images").returncode == 0
    for name, original in (("a.png", "a.png"), ("a.bmp", "b.png")):
        kept = Image.open(tmp_path / "out" / "pictures" / name / "original.png")
        assert np.array_equal(np.asarray(kept), np.asarray(Image.open(images / original)))


@pytest.mark.parametrize("problem", ["damaged", "refused by a codec", "memory"])
def test_what_is_wrong_with_one_picture_is_an_error_and_the_others_are_measured(
    evaluate: Run, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    original = pillow.JpegCodec.encode
    wanted = np.asarray(Image.open(images / "b.png"))

    def encode(self: pillow.JpegCodec, pixels: Any, setting: int) -> bytes:
        if np.array_equal(pixels[0], wanted):
            raise MemoryError
        return original(self, pixels, setting)

    if problem == "damaged":
        (images / "b.png").write_bytes((images / "b.png").read_bytes()[:100])
    elif problem == "memory":
        monkeypatch.setattr(pillow.JpegCodec, "encode", encode)
    else:
        monkeypatch.setattr(pillow, "to_pillow", lambda pixels: _refusing(pixels, wanted))
    done = evaluate("--against", "jpeg")
    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert "b.png" in line
    assert {row["image"] for row in measured(tmp_path / "out")} == {"a.png", "c.png"}


def test_two_sets_of_pictures_at_once_are_refused(evaluate: Run, images: Path, tmp_path: Path) -> None:
    done = evaluate("--images", images / "a.png")
    assert done.returncode == 2
    assert "--images takes one picture or one folder: put several pictures into one folder." in done.stderr
    assert not (tmp_path / "out").exists()


def _refusing(pixels: Any, refused: Any) -> Any:
    if np.array_equal(pixels[0], refused):
        raise ValueError("too wide")
    return Image.fromarray(pixels[0])


def test_pictures_of_the_gallery_are_coded_once(
    evaluate: Run, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate("defgh"):
        picture(images / f"{name}.png", 10 + number)
    coded, original = [], measurements.through_model
    monkeypatch.setattr(measurements, "through_model", lambda *a, **b: coded.append(a) or original(*a, **b))
    assert evaluate().returncode == 0
    assert len(coded) == 8
    gallery = data_of_page(tmp_path / "out")["gallery"]
    assert [each["image"] for each in gallery] == ["a.png", "c.png", "e.png", "g.png"]
    assert [len(each["codecs"][0]["versions"]) for each in gallery] == [2] * 4
    picture(images / "aa.png", 30)  # now another four are evenly spaced
    coded.clear()
    assert evaluate("--skip-existing").returncode == 0
    shown = [each["image"] for each in data_of_page(tmp_path / "out")["gallery"]]
    assert shown == ["a.png", "b.png", "d.png", "f.png"]
    assert len(coded) == 1 + 3  # the new one, and those that were not shown before


def test_only_the_metrics_that_are_asked_for_are_measured(evaluate: Run, tmp_path: Path) -> None:
    done = evaluate("--metrics", "psnr")
    assert done.returncode == 0, done.stderr
    assert all(row["psnr"] and not row["ssim"] and not row["ms_ssim"] for row in measured(tmp_path / "out"))
    assert "is left out" not in done.stderr
    other = evaluate("--metrics", "psnr,ssim")
    assert other.returncode == 2  # another evaluation than the one in the folder
    assert evaluate("--metrics", "psnr, ssim,", "--overwrite").returncode == 0
    assert all(row["psnr"] and row["ssim"] and not row["ms_ssim"] for row in measured(tmp_path / "out"))
    wrong = evaluate("--metrics", "psnr,vmaf")
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "error: there is no metric 'vmaf', only psnr, ssim, ms_ssim, psnr_hvs_m, ssimulacra2.\n",
    )


def test_an_evaluation_may_be_repeated_but_its_report_is_replaced_by_another_only_if_asked(
    evaluate: Run, images: Path, tmp_path: Path
) -> None:
    assert evaluate().returncode == 0
    picture(images / "d.png", 4)
    assert evaluate("--rate", "stream").returncode == 0  # the same settings, with one picture more
    before = (tmp_path / "out" / "summary.csv").read_bytes()
    refused = evaluate("--against", "jpeg")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "--overwrite" in refused.stderr
    assert (tmp_path / "out" / "summary.csv").read_bytes() == before
    assert evaluate("--against", "jpeg", "--overwrite").returncode == 0
    assert {row["codec"] for row in measured(tmp_path / "out")} > {"jpeg"}
    assert evaluate("--overwrite").returncode == 0
    assert "jpeg" not in {row["codec"] for row in measured(tmp_path / "out")}
    assert not (tmp_path / "out" / "bd.csv").exists()


def test_a_report_with_another_effort_is_another_one(tmp_path: Path) -> None:
    made_with = {"models": {}, "channels": [2]}
    claim(tmp_path, made_with, overwrite=False)  # as by versions without an effort
    claim(tmp_path, {**made_with, "effort": 0}, overwrite=False)
    with pytest.raises(OutputError, match="--overwrite"):
        claim(tmp_path, {**made_with, "effort": 1}, overwrite=False)


@pytest.mark.parametrize("name", ["images.csv", "summary.csv", "bd.csv", "evaluation.json", "report.html"])
def test_a_file_of_somebody_else_is_replaced_only_if_asked(evaluate: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    assert evaluate().returncode == 2
    assert (tmp_path / "out" / name).read_text() == "mine"


def test_measurements_of_a_picture_that_was_changed_are_not_taken_for_it(
    evaluate: Run, images: Path, tmp_path: Path
) -> None:
    assert evaluate().returncode == 0
    before = {row["image"]: row for row in measured(tmp_path / "out")}
    picture(images / "a.png", 9)
    assert evaluate("--skip-existing").returncode == 0
    after = {row["image"]: row for row in measured(tmp_path / "out")}
    assert [name for name in before if before[name] != after[name]] == ["a.png"]


def test_what_was_measured_before_an_evaluation_was_stopped_is_not_measured_again(
    evaluate: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    original, seen = measurements.through_model, []

    def through_model(*arguments: Any, **options: Any) -> Any:
        seen.append(len(seen))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(measurements, "through_model", through_model)
    assert evaluate().returncode == 130
    assert len(list((tmp_path / "out" / "parts").rglob("*.csv"))) == 2
    seen[:] = [0] * 10
    assert evaluate("--skip-existing").returncode == 0
    assert len(seen) == 10 + 1  # one is left


def test_codecs_are_measured_with_their_options_and_the_report_tells_them(evaluate: Run, tmp_path: Path) -> None:
    def sizes() -> dict[str, list[str]]:
        rows = measured(tmp_path / "out")
        return {name: [row["bytes"] for row in rows if row["codec"] == name] for name in ("webp", "omega-train-avif")}

    names = ("--against", "webp, omega-train/avif", "--save-images", "--quiet")
    assert evaluate(*names).returncode == 0
    told = json.loads((tmp_path / "out" / "evaluation.json").read_bytes())["codecs"]
    assert told["webp"]["settings"][0] == 0
    assert told["webp"]["made_with"].endswith("method=6")
    assert (tmp_path / "out" / "pictures" / "a.png" / "omega-train-avif-5.png").exists()
    before = sizes()
    options = ("--codec-option", "webp.method=0", "--codec-option", "avif.speed=10")
    refused = evaluate(*names, *options)  # another evaluation
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert evaluate(*names, *options, "--overwrite", "--skip-existing").returncode == 0
    told = json.loads((tmp_path / "out" / "evaluation.json").read_bytes())["codecs"]
    assert told["webp"]["made_with"].endswith("method=0")
    assert told["omega-train-avif"]["made_with"].endswith("subsampling=4:2:0, speed=10, tune=default")
    assert all(sizes()[name] != before[name] for name in before)


def test_a_second_evaluation_does_not_encode_with_other_codecs_again(
    omega_here: Run, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMEGA_CACHE", str(tmp_path / "cache"))
    for number in range(6):  # of which the gallery shows four
        noise = np.random.default_rng(number).integers(0, 256, (256, 256), np.uint8)
        Image.fromarray(noise).save(images / f"{number}.png")
    for name in "abc":
        (images / f"{name}.png").unlink()
    seen: list[int] = []
    original = pillow.JpegCodec.encode

    def encode(self: pillow.JpegCodec, pixels: Any, setting: int) -> bytes:
        seen.append(setting)
        return original(self, pixels, setting)

    monkeypatch.setattr(pillow.JpegCodec, "encode", encode)
    given = ("--images", images, "--output", tmp_path / "out", "--against", "jpeg", "--metrics", "psnr")

    def evaluate(*options: str) -> Any:
        return omega_here("evaluate", *given, "--workers", 1, *options)

    first = evaluate()
    assert first.returncode == 0, first.stderr
    assert "the cache" not in first.stderr
    rows, settings = measured(tmp_path / "out"), len(pillow.JpegCodec.settings)
    assert len(seen) == 6 * settings
    assert len(list((tmp_path / "cache" / "measurements").iterdir())) == 6
    seen.clear()
    second = evaluate()
    assert "note: 2 measurements of other codecs came from the cache: --no-cache repeats them." in second.stderr
    assert measured(tmp_path / "out") == rows
    assert len(seen) == 4 * settings  # of those that the gallery shows, the pixels are needed
    seen.clear()
    third = evaluate("--no-cache")
    assert "the cache" not in third.stderr
    assert measured(tmp_path / "out") == rows
    assert len(seen) == 6 * settings
    seen.clear()
    assert evaluate("--save-images").returncode == 0
    assert len(seen) == 6 * settings
    assert len(list((tmp_path / "out" / "pictures" / "2.png").glob("jpeg-*.png"))) == settings


def test_several_processes_make_codecs_of_their_own(evaluate: Run, tmp_path: Path) -> None:
    options = ("--codec-option", "webp.method=0")
    assert evaluate("--against", "jpeg,webp", *options, "--workers", 2).returncode == 0
    several = measured(tmp_path / "out")
    assert evaluate("--against", "jpeg,webp", *options).returncode == 0
    assert measured(tmp_path / "out") == several


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--against", "jpeg,gif"), "there is no codec 'gif'. Available: "),
        (("--against", "jpge"), "there is no codec 'jpge'. Did you mean 'jpeg'?"),
        (("--against", "jpeg,webp,jpeg"), "the codec jpeg is given twice."),
        (("--against", "jpeg,omega-train/jpeg"), "the codec omega-train/jpeg is given twice."),
        (
            ("--against", "webp", "--codec-option", "webp.method=x"),
            "the option method of the codec 'webp' has to be an ",
        ),
        (
            ("--against", "webp", "--codec-option", "webp.method=9"),
            "the option method of the codec webp has to be from 0 to 6, ",
        ),
        (
            ("--against", "webp", "--codec-option", "webp.speed=9"),
            "the codec 'webp' has no option 'speed'. Its options: ",
        ),
        (("--against", "webp", "--codec-option", "method=4"), "--codec-option takes NAME.OPTION=VALUE, such as "),
        (("--against", "webp", "--codec-option", "webp.method"), "--codec-option takes NAME.OPTION=VALUE, such as "),
        (("--against", "webp", "--codec-option", "avif.speed=4"), "--codec-option avif.speed=4 is for a codec that "),
        (
            ("--codec-option", "avif.speed=4"),
            "--codec-option avif.speed=4 is for a codec that --against does not name.",
        ),
    ],
)
def test_codecs_and_options_that_cannot_be_are_one_line(
    evaluate: Run, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = evaluate(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_estimated_rate_that_a_search_does_not_give_is_refused(evaluate: Run, tmp_path: Path) -> None:
    done = evaluate("--effort", 1, "--rate", "estimated")
    assert done.returncode == 2
    assert done.stderr.startswith("error: --effort gives no estimated rate: ")
    assert not (tmp_path / "out").exists()


def test_a_model_with_the_name_of_a_codec_is_refused(
    omega_here: Run, untrained: Callable[..., Path], images: Path, tmp_path: Path
) -> None:
    model = tmp_path / "jpeg.safetensors"
    model.write_bytes(untrained("mnist", channels=2).read_bytes())
    given = ("--model", model, "--images", images, "--output", tmp_path / "out")
    done = omega_here("evaluate", *given, "--against", "jpeg")
    assert done.returncode == 2
    assert done.stderr.startswith("error: a model and a codec are both called jpeg: ")
