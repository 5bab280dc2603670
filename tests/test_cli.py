"""What the command says and does when something is wrong, and that it starts quickly."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from omega_core.plugins.components import KINDS

GOLDEN = Path(__file__).parent / "golden"
MODEL = GOLDEN / "model.safetensors"
SHORTEN = ["truncate", "a.omega", "--output", "b.omega", "--max-bytes", "18"]
Run = Callable[..., subprocess.CompletedProcess[str]]


def complaint(done: subprocess.CompletedProcess[str], status: int = 2) -> str:
    """The one line in which a command says what is wrong."""
    assert done.returncode == status, done.stderr
    lines = [line for line in done.stderr.splitlines() if line]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list"], ["plugins"], ["info", str(MODEL)], ["info", "a.omega"], SHORTEN]
)
def test_what_needs_no_torch_does_not_import_it(arguments: list[str], tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "4-channels.omega", tmp_path / "a.omega")
    code = f"""
import sys
from omega_cli.main import run
sys.argv = ["omega", *{arguments!r}]
try:
    run()
except SystemExit as done:
    assert not done.code, done.code
print(sorted({{"torch", "lightning", "matplotlib", "constriction"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_recipe_is_shown_with_the_options_given(omega: Run, tmp_path: Path) -> None:
    shown = omega("train", "compact-omega", "--steps", "7", "--prior-option", "width=48", "--show-recipe")
    recipe = tomllib.loads(shown.stdout)
    assert recipe["steps"] == 7
    assert recipe["prior-options"]["width"] == 48
    assert recipe["quantizer-options"]["dead-zone"]
    (tmp_path / "mine.toml").write_text(shown.stdout.replace("relaxed-share = 0.8", "relaxed-share = 0.5"))
    again = omega("train", tmp_path / "mine.toml", "--show-recipe").stdout
    assert tomllib.loads(again) == recipe | {"relaxed-share": 0.5}
    assert not (tmp_path / "runs").exists()


def test_the_components_are_listed_with_where_they_come_from(omega: Run) -> None:
    rows = json.loads(omega("list", "--json").stdout)
    assert {"kind": "quantizer", "name": "omega", "from": "omega-quant"}.items() <= next(
        row for row in rows if row["name"] == "omega"
    ).items()
    assert {row["kind"] for row in rows} == set(KINDS)
    assert all(row["summary"] for row in rows)
    assert "omega-entropy" in omega("list", "coder").stdout
    assert "omega-train" in omega("list", "codec").stdout
    assert "there is no kind of component 'code'" in complaint(omega("list", "code"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["compres"], "Did you mean 'compress'"),
        (["compress", "a.png", "--output", "o", "--chanels", "3"], "--chanels"),
        (["compress", "a.png"], "--output"),
        (["compress", "none.png", "--output", "o", "--model", "M"], "no file or folder none.png"),
        (["compress", "a.png", "--output", "o", "--model", "none.safetensors"], "there is no model none.safetensors"),
        (["compress", "a.png", "--output", "o", "--model", "a.png"], "not a model"),
        (["compress", "a.png", "--output", "o", "--model", "M", "--channels", "9"], "this model has 1 to 4"),
        (["compress", "a.png", "--output", "o", "--model", "M", "--channels", "0"], "this model has 1 to 4"),
        (["compress", "a.png", "--output", "o", "--model", "M", "--coder", "rang"], "Did you mean 'range'"),
        (["compress", "a.png", "--output", "a.png/o", "--model", "M"], "cannot write"),
        (["compress", "empty", "--output", "o", "--model", "M"], "contains no files"),
        (["decompress", "a.png", "--output", "o", "--model", "M"], "not an .omega file"),
        (["info", "a.png"], "a.png is neither an .omega file nor a model."),
        (["info", "none.safetensors"], "cannot read none.safetensors"),
        (["info", "none"], "cannot read none"),
        (["info", "empty.omega"], "not an .omega file"),
        (["info", "n" * 300], f"cannot reach {'n' * 300}: File name too long"),
        (["truncate", "n" * 300, "--output", "o", "--max-bytes", "9"], "File name too long"),
        (["train", "mnist-omga-8"], "Did you mean 'mnist-omega-8'"),
        (["train", "mnist-omega-8", "--channels", "9:3"], "the minimum has to be from 0 to the maximum"),
        (["train", "mnist-omega-8", "--lambda", "0.9:1.1"], "from 0 to 1"),
        (["train", "mnist-omega-8", "--quantizer", "omga"], "Did you mean 'omega'"),
        (["train", "mnist-omega-8", "--data", "none"], "does not exist"),
        (["train", "mnist-omega-8", "--data", "a", "--data", "b"], "takes one folder of data, not 2"),
        (["train", "compact-omega", "--data", "none=2"], "the folder none does not exist"),
        (["train", "compact-omega", "--data", "a", "--data", "none"], "the folder a does not exist"),
        (["train", "compact-omega", "--data", ""], "is empty"),
        (["train", "compact-omega", "--data", "=2"], "contains no folder"),
        (["train", "compact-omega", "--data", "a", "--data", "./a=2"], "the folder a is given twice"),
        (["train", "compact-omega", "--data", "a=x"], "a share is a number above 0, not 'x'"),
        *(
            (["train", "compact-omega", "--data", "a", "--data", f"b={share}"], "the share of the folder b has to be")
            for share in ("0", "-1", "nan", "inf")
        ),
        (["train", "mnist-omega-8", "--epochs", "1", "--steps", "1"], "either epochs or steps"),
        (["train", "compact-omega", "--optimizer", "adam", "--data", "none"], "the folder none does not exist"),
        (["train", "mnist-omega-8", "--matrix-learning-rate", "1"], "matrix-learning-rate is for the optimizer muon"),
        (["train", "glyphs-omega-8", "--output", "a.png/run"], "cannot write"),
        (["train", "glyphs-omega-8", "--resume", "--output", "o"], "no run to resume"),
        (["train", "glyphs-omega-8", "--output", "o", "--init", "a.png"], "not a model"),
        (["train", "glyphs-omega-8", "--output", "o", "--init", "compct"], "Did you mean 'compact'"),
        (["train", "glyphs-omega-8", "--output", "o", "--init", "empty"], "is not a run folder, or has no checkpoint"),
        (["train", "glyphs-omega-8", "--output", "o", "--init", "M", "--resume"], "leave out --init or --resume"),
        (["export", "empty", "--output", "m.safetensors"], "is not a run folder, or has no checkpoint"),
        (["export", "none", "--output", "a.png"], "exists already"),
        (["export", "none"], "--output"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_gets_one_line_that_says_what_to_do(
    omega: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("L", (28, 28)).save("a.png")
    Path("empty").mkdir()
    Path("empty.omega").touch()
    before = sorted(path.name for path in tmp_path.iterdir())
    done = omega(*(str(MODEL) if argument == "M" else argument for argument in arguments))
    assert says in complaint(done)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "o" or any(path.iterdir())) == before


def test_debug_shows_where_an_error_comes_from(omega: Run) -> None:
    done = omega("info", "none", "--debug")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")


def test_a_bad_picture_among_good_ones_is_named_and_the_good_ones_are_done(omega: Run, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    (folder / "deeper").mkdir(parents=True)
    Image.new("L", (28, 28)).save(folder / "good.png")
    Image.new("L", (28, 28), 200).save(folder / "deeper" / "good.png")
    (folder / "bad.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("left alone")
    Image.new("L", (29, 28)).save(folder / "large.png")
    Image.new("RGB", (28, 28)).save(folder / "color.png")
    done = omega("compress", folder, "--output", tmp_path / "out", "--model", MODEL)
    assert done.returncode == 1
    *lines, last = done.stderr.splitlines()
    assert last == "warning: left out: 1 file of another kind (.txt 1)."
    errors = sorted(line.split(": ")[1] for line in lines)
    assert errors == sorted(str(folder / name) for name in ("bad.png", "large.png", "color.png"))
    assert "28×28" in done.stderr
    written = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert written == {"good.omega", "deeper/good.omega"}
    assert "2 pictures" in done.stdout


def test_two_pictures_of_one_stem_get_files_of_their_own(omega: Run, tmp_path: Path) -> None:
    for name in ("a.png", "a.bmp"):
        Image.new("L", (28, 28)).save(tmp_path / name)
    done = omega("compress", tmp_path, "--output", tmp_path / "out", "--model", MODEL)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.bmp.omega", "a.png.omega"}


def test_a_damaged_file_among_good_ones_is_named(omega: Run, tmp_path: Path) -> None:
    data = (GOLDEN / "4-channels.omega").read_bytes()
    (tmp_path / "good.omega").write_bytes(data)
    (tmp_path / "damaged.omega").write_bytes(data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])
    (tmp_path / "short.omega").write_bytes(data[:-6])
    done = omega("decompress", tmp_path, "--output", tmp_path / "out", "--model", MODEL)
    assert done.returncode == 1
    assert "damaged.omega: the file is damaged" in done.stderr
    assert "short.omega: the file is incomplete" in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.png"]

    partial = omega("decompress", tmp_path / "short.omega", "--output", tmp_path / "out", "--model", MODEL, "--partial")
    assert partial.returncode == 0, partial.stderr


def test_a_file_of_another_model_is_refused(omega: Run, recipe: Any, tmp_path: Path) -> None:
    assert omega("train", recipe(steps=1), "--output", tmp_path / "run").returncode == 0
    other = tmp_path / "run" / "model.safetensors"
    file = GOLDEN / "4-channels.omega"
    done = omega("decompress", file, "--output", tmp_path / "out", "--model", other)
    assert "made with the model" in complaint(done)


@pytest.mark.parametrize(
    "arguments",
    [
        ["compress", "GOLDEN/a.png", "--output", "out", "--model", str(MODEL)],
        ["compress", "pictures", "--output", "out", "--model", str(MODEL), "--pack"],
        ["decompress", "GOLDEN/4-channels.omega", "--output", "out", "--model", str(MODEL)],
        ["decompress", "GOLDEN", "--output", "out", "--model", str(MODEL), "--workers", "2"],
        ["decompress", "GOLDEN/4-channels.omega", "--output", "none", "--model", str(MODEL), "--preview", "out"],
        ["truncate", "GOLDEN/4-channels.omega", "--output", "out/a.omega", "--max-bytes", "18"],
    ],
    ids=lambda arguments: " ".join([arguments[0], *(word for word in arguments[6:] if word.startswith("--"))]),
)
def test_a_full_disk_is_one_error_and_leaves_nothing(
    arguments: list[str], omega_here: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit on the size of files stands for a disk that fills up in the middle of one."""
    import resource  # which Windows lacks

    (tmp_path / "pictures").mkdir()
    for number in range(4):
        Image.new("L", (28, 28), number).save(tmp_path / "pictures" / f"{number}.png")
    arguments = [argument.replace("GOLDEN", str(GOLDEN)) for argument in arguments]
    if "--workers" in arguments:  # which inherit the limit; there is room for a semaphore, which is a file too
        code = f"""
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40, 40))
from omega_cli.main import run
sys.argv = ["omega", *{arguments!r}]
run()
"""
        python = [sys.executable, "-B", "-c", code]
        done = subprocess.run(python, capture_output=True, text=True, cwd=tmp_path)
    else:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5, before[1]))
        try:
            done = omega_here(*arguments)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
    assert "cannot write" in complaint(done)
    assert list((tmp_path / "out").iterdir()) == []
    assert not (tmp_path / "none").exists()


def test_golden_files_are_read_as_ever(omega: Run, tmp_path: Path) -> None:
    for channels in (2, 4):
        done = omega("decompress", GOLDEN / f"{channels}-channels.omega", "--output", tmp_path, "--model", MODEL)
        assert done.returncode == 0, done.stderr
        decoded = np.asarray(Image.open(tmp_path / f"{channels}-channels.png")).astype(int)
        expected = np.asarray(Image.open(GOLDEN / f"{channels}-channels.png")).astype(int)
        assert np.abs(decoded - expected).max() <= 1


def test_golden_files_of_pictures_of_any_kind_are_read_as_ever(omega: Run, tmp_path: Path) -> None:
    folder = GOLDEN / "any-size"
    done = omega("decompress", folder, "--output", tmp_path, "--model", folder / "model.safetensors")
    assert done.returncode == 0, done.stderr
    made = {path.relative_to(tmp_path).as_posix().replace("/", "-"): path for path in tmp_path.rglob("*.png")}
    assert set(made) == {path.name for path in folder.glob("*.png")}
    for name, path in made.items():
        with Image.open(path) as decoded, Image.open(folder / name) as expected:
            assert (decoded.mode, decoded.size) == (expected.mode, expected.size)
            assert decoded.info.get("icc_profile") == expected.info.get("icc_profile")
            difference = np.abs(np.asarray(decoded).astype(int) - np.asarray(expected))
            assert difference.max() <= 1
            assert "A" not in decoded.mode or not difference[:, :, -1].any()


def test_the_golden_picture_still_becomes_the_golden_file(omega: Run, tmp_path: Path) -> None:
    for channels in (2, 4):
        done = omega(
            "compress",
            GOLDEN / "a.png",
            "--output",
            tmp_path / "a.omega",
            "--model",
            MODEL,
            "--channels",
            channels,
            "--overwrite",
        )
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "a.omega").read_bytes() == (GOLDEN / f"{channels}-channels.omega").read_bytes()


def test_info_tells_what_is_in_a_file(omega: Run) -> None:
    about = json.loads(omega("info", GOLDEN / "4-channels.omega", "--json").stdout)
    assert (about["width"], about["height"]) == (28, 28)
    assert about["coder"] == "omega-entropy/range"
    assert about["complete"]
    assert about["bytes"] == (GOLDEN / "4-channels.omega").stat().st_size == about["stream_bytes"] + 15
    assert about["model"] == json.loads(omega("info", MODEL, "--json").stdout)["fingerprint"][:8]


def test_an_exported_model_is_told_as_one(omega: Run) -> None:
    folder = GOLDEN / "exported"
    fingerprint = json.loads(omega("info", GOLDEN / "any-size" / "model.safetensors", "--json").stdout)["fingerprint"]
    about = json.loads(omega("info", folder, "--json").stdout)
    assert (about["kind"], about["fingerprint"], about["channels"]) == ("exported model", fingerprint, 4)
    [row] = json.loads(omega("models", folder, "--json").stdout)
    assert (row["type"], row["fingerprint"], row["channels"]) == ("exported model", fingerprint, "0:4")
    assert "is an exported model: count the parts of" in complaint(omega("models", folder, "--parameters"))


def test_info_of_a_folder_has_a_row_for_each_file_and_names_the_bad_ones(omega: Run, tmp_path: Path) -> None:
    for name in ("model.safetensors", "2-channels.omega", "4-channels.omega"):
        shutil.copy(GOLDEN / name, tmp_path)
    (tmp_path / "bad.omega").write_bytes(b"nothing")
    done = omega("info", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path / 'bad.omega'}: ")
    rows = done.stdout.splitlines()
    assert [row.split(":")[0] for row in rows] == ["2-channels.omega", "4-channels.omega", "model.safetensors"]
    assert "28×28 L" in rows[0]
    assert list(json.loads(omega("info", tmp_path, "--json").stdout)) == [row.split(":")[0] for row in rows]


def test_a_file_is_shortened_without_the_model(omega: Run, tmp_path: Path) -> None:
    done = omega("truncate", GOLDEN / "4-channels.omega", "--output", tmp_path / "a.omega", "--max-bytes", 18)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.omega").read_bytes() == (GOLDEN / "2-channels.omega").read_bytes()
    size = (GOLDEN / "2-channels.omega").stat().st_size
    for limit in (("--max-bytes", size), ("--bpp", 8 * size / 784)):
        assert (
            omega(
                "truncate", GOLDEN / "4-channels.omega", "--output", tmp_path / "b.omega", "--overwrite", *limit
            ).returncode
            == 0
        )
        assert (tmp_path / "b.omega").read_bytes() == (tmp_path / "a.omega").read_bytes()

    for limits, says in (
        ((), "--bpp or --max-bytes"),
        (("--max-bytes", 18, "--bpp", 1), "give only one of bpp and max-bytes"),
        (("--max-bytes", 3), "3 bytes are not enough"),
    ):
        refused = omega("truncate", GOLDEN / "4-channels.omega", "--output", tmp_path / "c.omega", *limits)
        assert says in complaint(refused)
    assert not (tmp_path / "c.omega").exists()


def test_pictures_are_compressed_to_a_budget_or_a_quality(omega: Run, tmp_path: Path) -> None:
    size = (GOLDEN / "2-channels.omega").stat().st_size
    for rate in (("--max-bytes", size), ("--fraction", 0.5), ("--channels", 2), ("--psnr", 1)):
        done = omega("compress", GOLDEN / "a.png", "--output", tmp_path, "--model", MODEL, "--overwrite", *rate)
        assert done.returncode == 0, done.stderr
        said = json.loads(omega("info", tmp_path / "a.omega", "--json").stdout)
        assert not said["complete"]
        assert said["bytes"] <= size
    done = omega("compress", GOLDEN / "a.png", "--output", tmp_path, "--model", MODEL, "--overwrite", "--psnr", 90)
    assert done.returncode == 0
    assert done.stderr.startswith(f"warning: {GOLDEN / 'a.png'}: cannot reach 90 dB; the best this model can do is ")
    assert len(done.stderr.splitlines()) == 1
    refused = omega("compress", GOLDEN / "a.png", "--output", tmp_path, "--model", MODEL, "--psnr", 9, "--bpp", 1)
    assert "give only one of bpp and psnr" in complaint(refused)


def test_a_reader_that_leaves_early_is_no_error() -> None:
    code = "import sys; from omega_cli.main import run; sys.argv = ['omega', 'list']; run()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
    assert errors == b""
    assert process.returncode == 141


def test_the_command_starts_as_many_threads_as_its_container_has_cores() -> None:
    code = """if True:
        import os, sys
        import omega_cli.main as main
        main.thread_limit = lambda: 3
        sys.argv = ["omega", "--version"]
        try:
            main.run()
        finally:
            print(os.environ["OMP_NUM_THREADS"])
    """
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    for given, threads in (({}, "3"), ({"OMP_NUM_THREADS": "5"}, "5")):
        started = subprocess.run([sys.executable, "-c", code], env=environment | given, capture_output=True, text=True)
        assert started.stdout.split()[-1] == threads, started.stderr


def test_an_option_of_the_wrong_type_is_named(omega: Run, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text('dataset = "glyphs"\nsteps = 1\n[quantizer-options]\ntemperature = "hot"\n')
    assert "the option temperature of the quantizer 'omega' has to be none or a number, not 'hot'" in complaint(
        omega("train", recipe, "--output", tmp_path / "run")
    )
    assert not (tmp_path / "run").exists()


def test_what_recipes_and_models_cost_is_told(omega: Any, untrained: Callable[..., Path]) -> None:
    done = omega("models", "openimages-omega-480", "--parameters", "--json")
    assert done.returncode == 0, done.stderr
    parts = {row["part"]: row for row in json.loads(done.stdout)}
    assert {name: row["parameters"] for name, row in parts.items()} == {
        "analysis": 3_447_360,
        "quantizer": 14_761_920,
        "prior": 480 * 32,
        "synthesis": 36_646_563,
        "all": 3_447_360 + 14_761_920 + 480 * 32 + 36_646_563,
    }
    assert parts["quantizer"]["kmac_per_pixel"] == pytest.approx(28.8, abs=0.1)
    done = omega("models", untrained(), "--size", "64x48", "--json")
    assert [row["part"] for row in json.loads(done.stdout)] == ["analysis", "quantizer", "prior", "synthesis", "all"]
    names = {row["model"]: row["type"] for row in json.loads(omega("models", "--json").stdout)}
    assert (names["compact"], names["mnist-omega-8"]) == ("model", "recipe")
    for wrong in (["nothing"], ["nothing.safetensors"], ["mnist-omega-8", "--parameters", "--size", "9"]):
        done = omega("models", *wrong)
        assert done.returncode == 2
        assert done.stderr.startswith("error:")


def test_models_are_listed_with_their_purpose_and_recipes_if_asked(omega: Any) -> None:
    head, *rows = omega("models").stdout.splitlines()
    assert head.split() == ["model", "channels", "fingerprint", "for"]
    assert rows[0].startswith("compact ")
    assert rows[0].endswith("  photos of any size, in color or gray")
    assert not any("mnist-omega-8" in row for row in rows)
    head, *rows = omega("models", "--recipes").stdout.splitlines()
    assert head.startswith("model ")
    assert "latent channels" in head
    assert any(row.startswith("mnist-omega-8 ") for row in rows)
    assert all(row.split()[1] == "recipe" for row in rows)
    assert "leave it out, or the names" in complaint(omega("models", "compact", "--recipes"))


def test_info_of_a_model_is_short_and_complete_as_json(omega: Any) -> None:
    said = omega("info", "compact").stdout
    facts = dict(line.split(maxsplit=1) for line in said.partition("\n\n")[0].splitlines())
    assert list(facts)[:3] == ["kind", "about", "fingerprint"]
    assert not {"recipe", "versions"} & set(facts)
    assert {"recipe", "versions"} <= set(json.loads(omega("info", "compact", "--json").stdout))


def test_a_summary_has_the_place_of_the_results(omega: Any, tmp_path: Path) -> None:
    compress = ("compress", GOLDEN / "a.png", "--model", MODEL, "--output")
    for output in (tmp_path / "a.omega", f"{tmp_path}/out/"):
        file = tmp_path / "out" / "a.omega" if str(output).endswith("/") else output
        assert omega(*compress, output).stdout == f"1 picture, 315 → 20 bytes (0.20 bpp), in {file}\n"
    done = omega("decompress", tmp_path / "out", "--model", MODEL, "--output", tmp_path / "d")
    assert done.stdout == f"1 picture in {tmp_path / 'd' / 'a.png'}\n"


def test_a_training_ends_with_an_evaluation_if_asked(omega: Any, recipe: Callable[..., Path], tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)).save(
            tmp_path / name / "digit.png"
        )
    asked = ["--test-images", tmp_path / "one", "--test-images", tmp_path / "two"]
    done = omega("train", recipe(steps=1), "--output", tmp_path / "run", *asked)
    assert done.returncode == 0, done.stderr
    for name in ("one", "two"):
        assert (tmp_path / "run" / f"test-{name}" / "summary.csv").exists()
    done = omega("train", recipe(steps=1), "--output", tmp_path / "other", "--test-images", tmp_path / "nowhere")
    assert done.returncode == 2
    assert not (tmp_path / "other").exists()


def test_a_training_begins_with_a_bundled_model_and_gives_a_model_before_its_end(
    omega: Any, recipe: Callable[..., Path], tmp_path: Path
) -> None:
    small = recipe(latent_channels=32, channels="0:16", alphabet=256, steps=2)
    done = omega("train", small, "--output", tmp_path / "run", "--init", "mnist-omega-16", "--steps", "1")
    assert done.returncode == 0, done.stderr
    assert "arrays of mnist-omega-16 loaded" in done.stderr
    path = tmp_path / "models" / "now.safetensors"
    done = omega("export", tmp_path / "run", "--output", path)
    assert (done.returncode, done.stdout) == (0, f"{path}\n"), done.stderr
    facts = json.loads(omega("info", path, "--json").stdout)
    assert facts["channels"] == json.loads(omega("info", "mnist-omega-16", "--json").stdout)["channels"]
    assert "--overwrite" in complaint(omega("export", tmp_path / "run", "--output", path))
    assert omega("export", tmp_path / "run", "--output", path, "--overwrite").returncode == 0


def test_models_of_one_name_are_told_apart_and_the_same_one_is_refused(
    omega: Any, untrained: Callable[..., Path], tmp_path: Path
) -> None:
    model = untrained("mnist", channels=2)
    for folder in ("a", "b"):
        (tmp_path / folder / "run").mkdir(parents=True)
        shutil.copy(model, tmp_path / folder / "run" / "model.safetensors")
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(tmp_path / "digit.png")
    asked = ["--images", tmp_path / "digit.png", "--output", tmp_path / "out"]
    both = [part for folder in ("a", "b") for part in ("--model", tmp_path / folder / "run" / "model.safetensors")]
    done = omega("evaluate", *asked, *both)
    assert done.returncode == 0, done.stderr
    codecs = {line.split(",")[0] for line in (tmp_path / "out" / "summary.csv").read_text().splitlines()[1:]}
    assert {codec[-11:] for codec in codecs} == {"a-run-model", "b-run-model"}
    assert "is given twice" in complaint(omega("evaluate", *asked, *both[:2], *both[:2]))
