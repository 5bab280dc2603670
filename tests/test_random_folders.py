"""Random trees of files of every kind and name: every input of a command is accounted for, and none is changed.

OMEGA_WALK_TREES is how many trees are tried, OMEGA_WALK_SEED the number of the first.
"""

import hashlib
import io
import os
import random
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from PIL import Image

from omega_cli.account import Account
from omega_cli.compress_workers import CompressWorker
from omega_core.format.packs import Pack, parse
from omega_core.names import printable

Run = Callable[..., subprocess.CompletedProcess[str]]
TREES = int(os.environ.get("OMEGA_WALK_TREES", "20"))
SEED = int(os.environ.get("OMEGA_WALK_SEED", "0"))
NOBODY = 65534
STEMS = [
    *("a", "A", "b", ".a", "-a", "..", "a.png", "a.omega", "con", "NUL.txt", "a ", "a.", "%41", "~"),
    *("ü", "u\u0308", "ß", "SS", "日本", os.fsdecode(b"\xff\xfe"), "x" * 180, "é" * 90),
    *("\x1b[31m", "a\nb", "\r", "\u202egnp", "a:b", "a\\b", "*"),
]
SUFFIXES = [".png", ".png", ".PNG", ".jpg", ".bmp", "", ".txt", ".heic", ".omega", ".OMEGA", ".part"]

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs the files of POSIX")


def picture(chance: random.Random) -> bytes:
    data = io.BytesIO()
    size, form = (chance.randint(1, 20), chance.randint(1, 20)), chance.choice(["PNG", "BMP", "JPEG"])
    Image.new(chance.choice(["L", "RGB"]), size, chance.randint(0, 255)).save(data, form)
    return data.getvalue()


def grow(top: Path, chance: random.Random, files: list[bytes]) -> None:
    """Fill a folder with a random tree. files: contents of .omega files and packs."""
    made, closed = [top], list[tuple[Path, int]]()
    for _ in range(chance.randint(1, 40)):
        folder = chance.choice([path for path in made if path.is_dir() and not path.is_symlink()])
        path = folder / (chance.choice(STEMS) + chance.choice(SUFFIXES))
        if os.path.lexists(path) or path.name in (".", ".."):
            continue
        kind = chance.choice(["picture"] * 6 + ["omega"] * 3 + ["folder"] * 4 + ["link"] * 3 + ["other"] * 6)
        if kind == "picture":
            path.write_bytes(picture(chance))
        elif kind == "omega":
            data = chance.choice(files)
            path.write_bytes(data if chance.random() < 0.8 else data[: chance.randint(0, len(data))])
        elif kind == "folder":
            path.mkdir()
            if chance.random() < 0.2:
                closed.append((path, chance.choice([0, 0o111, 0o444])))
        elif kind == "link":
            path.symlink_to(chance.choice([*made, top / "none", path, Path("/dev/null"), Path(".."), Path()]))
        else:
            other = chance.choice(["noise", "empty", "pipe", "unreadable", "hard link"])
            if other == "pipe":
                os.mkfifo(path)
            elif other == "hard link" and (real := [p for p in made if p.is_file() and not p.is_symlink()]):
                path.hardlink_to(chance.choice(real))
            else:
                path.write_bytes(b"" if other == "empty" else chance.randbytes(40))
                if other == "unreadable":
                    path.chmod(0)
        if os.path.lexists(path):
            made.append(path)
    for path, mode in reversed(closed):  # a folder in another one first
        path.chmod(mode)


@contextmanager
def as_root(root: bool) -> Iterator[None]:
    """All rights within the context, if the test has them."""
    if root:
        os.seteuid(0)
    try:
        yield
    finally:
        if root:
            os.seteuid(NOBODY)


def is_folder(path: Path) -> bool:
    """As Path.is_dir, which raises where permissions are missing."""
    try:
        return path.is_dir()
    except PermissionError:
        return False


def entries(folder: Path) -> Iterator[Path]:
    """Everything in a folder that can be listed, without following links."""
    with suppress(PermissionError, FileNotFoundError), os.scandir(folder) as listing:
        for entry in list(listing):
            yield folder / entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from entries(folder / entry.name)


def state(folder: Path) -> dict[Path, tuple[int, str]]:
    """Mode and content of everything in a folder."""
    found = {}
    for path in entries(folder):
        with suppress(PermissionError):
            mode = path.lstat().st_mode
            content = ""
            if stat.S_ISLNK(mode):
                content = str(path.readlink())
            elif stat.S_ISREG(mode):
                with suppress(PermissionError):
                    content = hashlib.sha256(path.read_bytes()).hexdigest()
            found[path] = mode, content
    return found


def check(done: subprocess.CompletedProcess[str], account: Account, inputs: list[Path]) -> None:
    """Everything under the inputs is in the account, in one place, and it is what was said."""
    places = [account.done, account.skipped, account.failed, set(account.left_out)]
    known = set[str]().union(*places)
    assert len(known) == sum(map(len, places))
    of_packs = {name.rpartition(": ")[0] for name in account.done | account.skipped | account.failed}
    not_searched = account.failed | set(account.left_out)
    for given in inputs:
        inside = entries(given) if is_folder(given) else [given]
        for path in inside:
            if not {str(path), *map(str, path.parents)} & not_searched and not is_folder(path):
                assert str(path) in known or any(name.startswith(str(path)) for name in of_packs), path
    assert done.returncode == (0 if not account.failed else 1 if account.done or account.skipped else 2)
    assert "Traceback" not in done.stderr
    assert all(line.startswith(("error: ", "warning: ")) for line in done.stderr.splitlines())
    assert printable(done.stdout + done.stderr, keep="\n") == done.stdout + done.stderr
    said = [name for name in account.failed if printable(name) not in done.stderr]
    assert all(": " in name for name in said), said  # of a block of a pack, the first is named
    assert ("left out" in done.stderr) == bool(account.left_out)


