"""What users set once: environment variables, how much is printed, and completion in a shell."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"
MODEL = GOLDEN / "model.safetensors"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with two pictures, the model under a name with a space, and a file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    for name in ("a.png", "b.png"):
        shutil.copy(GOLDEN / "a.png", tmp_path / "pictures" / name)
    shutil.copy(MODEL, tmp_path / "my model.safetensors")
    shutil.copy(GOLDEN / "4-channels.omega", tmp_path)
    return tmp_path


COMMANDS = {
    "compress": ["compress", "pictures", "-o", "out"],
    "decompress": ["decompress", "4-channels.omega", "-o", "out"],
    "evaluate": ["evaluate", "--images", "pictures", "-o", "out", "--channels", "2", "--metrics", "psnr"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_environment_names_model_and_device(omega: Run, folder: Path, name: str) -> None:
    command = COMMANDS[name]
    done = omega(*command, OMEGA_MODEL="my model.safetensors", OMEGA_DEVICE="cpu")
    assert done.returncode == 0, done.stderr
    wrong = omega(*command, "--overwrite", OMEGA_MODEL="my model.safetensors", OMEGA_DEVICE="cuda:99")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: the device cuda:99 is not available")
    wrong = omega(*command, "--overwrite", OMEGA_MODEL="none.safetensors")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: there is no model none.safetensors")
    given = ("--model", "my model.safetensors", "--device", "cpu")
    done = omega(*command, *given, "--overwrite", OMEGA_MODEL="none.safetensors", OMEGA_DEVICE="cuda:99")
    assert done.returncode == 0, done.stderr


def test_an_empty_variable_is_none(omega: Run, folder: Path) -> None:
    done = omega("compress", "pictures/a.png", "-o", "a.omega", OMEGA_MODEL="", OMEGA_DEVICE="")
    assert done.returncode == 0, done.stderr


def test_models_that_are_given_come_instead_of_the_one_of_the_environment(omega: Run, folder: Path) -> None:
    shutil.copy(MODEL, folder / "other.safetensors")
    given = ("--model", "my model.safetensors", "--model", "other.safetensors")
    done = omega(*COMMANDS["evaluate"], *given, OMEGA_MODEL="none.safetensors")
    assert done.returncode == 0, done.stderr
    *rows, report = done.stdout.splitlines()
    assert {row.partition("  ")[0] for row in rows} == {"codec", "my model", "other"}
    assert report == f"report: {Path('out/report.html')}"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_tells_the_variables(omega_here: Run, name: str) -> None:
    said = " ".join(omega_here(name, "--help").stdout.split())
    assert "env var: OMEGA_MODEL" in said
    assert "env var: OMEGA_DEVICE" in said


def test_pictures_are_told_if_it_is_asked_for(omega: Run, folder: Path) -> None:
    command = ("compress", "pictures", "--model", "my model.safetensors")
    usual, quiet, verbose = (omega(*command, "-o", f"out{option}", *option) for option in ((), ("-q",), ("-v",)))
    assert (usual.stdout, usual.stderr) == ("2 pictures, 630 → 40 bytes (0.20 bpp), in out()\n", "")
    assert (quiet.stdout, quiet.stderr) == ("", "")
    assert verbose.stdout == usual.stdout.replace("()", "('-v',)")
    loaded, *lines = verbose.stderr.splitlines()
    assert loaded.startswith("my model.safetensors: <Model 01067b23: omega-core/mnist")
    assert [line.partition(", ")[0] for line in lines] == [f"pictures/{name}.png: 315 → 20 bytes" for name in "ab"]


def test_other_processes_tell_as_much(omega: Run, folder: Path) -> None:
    done = omega("compress", "pictures", "-o", "out", "--model", "my model.safetensors", "--workers", 2, "-v")
    lines = done.stderr.splitlines()
    assert sum("my model.safetensors: <Model 01067b23" in line for line in lines) == 3, "here, and in each"
    assert sum(line.startswith("pictures/") for line in lines) == 2


@pytest.mark.parametrize("name", ["decompress", "evaluate"])
def test_other_commands_tell_as_much(omega: Run, folder: Path, name: str) -> None:
    command = (*COMMANDS[name], "--model", "my model.safetensors", "--overwrite")
    usual, quiet, verbose = (omega(*command, *option) for option in ((), ("--quiet",), ("--verbose",)))
    assert (usual.returncode, quiet.stdout, quiet.stderr, verbose.stdout) == (0, "", "", usual.stdout)
    assert usual.stdout
    assert "my model.safetensors: <Model 01067b23" in verbose.stderr
    assert "my model.safetensors: <Model" not in usual.stderr


def test_training_tells_how_far_it_is_less_or_more(omega: Run, folder: Path, recipe: Callable[..., Path]) -> None:
    command = ("train", recipe(steps=2))
    usual, quiet, verbose = (omega(*command, "-o", to, *o) for to, o in (("1", ()), ("2", ["-q"]), ("3", ["-v"])))
    assert (usual.stdout, quiet.stdout, verbose.stdout) == ("1/model.safetensors\n", "", "3/model.safetensors\n")
    assert usual.stderr.startswith("step 0 of 2\nstep 2 of 2: validation loss")
    assert quiet.stderr == ""
    assert "step 2: checkpoint\n" in verbose.stderr
    assert {*usual.stderr.splitlines()} < {*verbose.stderr.splitlines()}
    logs = [(folder / run / "train.log").read_text() for run in "123"]
    assert all("step 2 of 2" in log and "step 2: checkpoint" in log for log in logs)
    usual, quiet, verbose = (
        omega("export", "1", "-o", f"{to}.safetensors", *option)
        for to, option in (("a", ()), ("b", ["-q"]), ("c", ["-v"]))
    )
    assert (usual.stdout, usual.stderr, quiet.stdout, quiet.stderr) == ("a.safetensors\n", "", "", "")
    assert "the prior is counted over 256 pictures" in verbose.stderr


@pytest.mark.parametrize("name", [*COMMANDS, "train", "export"])
def test_quiet_and_verbose_exclude_each_other(omega_here: Run, folder: Path, name: str) -> None:
    command = COMMANDS.get(name) or {"train": ["train", "x"], "export": ["export", "x", "-o", "y"]}[name]
    done = omega_here(*command, "-q", "-v")
    assert done.returncode == 2
    assert done.stderr == "error: --quiet and --verbose exclude each other: use one of them.\n"


def test_a_plugin_that_fails_is_named_if_more_is_asked_for(
    omega: Run, folder: Path, beside: Callable[..., dict[str, str]]
) -> None:
    pytest.importorskip("hatchling")
    environment = beside("omega-broken")
    command = ("compress", "pictures/a.png", "-o", "out", "--model", "my model.safetensors", "--overwrite")
    assert omega(*command, **environment).stderr == ""
    assert "the plugin omega-broken failed to load: " in omega(*command, "--verbose", **environment).stderr


COMPLETED = {
    "omega comp": ["compress"],
    "omega compress --qui": ["--quiet"],
    "omega compress a.png --model mnist-o": ["mnist-omega-16"],
    "omega compress a.png --model ./": [],
    "omega compress --device cp": ["cpu"],
    "omega decompress --model comp": ["compact", "compact-screen", "compact-small"],
    "omega evaluate --model compact --model mnist-o": ["mnist-omega-16"],
    "omega evaluate --against jpeg,web": ["jpeg,webp"],
    "omega evaluate --coder ra": ["range", "raw"],
    "omega train glyphs": ["glyphs-omega-8"],
    "omega train glyphs-omega-8 --quantizer om": ["omega"],
    "omega train glyphs-omega-8 --init comp": ["compact", "compact-screen", "compact-small"],
    "omega models mnist-integer-3": ["mnist-integer-32"],
    "omega info comp": ["compact", "compact-screen", "compact-small"],
    "omega list pri": ["prior"],
    "omega list prior sta": ["static"],
    "omega new quan": ["quantizer"],
}
"""What bash gets for the last of some words."""

COMPLETE = f"""
import contextlib, io, json, os, sys
from omega_cli.main import run

sys.argv = ["omega"]
found = {{}}
for words in {list(COMPLETED)!r}:
    os.environ.update(_OMEGA_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")))
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as said:
        run()
    found[words] = said.getvalue().split()
heavy = {{"torch", "numpy", "lightning", "constriction", "PIL"}} & set(sys.modules)
print(json.dumps([found, sorted(heavy)]))
"""


def test_a_shell_completes_names_without_heavy_imports() -> None:
    done = subprocess.run([sys.executable, "-c", COMPLETE], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert json.loads(done.stdout) == [COMPLETED, []]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_shown_and_installed(omega: Run, tmp_path: Path, shell: str) -> None:
    settings = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1", "HOME": str(tmp_path)}
    shown = omega("--show-completion", shell, **settings)
    assert shown.returncode == 0, shown.stderr
    assert f"_OMEGA_COMPLETE=complete_{shell}" in shown.stdout
    done = omega("--install-completion", shell, **settings)
    assert done.returncode == 0, done.stderr
    assert shown.stdout.strip() in "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
