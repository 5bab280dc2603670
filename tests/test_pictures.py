"""What the command does with pictures of any kind: what it keeps, what it skips, and what it says of them."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

import omega_core
from omega_core.format.file import OmegaFile

Run = Callable[..., subprocess.CompletedProcess[str]]
Paint = Callable[..., Path]


@pytest.fixture(scope="module")
def model(untrained: Callable[..., Path]) -> Path:
    """One that takes pictures of any size."""
    return untrained(channels=8, symbols=16, latent=8, width=4)


@pytest.fixture(scope="session")
def profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture
def paint(tmp_path: Path) -> Paint:
    """Makes a file with a picture of soft noise."""

    def save(name: str, mode: str = "RGB", width: int = 40, height: int = 30, **options: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(len(name)).integers(0, 256, (height // 4 + 1, width // 4 + 1, 4), np.uint8)
        Image.fromarray(noise).resize((width, height)).convert(mode).save(path, **options)
        return path

    return save


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.asarray(picture)


def about(omega_here: Run, path: Path) -> dict[str, object]:
    done = omega_here("info", path, "--json")
    assert done.returncode == 0, done.stderr
    facts: dict[str, object] = json.loads(done.stdout)
    return facts


def well(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    assert (done.returncode, done.stderr) == (0, "")
    return done


def complaint(done: subprocess.CompletedProcess[str], status: int = 2) -> str:
    """The one line in which a command says what is wrong."""
    assert done.returncode == status, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ")
    return done.stderr


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_kept_without_loss_or_dropped(
    omega_here: Run, model: Path, paint: Paint, tmp_path: Path, mode: str
) -> None:
    picture = paint("a.png", mode)
    assert len(np.unique(pixels(picture)[:, :, -1])) > 20
    for options, kept in (((), True), (("--alpha", "keep"), True), (("--alpha", "drop"), False)):
        well(omega_here("compress", picture, "--output", tmp_path / "o", "--model", model, "--overwrite", *options))
        facts = about(omega_here, tmp_path / "o" / "a.omega")
        assert facts["mode"] == (mode if kept else mode[:-1])
        assert ("alpha_bytes" in facts) == kept
        again = ("--model", model, "--overwrite")
        well(omega_here("decompress", tmp_path / "o" / "a.omega", "--output", tmp_path / "o", *again))
        decoded = pixels(tmp_path / "o" / "a.png")
        assert decoded.shape[2:] == ((len(mode),) if kept else () if mode == "LA" else (3,))
        assert not kept or np.array_equal(decoded[:, :, -1], pixels(picture)[:, :, -1])


def test_a_color_profile_is_kept_or_dropped(
    omega_here: Run, model: Path, paint: Paint, profile: bytes, tmp_path: Path
) -> None:
    picture = paint("a.png", icc_profile=profile)
    for options, kept in (((), True), (("--icc", "keep"), True), (("--icc", "drop"), False)):
        well(omega_here("compress", picture, "--output", tmp_path / "o", "--model", model, "--overwrite", *options))
        assert ("profile_bytes" in about(omega_here, tmp_path / "o" / "a.omega")) == kept
        again = ("--model", model, "--overwrite")
        well(omega_here("decompress", tmp_path / "o" / "a.omega", "--output", tmp_path / "o", *again))
        with Image.open(tmp_path / "o" / "a.png") as decoded:
            assert decoded.info.get("icc_profile") == (profile if kept else None)


@pytest.mark.parametrize("option", ["--alpha", "--icc"])
def test_what_is_beside_the_colors_is_kept_or_dropped_and_nothing_else(
    omega_here: Run, model: Path, paint: Paint, option: str
) -> None:
    assert "'keep', 'drop'" in complaint(omega_here("compress", paint("a.png"), "--output", "o", option, "lose"))


def test_dropping_what_a_picture_has_not_changes_nothing(
    omega_here: Run, model: Path, paint: Paint, tmp_path: Path
) -> None:
    picture = paint("a.png")
    well(omega_here("compress", picture, "--output", tmp_path / "1", "--model", model))
    drop = ("--alpha", "drop", "--icc", "drop")
    well(omega_here("compress", picture, "--output", tmp_path / "2", "--model", model, *drop))
    assert written(tmp_path / "1") == written(tmp_path / "2")


def test_a_gray_picture_goes_through_a_model_for_rgb_and_stays_gray(
    omega_here: Run, model: Path, paint: Paint, tmp_path: Path
) -> None:
    picture = paint("a.png", "L")
    well(omega_here("compress", picture, "--output", tmp_path / "o", "--model", model))
    assert about(omega_here, tmp_path / "o" / "a.omega")["mode"] == "L"
    well(omega_here("decompress", tmp_path / "o" / "a.omega", "--output", tmp_path / "o", "--model", model))
    assert pixels(tmp_path / "o" / "a.png").shape == (30, 40)


@pytest.mark.parametrize(("width", "tile"), [(1024, None), (1025, 1024), (1100, 1024)])
def test_a_picture_with_a_long_side_is_worked_on_in_tiles(
    omega_here: Run, model: Path, paint: Paint, tmp_path: Path, width: int, tile: int | None
) -> None:
    picture = paint("a.png", width=width, height=40)
    well(omega_here("compress", picture, "--output", tmp_path / "o", "--model", model))
    facts = about(omega_here, tmp_path / "o" / "a.omega")
    assert (facts["width"], facts["height"], facts.get("tiles")) == (width, 40, tile)
    assert ("tiles" in omega_here("info", tmp_path / "o" / "a.omega").stdout) == (tile is not None)
    well(omega_here("decompress", tmp_path / "o" / "a.omega", "--output", tmp_path / "o", "--model", model))
    assert pixels(tmp_path / "o" / "a.png").shape == (40, width, 3)


def test_what_has_more_pixels_than_allowed_is_refused_and_named(
    omega_here: Run, model: Path, paint: Paint, tmp_path: Path
) -> None:
    small, large = paint("small.png", width=40, height=30), paint("large.png", width=41, height=30)
    limit = ("--model", model, "--max-pixels", 1200)
    done = omega_here("compress", small, large, "--output", tmp_path / "o", *limit)
    assert done.returncode == 1
    advice = "allow more with max_pixels (--max-pixels).\n"
    assert done.stderr == f"error: {large}: 41×30 pixels are more than 1200; {advice}"
    assert list(written(tmp_path / "o")) == ["small.omega"]

    more = ("--model", model, "--max-pixels", 1230, "--overwrite")
    well(omega_here("compress", small, large, "--output", tmp_path / "o", *more))
    files = [tmp_path / "o" / "small.omega", tmp_path / "o" / "large.omega"]
    done = omega_here("decompress", *files, "--output", tmp_path / "d", *limit)
    assert done.returncode == 1
    assert done.stderr == f"error: {files[1]}: the file has 41×30 pixels, more than 1200; {advice}"
    assert list(written(tmp_path / "d")) == ["small.png"]
    well(omega_here("decompress", *files, "--output", tmp_path / "d", *more))


@pytest.mark.parametrize(
    ("command", "option"), [("compress", "max-pixels"), ("decompress", "max-pixels"), ("decompress", "max-memory")]
)
@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_of_nothing_is_a_mistake(
    omega_here: Run, model: Path, paint: Paint, tmp_path: Path, command: str, option: str, limit: int
) -> None:
    done = omega_here(command, paint("a.png"), "--output", tmp_path / "o", "--model", model, f"--{option}", limit)
    assert f"Invalid value for '--{option}'" in complaint(done)


@pytest.mark.parametrize("command", ["compress", "decompress"])
def test_no_worker_at_all_is_a_mistake(
    omega_here: Run, model: Path, paint: Paint, tmp_path: Path, command: str
) -> None:
    shutil.copy(paint("a.png"), tmp_path / "a.omega")
    source = tmp_path / ("a.png" if command == "compress" else "a.omega")
    done = omega_here(command, source, "--output", tmp_path / "o", "--model", model, "--workers", 0)
    assert "Invalid value for '--workers'" in complaint(done)
    assert not (tmp_path / "o").exists()


def test_short_options_name_the_output_and_silence_the_summary_but_not_errors(
    omega_here: Run, model: Path, paint: Paint, tmp_path: Path
) -> None:
    files, shorter, decoded = tmp_path / "files", tmp_path / "shorter.omega", tmp_path / "decoded"
    done = [
        well(omega_here("compress", paint("a.png"), "-q", "-o", files, "--model", model)),
        well(omega_here("truncate", files / "a.omega", "-q", "-o", shorter, "--max-bytes", 18)),
        well(omega_here("decompress", shorter, "-q", "-o", decoded, "--model", model)),
    ]
    assert all(each.stdout == each.stderr == "" for each in done)
    assert (decoded / "shorter.png").exists()

    (tmp_path / "bad.png").write_bytes(b"no picture")
    assert "bad.png" in complaint(
        omega_here("compress", tmp_path / "bad.png", "--quiet", "-o", files, "--model", model)
    )


def test_the_summary_adds_up_what_was_read_and_written(
    omega_here: Run, model: Path, paint: Paint, tmp_path: Path
) -> None:
    one, other = paint("one.png", width=50, height=20), paint("other.png", "L", 16, 31)
    done = well(omega_here("compress", one, "--output", tmp_path / "o", "--model", model))
    size = (tmp_path / "o" / "one.omega").stat().st_size
    sizes = f"{one.stat().st_size:,} → {size} bytes ({8 * size / 1000:.2f} bpp)"
    assert done.stdout == f"1 picture, {sizes}, in {tmp_path / 'o' / 'one.omega'}\n"

    (tmp_path / "bad.png").write_bytes(b"no picture")
    inputs = (one, other, tmp_path / "bad.png")
    done = omega_here("compress", *inputs, "--output", tmp_path / "o", "--model", model, "--overwrite")
    assert done.returncode == 1
    size += (tmp_path / "o" / "other.omega").stat().st_size
    before = one.stat().st_size + other.stat().st_size
    assert done.stdout == (
        f"2 pictures, {before:,} → {size} bytes ({8 * size / 1496:.2f} bpp), 1 failed, in {tmp_path / 'o'}\n"
    )

    done = well(omega_here("decompress", tmp_path / "o", "--output", tmp_path / "d", "--model", model))
    assert done.stdout == f"2 pictures in {tmp_path / 'd'}\n"


def test_what_is_there_already_is_skipped_if_so_asked(
    omega_here: Run, model: Path, paint: Paint, tmp_path: Path
) -> None:
    for name in ("in/a.png", "in/b.png", "in/deeper/a.png"):
        paint(name)
    compress = ("compress", tmp_path / "in", "--output", tmp_path / "o", "--model", model)
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "a.omega").write_bytes(b"there already")
    done = well(omega_here(*compress, "--skip-existing"))
    assert done.stdout.startswith("2 pictures, ")
    assert done.stdout.endswith(f", 1 skipped, in {tmp_path / 'o'}\n")
    skipped = written(tmp_path / "o")
    assert skipped["a.omega"] == b"there already"
    assert well(omega_here(*compress, "--skip-existing")).stdout == f"0 pictures, 3 skipped, in {tmp_path / 'o'}\n"
    assert "skipped" not in well(omega_here(*compress, "--overwrite")).stdout
    whole = written(tmp_path / "o")
    assert whole.pop("a.omega") != skipped.pop("a.omega")
    assert whole == skipped

    decompress = ("decompress", tmp_path / "o", "--output", tmp_path / "d", "--model", model)
    (tmp_path / "d" / "deeper").mkdir(parents=True)
    (tmp_path / "d" / "deeper" / "a.png").write_bytes(b"there already")
    assert well(omega_here(*decompress, "--skip-existing")).stdout == f"2 pictures, 1 skipped, in {tmp_path / 'd'}\n"
    assert written(tmp_path / "d")[str(Path("deeper/a.png"))] == b"there already"
    well(omega_here(*decompress, "--overwrite"))
    assert pixels(tmp_path / "d" / "deeper" / "a.png").shape == (30, 40, 3)


def test_a_skipped_file_does_not_make_up_for_one_that_fails(
    omega_here: Run, model: Path, paint: Paint, tmp_path: Path
) -> None:
    paint("in/a.png")
    (tmp_path / "in" / "bad.png").write_bytes(b"no picture")
    compress = ("compress", tmp_path / "in", "--output", tmp_path / "o", "--model", model, "--skip-existing")
    assert omega_here(*compress).stdout.endswith(f", 1 failed, in {tmp_path / 'o'}\n")
    again = omega_here(*compress)
    assert (again.returncode, again.stdout) == (1, f"0 pictures, 1 skipped, 1 failed, in {tmp_path / 'o'}\n")


def test_files_of_one_name_from_different_inputs_are_errors_and_the_others_are_done(
    omega_here: Run, model: Path, paint: Paint, tmp_path: Path
) -> None:
    for folder in ("1", "2"):
        well(omega_here("compress", paint("a.png"), "--output", tmp_path / folder, "--model", model))
    well(omega_here("compress", paint("b.png"), "--output", tmp_path / "2", "--model", model))
    done = omega_here("decompress", tmp_path / "1", tmp_path / "2", "--output", tmp_path / "o", "--model", model)
    assert done.returncode == 1
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == [
        str(tmp_path / folder / "a.omega") for folder in ("1", "2")
    ]
    assert list(written(tmp_path / "o")) == ["b.png"]


@pytest.mark.parametrize("command", ["compress", "pack", "decompress", "preview", "truncate"])
def test_a_folder_that_cannot_be_written_is_one_error(
    omega_here: Run, model: Path, paint: Paint, tmp_path: Path, command: str
) -> None:
    for name in ("in/a.png", "in/b.png"):
        paint(name)
    well(omega_here("compress", tmp_path / "in", "--output", tmp_path / "c", "--model", model))
    (tmp_path / "file").touch()
    folder, file = tmp_path / "file" / "o", tmp_path / "c" / "a.omega"
    arguments = {
        "compress": ("compress", tmp_path / "in", "--output", folder, "--model", model),
        "pack": ("compress", tmp_path / "in", "--output", folder, "--model", model, "--pack"),
        "decompress": ("decompress", tmp_path / "c", "--output", folder, "--model", model),
        "preview": ("decompress", file, "--output", tmp_path / "d", "--preview", folder, "--model", model),
        "truncate": ("truncate", file, "--output", folder, "--max-bytes", 17),
    }[command]
    assert f"cannot write {folder}" in complaint(omega_here(*arguments))
    assert not (tmp_path / "d").exists()


def test_previews_get_better_up_to_the_picture_itself(
    omega_here: Run, model: Path, paint: Paint, tmp_path: Path
) -> None:
    picture = paint("some picture.png", "RGBA")
    well(omega_here("compress", picture, "--output", tmp_path / "c", "--model", model))
    file, preview = tmp_path / "c" / "some picture.omega", tmp_path / "p"
    well(omega_here("decompress", file, "--output", tmp_path / "d", "--model", model, "--preview", preview))
    names = sorted(written(preview))
    whole = OmegaFile.parse(file.read_bytes())
    assert names[-1] == f"some picture-{whole.header.length:07}.png"
    assert np.array_equal(pixels(preview / names[-1]), pixels(tmp_path / "d" / "some picture.png"))
    for name in names[:2]:
        expected = omega_core.decompress(whole.truncated(int(name[-11:-4])).to_bytes(), model)
        assert np.array_equal(pixels(preview / name), np.asarray(expected))


def test_what_arrived_of_a_file_that_breaks_off_is_there_as_preview(
    omega_here: Run, model: Path, paint: Paint, tmp_path: Path
) -> None:
    well(omega_here("compress", paint("a.png", width=200, height=200), "--output", tmp_path, "--model", model))
    file = tmp_path / "a.omega"
    length = OmegaFile.parse(file.read_bytes()).header.length
    file.write_bytes(file.read_bytes()[: -4 - length // 10])
    arguments = ("decompress", file, "--output", tmp_path / "d", "--model", model)
    done = omega_here(*arguments, "--preview", tmp_path / "p")
    assert "incomplete" in done.stderr
    views = sorted(written(tmp_path / "p"))
    assert views
    assert all(int(view[2:-4]) <= length * 9 // 10 for view in views)
    assert not (tmp_path / "d").exists()

    well(omega_here(*arguments, "--partial"))
    whole = OmegaFile.parse(file.read_bytes(), partial=True)
    assert np.array_equal(pixels(tmp_path / "d" / "a.png"), np.asarray(omega_core.decompress(whole.to_bytes(), model)))
    assert "without --partial" in complaint(omega_here(*arguments, "--preview", tmp_path / "p", "--partial"))


def test_a_file_is_taken_from_standard_input(
    omega_here: Run, model: Path, paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    well(omega_here("compress", paint("a.png"), "--output", tmp_path, "--model", model))
    well(omega_here("decompress", tmp_path / "a.omega", "--output", tmp_path / "d", "--model", model))
    for options in ((), ("--preview", tmp_path / "p")):
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO((tmp_path / "a.omega").read_bytes())))
        done = well(omega_here("decompress", "-", "--output", tmp_path / "s", "--model", model, *options))
        assert done.stdout == f"1 picture in {tmp_path / 's' / 'stdin.png'}\n"
        assert written(tmp_path / "s") == {"stdin.png": (tmp_path / "d" / "a.png").read_bytes()}
        (tmp_path / "s" / "stdin.png").unlink()
    length = OmegaFile.parse((tmp_path / "a.omega").read_bytes()).header.length
    assert f"stdin-{length:07}.png" in written(tmp_path / "p")


def test_the_first_preview_is_there_before_the_rest_has_been_sent(
    omega_here: Run, model: Path, paint: Paint, tmp_path: Path
) -> None:
    well(omega_here("compress", paint("a.png", width=200, height=200), "--output", tmp_path, "--model", model))
    data = (tmp_path / "a.omega").read_bytes()
    first = next(omega_core.decode_progressively(BytesIO(data), model)).info["stream_bytes"]
    enough = len(data) - 4 - OmegaFile.parse(data).header.length + first
    assert enough < len(data) / 2
    preview = tmp_path / "p" / f"stdin-{first:07}.png"
    command = ["decompress", "-", "--output", tmp_path / "d", "--model", model, "--preview", tmp_path / "p"]
    with subprocess.Popen(
        [sys.executable, "-c", "from omega_cli.main import run; run()", *command], stdin=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        process.stdin.write(data[:enough])
        process.stdin.flush()
        ends = time.monotonic() + 60
        while not preview.exists() or any((tmp_path / "p").glob("*.part")):  # of which it gets its name at once
            assert process.poll() is None
            assert time.monotonic() < ends
            time.sleep(0.02)
        assert sorted(written(tmp_path / "p")) == [preview.name]
        assert not (tmp_path / "d").exists()
        process.stdin.write(data[enough:])
        process.stdin.close()
    assert process.returncode == 0
    well(omega_here("decompress", tmp_path / "a.omega", "--output", tmp_path / "d", "--model", model))
    assert (tmp_path / "d" / "stdin.png").read_bytes() == (tmp_path / "d" / "a.png").read_bytes()


@pytest.mark.job
def test_several_processes_write_what_one_writes(omega: Run, model: Path, paint: Paint, tmp_path: Path) -> None:
    modes = ("L", "RGB", "RGBA")
    for number in range(24):
        paint(f"in/{number % 5}/{number:02}.png", modes[number % 3], 20 + 7 * number, 90 - 3 * number)
    (tmp_path / "in" / "bad.png").write_bytes(b"no picture")
    said = {}
    for workers in (1, 2):
        options = ("--model", model, "--workers", workers)
        done = omega("compress", tmp_path / "in", "--output", tmp_path / f"c{workers}", *options)
        assert done.returncode == 1
        said[workers] = [done.stdout.partition(", in ")[0], done.stderr]
        done = omega("decompress", tmp_path / "c1", "--output", tmp_path / f"d{workers}", *options)
        assert done.returncode == 0, done.stderr
    assert said[1] == said[2]
    assert len(written(tmp_path / "c1")) == 24
    assert written(tmp_path / "c2") == written(tmp_path / "c1")
    assert written(tmp_path / "d2") == written(tmp_path / "d1")


FORKED_FROM = """
import omega_cli.executors.before_imports
import os, sys
from importlib import import_module
from omega_cli.evaluate_workers import EvaluateWorker
from omega_cli.options import LazyModel