def regular(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in entries(folder) if path.is_file()}


@pytest.fixture
def guarded(untrained: Callable[..., Path], omega_here: Run) -> Iterator[tuple[Path, bool]]:
    """A folder with a model and some .omega files in which permissions hold, and whether this process can be root."""
    with TemporaryDirectory() as temporary:
        folder, root = Path(temporary), os.geteuid() == 0
        model = shutil.copy(untrained(channels=8, symbols=16, latent=8, width=4), folder / "model.safetensors")
        Path(model).chmod(0o644)
        for number in range(3):
            Image.new("RGB", (9, 7 + number)).save(folder / f"{number}.png")
        names = [folder / f"{number}.png" for number in range(3)]
        assert omega_here("compress", *names, "-o", folder / "files", "--model", model).returncode == 0
        assert omega_here("compress", *names, "-o", folder / "files" / "p", "--model", model, "--pack").returncode == 0
        one = parse((folder / "files" / "0.omega").read_bytes())
        strange = ("a", "A", "CON", "\x1b[31m", "a.png/b", "b\nc", "\u202ec", "x" * 300)
        pack = Pack(tuple((one, (name,)) for name in strange))  # type: ignore[arg-type]
        (folder / "files" / "strange.omega").write_bytes(pack.to_bytes())
        if root:
            os.chown(folder, NOBODY, -1)
            os.seteuid(NOBODY)
        try:
            yield folder, root
        finally:
            if root:
                os.seteuid(0)
            for place, folders, _ in os.walk(folder):  # which lists a folder after this has opened it
                for name in folders:
                    if not (Path(place) / name).is_symlink():
                        (Path(place) / name).chmod(0o700)


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch) -> list[Account]:
    """The accounts of all commands, the last one at the end."""
    made = list[Account]()

    def make() -> Account:
        made.append(Account())
        return made[-1]

    for module in ("compress", "decompress"):
        monkeypatch.setattr(f"omega_cli.{module}.Account", make)
    return made


def walk(seed: int, folder: Path, root: bool, omega: Run, accounts: list[Account], patch: pytest.MonkeyPatch) -> int:
    """Try one tree, and return how many things are in it."""
    chance = random.Random(seed)
    tree, out = folder / f"tree {seed}" / "tree", folder / f"out {seed}"  # links to the parent do not lead to outputs
    tree.mkdir(parents=True)
    grow(tree, chance, [path.read_bytes() for path in (folder / "files").rglob("*.omega")])
    with as_root(root):
        before = state(tree)
    real = [path for path, (mode, _) in before.items() if not stat.S_ISLNK(mode)]
    inputs = [tree] if chance.random() < 0.6 or not real else chance.choices([*real, tree, tree / "none"], k=3)
    model = ("--model", folder / "model.safetensors")

    def run(*arguments: object, among: list[Path] = inputs) -> Account:
        done = omega(*arguments, *model)
        assert len(accounts) == 1, done.stderr
        account = accounts.pop()
        check(done, account, among)
        with as_root(root):
            assert state(tree) == before
        return account

    first = run("compress", *inputs, "-o", out / "c")
    files = regular(out / "c")
    assert len(files) == len(first.done) == len({name.casefold() for name in files})
    assert all(parse(data) for data in files.values())
    again = run("compress", *inputs[::-1], "-o", out / "c", "--skip-existing")
    assert (again.done, again.skipped, again.failed) == (set(), first.done, first.failed)
    for name in chance.sample(sorted(files), len(files) // 2):
        (out / "c" / name).unlink()
    third = run("compress", *inputs, "-o", out / "c", "--skip-existing")
    assert third.done | third.skipped == first.done
    assert regular(out / "c") == files

    packed = run("compress", *inputs, "-o", out / "p", "--pack")
    assert packed.done == first.done
    assert len(regular(out / "p")) == (len(first.done) > 0)

    for number, given in enumerate((out / "c", out / "p")):
        if first.done:
            decoded = run("decompress", given, "-o", out / f"d{number}", among=[given])
            pictures = regular(out / f"d{number}")
            assert len(decoded.done) == len(first.done) == len(pictures) == len({n.casefold() for n in pictures})
            assert not decoded.failed
    others = run("decompress", *inputs, "-o", out / "o")
    pictures = regular(out / "o")
    assert len(pictures) == len(others.done)
    again = run("decompress", *inputs, "-o", out / "o", "--skip-existing")
    assert (again.done, again.skipped, again.failed) == (set(), others.done, others.failed)
    assert regular(out / "o") == pictures

    read = CompressWorker.read

    def vanishing(self: CompressWorker, source: Path) -> Any:
        """Reading, while somebody else removes files."""
        with suppress(OSError):
            chance.choice(list(before)).unlink()
        return read(self, source)

    patch.setattr(CompressWorker, "read", vanishing)
    done = omega("compress", *inputs, "-o", out / "v", *model)
    patch.setattr(CompressWorker, "read", read)
    last = accounts.pop()
    check(done, last, inputs)
    assert last.done | last.failed == first.done | first.failed
    assert len(regular(out / "v")) == len(last.done)
    return len(before)


def test_every_input_is_accounted_for_and_none_is_changed(
    guarded: tuple[Path, bool], omega_here: Run, accounts: list[Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, root = guarded
    seen = 0
    for seed in range(SEED, SEED + TREES):
        signal.alarm(60)  # something that blocks ends the test
        try:
            seen += walk(seed, folder, root, omega_here, accounts, monkeypatch)
        except BaseException:
            print(f"OMEGA_WALK_SEED={seed}")
            raise
        finally:
            signal.alarm(0)
    assert seen > TREES
