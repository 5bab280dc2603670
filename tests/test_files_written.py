"""Each line of the table about files in the README of the command, by the test whose docstring is its first cell."""

import errno
import inspect
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from omega_core import file_io

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "golden"
MODEL, FILE = GOLDEN / "model.safetensors", GOLDEN / "4-channels.omega"
SHORT = (GOLDEN / "2-channels.omega").read_bytes()

Run = Callable[..., subprocess.CompletedProcess[str]]
Truncate = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def truncate(omega_here: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Truncate:
    """The shortest command that writes a file, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(output: object, *options: str, file: object = FILE) -> subprocess.CompletedProcess[str]:
        return omega_here("truncate", file, "--output", output, "--max-bytes", 18, "--quiet", *options)

    return run


def well(done: subprocess.CompletedProcess[str]) -> None:
    assert (done.returncode, done.stderr) == (0, "")


def refused(done: subprocess.CompletedProcess[str], says: str = "") -> None:
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("error: ")
    assert says in done.stderr


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_each_line_of_the_table_has_a_test_and_each_test_a_line() -> None:
    text = (ROOT / "packages" / "omega-cli" / "README.md").read_text("utf-8")
    table = text.split("What holds for the files that all commands write:")[1]
    lines = re.findall(r"^\| ([^|]*[^ |-][^|]*) \|", table, re.MULTILINE)
    tests = [inspect.getdoc(test) for name, test in globals().items() if name.startswith("test_")]
    assert lines == [test for test in tests if test]


def test_existing_targets(omega_here: Run, tmp_path: Path) -> None:
    """a target that exists"""
    for name in ("a.png", "b.png"):
        shutil.copy(GOLDEN / "a.png", tmp_path / name)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.omega").write_bytes(b"old")
    command = ("compress", tmp_path / "a.png", tmp_path / "b.png", "-o", tmp_path / "out", "--model", MODEL)
    done = omega_here(*command)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"error: {tmp_path / 'a.png'}: {tmp_path / 'out' / 'a.omega'} exists already")
    assert (tmp_path / "out" / "a.omega").read_bytes() == b"old"
    assert (tmp_path / "out" / "b.omega").read_bytes() == FILE.read_bytes()
    well(omega_here(*command, "--skip-existing"))
    assert (tmp_path / "out" / "a.omega").read_bytes() == b"old"
    well(omega_here(*command, "--overwrite"))
    assert (tmp_path / "out" / "a.omega").read_bytes() == FILE.read_bytes()
    refused(omega_here(*command, "--overwrite", "--skip-existing"), "exclude each other")


def test_inputs(omega_here: Run, truncate: Truncate, tmp_path: Path) -> None:
    """inputs of `compress` and `decompress`"""
    (tmp_path / "album").mkdir()
    original = Path(shutil.copy(GOLDEN / "a.png", tmp_path / "album"))
    before = original.read_bytes()
    model = ("--model", MODEL)
    well(omega_here("compress", "album", "-o", "album", *model))
    done = omega_here("decompress", "album", "-o", "album", *model)
    assert done.returncode == 2
    assert "album/a.png exists already" in done.stderr.splitlines()[0]
    for options in ((), ("--overwrite",), ("--skip-existing",)):
        refused(omega_here("compress", original, "-o", original, *model, *options), "is also an input")
    assert original.read_bytes() == before
    refused(truncate("album/a.omega", file="album/a.omega"), "exists already")
    well(truncate("album/a.omega", "--overwrite", file="album/a.omega"))
    assert Path("album/a.omega").read_bytes() == SHORT


def test_the_argument_of_output(omega_here: Run, truncate: Truncate, tmp_path: Path) -> None:
    """`--output`"""
    picture, model = GOLDEN / "a.png", ("--model", MODEL)
    for output, made in (
        ("new/one.omega", "new/one.omega"),
        ("folder", "folder/a.omega"),
        ("x.omega/", "x.omega/a.omega"),
    ):
        well(omega_here("compress", picture, "-o", output, *model))
        assert Path(made).read_bytes() == FILE.read_bytes()
    Path("file").touch()
    well(omega_here("compress", picture, "-o", "file", "--overwrite", *model))
    assert Path("file").read_bytes() == FILE.read_bytes()
    well(omega_here("decompress", FILE, "-o", "one.png", *model))
    assert Path("one.png").read_bytes()[1:4] == b"PNG"
    well(truncate("folder"))
    assert Path("folder/4-channels.omega").read_bytes() == SHORT
    before = names(tmp_path)
    refused(
        omega_here("decompress", FILE, "-o", "one.jpg", *model),
        "decompress writes PNG: use one.png, or one.jpg/ for a folder.",
    )
    refused(omega_here("compress", picture, FILE, "-o", "two.omega", *model), "two.omega is one file")
    refused(omega_here("compress", GOLDEN, "-o", "two.omega", *model), "two.omega is one file")
    assert names(tmp_path) == before


def test_standard_input_and_output(tmp_path: Path) -> None:
    """`-`"""
    shorten = '"$0" -m omega_cli truncate - --max-bytes 18 -o'
    script = f"{{ cat | {shorten} -; }} && {shorten} ./-"
    shutil.copy(FILE, tmp_path / "file")
    done = subprocess.run(
        ["bash", "-c", script.replace("cat |", "cat file |") + " <file", sys.executable],
        cwd=tmp_path,
        capture_output=True,
    )
    first, said = done.stdout[: len(SHORT)], done.stdout[len(SHORT) :]
    assert (done.returncode, first, done.stderr) == (0, SHORT, b"")
    assert said.decode() == f"{FILE.stat().st_size} → {len(SHORT)} bytes, in {tmp_path / '-'}\n"
    assert (tmp_path / "-").read_bytes() == SHORT


@pytest.mark.parametrize("problem", [KeyboardInterrupt, SystemExit, MemoryError])
def test_interruptions(
    truncate: Truncate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: type[BaseException]
) -> None:
    """an interrupted command"""
    Path("out.omega").write_bytes(b"old")
    steps = []

    def interrupted(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            steps.append(file.write(data[:9]))
        raise problem

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", interrupted)
        try:
            truncate("out.omega", "--overwrite")
        except MemoryError:
            assert problem is MemoryError
    assert (steps, Path("out.omega").read_bytes(), names(tmp_path)) == ([9], b"old", ["out.omega"])


def test_full_disks(truncate: Truncate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """a full disk"""

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    Path("out.omega").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)  # which is when some file systems notice
    refused(truncate("out.omega", "--overwrite"), "No space left on device")
    assert (Path("out.omega").read_bytes(), names(tmp_path)) == (b"old", ["out.omega"])


def test_commands_at_once(truncate: Truncate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """several commands with one target"""
    rename = file_io._rename

    def later(temporary: Path, path: Path, overwrite: bool) -> None:
        path.write_bytes(b"of the first")
        rename(temporary, path, overwrite)

    monkeypatch.setattr(file_io, "_rename", later)
    refused(truncate("out.omega"), "exists already")
    assert (Path("out.omega").read_bytes(), names(tmp_path)) == (b"of the first", ["out.omega"])
    well(truncate("out.omega", "--overwrite"))
    assert (Path("out.omega").read_bytes(), names(tmp_path)) == (SHORT, ["out.omega"])


def test_modes(truncate: Truncate) -> None:
    """modes and owners"""
    Path("old.omega").touch(0o600)
    before = os.umask(0o027)
    try:
        well(truncate("old.omega", "--overwrite"))
        well(truncate("new.omega"))
    finally:
        os.umask(before)
    assert [stat.S_IMODE(Path(name).stat().st_mode) for name in ("old.omega", "new.omega")] == [0o600, 0o640]


def test_protected_files(truncate: Truncate, monkeypatch: pytest.MonkeyPatch) -> None:
    """a file that is protected against writing"""
    Path("out.omega").touch(0o444)
    if os.geteuid() == 0:  # to whom nothing is protected
        monkeypatch.setattr(os, "access", lambda *_, **__: False)
        monkeypatch.setattr(os, "supports_effective_ids", set())
    refused(truncate("out.omega", "--overwrite"), "Permission denied")
    assert Path("out.omega").read_bytes() == b""


def test_symbolic_links(truncate: Truncate, tmp_path: Path) -> None:
    """a symbolic link as target"""
    (tmp_path / "there").mkdir()
    for link, target in (("link.omega", "there/a"), ("loop.omega", "pool.omega"), ("pool.omega", "loop.omega")):
        Path(link).symlink_to(target)
    for options in ((), ("--overwrite",)):
        well(truncate("link.omega", *options))
        assert (Path("link.omega").is_symlink(), Path("there/a").read_bytes()) == (True, SHORT)
        Path("there/a").write_bytes(b"old")
    refused(truncate("link.omega"), "exists already")
    refused(truncate("loop.omega"), "symbolic links")


def test_hard_links(truncate: Truncate) -> None:
    """a hard link as target"""
    Path("a.omega").write_bytes(b"old")
    Path("b.omega").hardlink_to("a.omega")
    well(truncate("b.omega", "--overwrite"))
    assert (Path("a.omega").read_bytes(), Path("b.omega").read_bytes()) == (b"old", SHORT)


def test_special_files(truncate: Truncate, tmp_path: Path) -> None:
    """character devices, named pipes and `/dev/stdout`"""
    os.mkfifo("pipe")
    with Path("read").open("wb") as read, subprocess.Popen(["cat", "pipe"], stdout=read) as reader:
        well(truncate("pipe"))
        assert reader.wait(timeout=20) == 0
    assert (Path("read").read_bytes(), Path("pipe").is_fifo()) == (SHORT, True)
    well(truncate("/dev/null"))
    assert Path("/dev/null").is_char_device()
    command = [sys.executable, "-m", "omega_cli", "truncate", FILE, "-o", "/dev/stdout", "--max-bytes", "18"]
    assert subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout == SHORT


def test_what_is_refused(truncate: Truncate, tmp_path: Path) -> None:
    """folders, sockets and block devices as target"""
    (tmp_path / "folder" / "4-channels.omega").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        for output in ("folder", "socket"):
            refused(truncate(output, "--overwrite"))
    assert (Path("socket").is_socket(), names(tmp_path)) == (True, ["folder", "socket"])


@pytest.mark.parametrize("name", ["a" * 255, "ü" * 127, os.fsdecode(b"\xff\xfe"), "a\nb", " ", "--x"])
def test_names(truncate: Truncate, tmp_path: Path, name: str) -> None:
    """names"""
    well(truncate(tmp_path / name))
    assert names(tmp_path) == [name]


def test_empty_arguments(truncate: Truncate, tmp_path: Path) -> None:
    """empty arguments"""
    refused(truncate(""), "is empty")
    refused(truncate("out.omega", file=""), "is empty")
    assert names(tmp_path) == []


def test_closed_streams(tmp_path: Path) -> None:
    """closed standard streams"""
    script = '"$0" -m omega_cli truncate "$1" -o "$2" --max-bytes 18 <&- >&- 2>&-'
    subprocess.run(["bash", "-c", script, sys.executable, FILE, tmp_path / "out.omega"], check=True)
    assert (tmp_path / "out.omega").read_bytes() == SHORT


def test_exit_statuses(omega_here: Run, truncate: Truncate, tmp_path: Path) -> None:
    """the exit status"""
    (tmp_path / "bad.omega").write_bytes(b"bad")
    model = ("--model", MODEL)
    assert omega_here("decompress", FILE, "-o", "good", *model).returncode == 0
    assert omega_here("decompress", FILE, "bad.omega", "-o", "some", *model).returncode == 1
    assert omega_here("decompress", "bad.omega", "-o", "none", *model).returncode == 2
    assert omega_here("decompress", FILE, "--nonsense").returncode == 2
    piped = f'"$0" -m omega_cli truncate {FILE} -o - --max-bytes 18 | true; exit ${{PIPESTATUS[0]}}'
    assert subprocess.run(["bash", "-c", piped, sys.executable]).returncode == 141
