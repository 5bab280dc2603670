"""The command in surroundings that lack something: streams, a home, an encoding, room on the disk."""

import io
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

GOLDEN = Path(__file__).parent / "golden"
MODEL = GOLDEN / "model.safetensors"
FILE = GOLDEN / "4-channels.omega"
COMMAND = "from omega_cli.main import run; run()"


def shell(script: str, *, folder: Path, **settings: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a script of the shell, in which `omega` is the command."""
    function = f"""omega() {{ "{sys.executable}" -c '{COMMAND}' "$@"; }}\n"""
    names = f'model="{MODEL}" file="{FILE}" picture="{GOLDEN / "a.png"}"\n'
    return subprocess.run(["bash", "-c", function + names + script], cwd=folder, capture_output=True, **settings)


@pytest.mark.parametrize(("closed", "workers"), [("2>&-", 1), ("<&- >&- 2>&-", 2), ("2>/dev/full", 1)])
def test_pictures_are_compressed_where_standard_streams_are_closed_or_full(
    tmp_path: Path, closed: str, workers: int
) -> None:
    for name in ("a.png", "b.png"):
        shutil.copy(GOLDEN / "a.png", tmp_path / name)
    (tmp_path / "bad.png").write_bytes(b"bad")
    script = f"omega compress a.png bad.png b.png -o out --model $model --workers {workers} {closed}"
    assert shell(script, folder=tmp_path).returncode == 1  # as bad.png is reported where nobody reads it
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        name: FILE.read_bytes() for name in ("a.omega", "b.omega")
    }


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("omega truncate $file -o - --max-bytes 18 >&-", b"error: there is no standard output."),
        ("omega info - <&-", b"error: there is no standard input."),
        ("omega info $file >/dev/full", b"error: cannot write to standard output: No space left on device."),
        ("omega truncate $file -o - --max-bytes 18 >/dev/full", b"No space left on device."),
        (
            "omega truncate $file -o /dev/full --max-bytes 18",
            b"error: cannot write /dev/full: No space left on device.",
        ),
        ("ulimit -f 0; omega truncate $file -o out.omega --max-bytes 18", b"cannot write out.omega: File too large."),
        ("omega truncate $file -o $(printf %0300d 0) --max-bytes 18", b"File name too long."),
        ("ulimit -v 400000; omega compress $picture -o out --model $model", b"not enough memory"),  # not even for torch
    ],
)
def test_what_cannot_be_read_or_written_is_one_error(tmp_path: Path, script: str, says: bytes) -> None:
    done = shell(script, folder=tmp_path)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1), done.stderr
    assert done.stderr.startswith(b"error: ")
    assert says in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("output", ["-", "/dev/stdout"])
def test_a_reader_that_leaves_ends_a_command_as_it_ends_others(tmp_path: Path, output: str) -> None:
    script = f"omega truncate $file -o {output} --max-bytes 18 | true; exit ${{PIPESTATUS[0]}}"
    done = shell(script, folder=tmp_path)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    "settings",
    [
        {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "HOME": None},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TMPDIR": "/nonexistent"}
        | {"HOME": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent"},
    ],
    ids=str,
)
def test_pictures_are_compressed_without_a_home_a_locale_or_a_folder_for_temporary_files(
    tmp_path: Path, settings: dict[str, str | None]
) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in settings}
    environment |= {name: value for name, value in settings.items() if value is not None}
    shutil.copy(GOLDEN / "a.png", tmp_path / "ü.png")
    done = shell("omega compress ü.png -o - --model $model", folder=tmp_path, env=environment)
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", FILE.read_bytes())
    done = shell("omega truncate $file -o out/ü.omega --max-bytes 18", folder=tmp_path, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "out" / "ü.omega").read_bytes() == (GOLDEN / "2-channels.omega").read_bytes()


@pytest.mark.parametrize(
    "arguments",
    [
        'compress "" -o out',
        'compress "$picture" "" -o out',
        'compress "$picture" -o ""',
        'compress "$picture" --output=',
        'compress "$picture" -o out --model ""',
        'decompress "" -o out',
        'decompress "$file" -o out --preview ""',
        'decompress "$file" -o out --only=',
        'truncate "" -o out --max-bytes 17',
        'truncate "$file" -o "" --max-bytes 17',
        'info ""',
        'evaluate --images "" -o out --against jpeg',
        'export "" -o out',
        'models ""',
        'new quantizer ""',
        '""',
    ],
)
def test_an_empty_argument_is_one_error(tmp_path: Path, arguments: str) -> None:
    shutil.copy(GOLDEN / "a.png", tmp_path)
    done = shell(f"omega {arguments}", folder=tmp_path)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1), done.stderr
    assert b" is empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_picture_goes_through_a_pipe_of_commands(tmp_path: Path) -> None:
    script = "omega compress - -o - --model $model <$picture | omega truncate - -o - --max-bytes 18"
    done = shell(script, folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, (GOLDEN / "2-channels.omega").read_bytes(), b"")
    done = shell("omega decompress - -o - --model $model <$file", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    with Image.open(io.BytesIO(done.stdout)) as picture, Image.open(GOLDEN / "4-channels.png") as wanted:
        assert (picture.format, picture.tobytes()) == ("PNG", wanted.tobytes())
    assert b"28\xc3\x9728" in shell("omega info - <$file", folder=tmp_path).stdout
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_called_dash_is_named_by_its_folder(tmp_path: Path) -> None:
    shutil.copy(FILE, tmp_path / "-")
    done = shell(
        "omega truncate ./- -o ./-.omega --max-bytes 18; omega truncate ./- -o ./- --max-bytes 18 --overwrite",
        folder=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {(GOLDEN / "2-channels.omega").read_bytes()}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_no_temporary_file(tmp_path: Path, number: signal.Signals) -> None:
    program = """if True:
        import signal, sys, time
        import omega_core.file_io as file_io
        # what a shell starts beside itself ignores SIGINT, what nohup starts ignores SIGHUP
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        def stand_still(path): print("written", flush=True); time.sleep(60)
        file_io._sync_folder, file_io._rename = stand_still, lambda *_: stand_still(None)
        from omega_cli.main import run
        run()
    """
    arguments = ["truncate", str(FILE), "-o", str(tmp_path / "out.omega"), "--max-bytes", "18"]
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
        process.send_signal(number)
        assert process.communicate(timeout=30)[1] == b"error: stopped.\n"
    assert process.returncode == 128 + number
    assert list(tmp_path.iterdir()) == []


def test_a_signal_during_an_import_is_no_error_of_the_plugin() -> None:
    program = """if True:
        import signal, sys
        class Finder:
            def find_spec(name, path=None, target=None):
                if name == "omega_core.architectures.compact": signal.raise_signal(signal.SIGTERM)
        sys.meta_path.insert(0, Finder)
        from omega_cli.main import run
        run()
    """
    done = subprocess.run([sys.executable, "-c", program, "list", "architecture", "compact"], capture_output=True)
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, b"error: stopped.\n")


@pytest.mark.parametrize("option", ["", "--overwrite", "--skip-existing"])
def test_commands_that_write_one_file_at_once_leave_a_whole_file(tmp_path: Path, option: str) -> None:
    script = f"for i in 1 2 3 4; do omega truncate $file -o out.omega --max-bytes 18 {option} & done; wait"
    done = shell(script, folder=tmp_path)
    lines = done.stderr.splitlines()
    assert len(lines) == (0 if option else 3), lines
    assert all(b"exists already" in line for line in lines)
    assert [path.name for path in tmp_path.iterdir()] == ["out.omega"]
    assert (tmp_path / "out.omega").read_bytes() == (GOLDEN / "2-channels.omega").read_bytes()