model = LazyModel(None, None)
models = {"compact": (model, None)}
worker = EvaluateWorker(models, {}, [], effort=0, metrics=[], max_pixels=1, pictures=None, cache=False)
for name in worker.imports:
    import_module(name)
assert set(model.imports) <= set(worker.imports)
assert not sys.modules["torch"].cuda.is_initialized()
assert LazyModel(sys.argv[1], None).imports == ()
print(len(os.listdir("/proc/self/task")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, no process forks")
def test_the_process_that_workers_fork_from_has_imported_torch_and_has_one_thread() -> None:
    environment = {name: text for name, text in os.environ.items() if not name.endswith("_NUM_THREADS")}
    command = [sys.executable, "-c", FORKED_FROM, str(Path(__file__).parent / "golden" / "exported")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


@pytest.mark.job
def test_a_picture_above_the_usual_limit_is_taken_if_allowed(
    omega: Run, untrained: Callable[..., Path], tmp_path: Path
) -> None:
    Image.new("1", (10_000, 9_000)).save(tmp_path / "a.png")
    model = untrained("compact", channels=2, symbols=2, latent=2, nets="none", lapped=False, block=8)  # as quick as any
    compress = ("compress", tmp_path / "a.png", "--output", tmp_path / "o", "--model", model)
    assert "10000×9000 pixels are more than 89478485; allow more" in complaint(omega(*compress))
    assert not (tmp_path / "o").exists()
    well(omega(*compress, "--max-pixels", 90_000_000))
    decompress = ("decompress", tmp_path / "o", "--output", tmp_path / "d", "--model", model)
    assert "10000×9000 pixels, more than 89478485; allow more" in complaint(omega(*decompress))


def test_a_budget_beyond_all_numbers_is_any_budget(omega_here: Run, model: Path, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    done = omega_here("compress", tmp_path / "a.png", "--output", tmp_path, "--model", model, "--bpp", 1e308)
    assert done.returncode == 0


def test_a_standard_input_that_is_closed_is_an_error(
    omega_here: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    done = omega_here("decompress", "-", "--output", tmp_path, "--model", model)
    assert (done.returncode, "there is no standard input" in done.stderr) == (2, True)


def test_the_summary_is_printed_whatever_the_encoding(omega: Run, model: Path, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    arguments = ("compress", tmp_path / "a.png", "--output", tmp_path, "--model", model)
    done = omega(*arguments, PYTHONIOENCODING="cp1252")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_came_from_standard_input_before_is_skipped(
    omega_here: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    omega_here("compress", tmp_path / "a.png", "--output", tmp_path, "--model", model)
    (tmp_path / "stdin.png").write_bytes(b"there already")
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO((tmp_path / "a.omega").read_bytes())))
    omega_here("decompress", "-", "--output", tmp_path, "--model", model, "--skip-existing")
    assert (tmp_path / "stdin.png").read_bytes() == b"there already"


def test_previews_keep_the_structure_of_folders(omega_here: Run, model: Path, tmp_path: Path) -> None:
    for folder in "ab":
        (tmp_path / "in" / folder).mkdir(parents=True)
        Image.new("RGB", (40, 30)).save(tmp_path / "in" / folder / "x.png")
    omega_here("compress", tmp_path / "in", "--output", tmp_path / "c", "--model", model)
    arguments = ("decompress", tmp_path / "c", "--output", tmp_path / "d", "--model", model)
    omega_here(*arguments, "--preview", tmp_path / "p")
    assert {path.parent.name for path in (tmp_path / "p").rglob("x-*.png")} == {"a", "b"}
