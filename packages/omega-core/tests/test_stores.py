import errno
import os
import sys
from pathlib import Path

import pytest

from omega_core.errors import MissingExtraError, OmegaError, StoreError, TargetError, TargetExistsError
from omega_core.file_io import is_standard_output, is_written, read_whole, write_whole
from omega_core.folders import search_store
from omega_core.locations import Url
from omega_core.stores import Stored

fsspec = pytest.importorskip("fsspec")
from fsspec.implementations.local import LocalFileSystem  # noqa: E402
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem  # noqa: E402
from fsspec.registry import _registry as KINDS  # noqa: E402
from fsspec.registry import known_implementations as KNOWN  # noqa: E402


class Drive(LocalFileSystem):
    """A server of files, such as one of SFTP, in which what is written can be seen meanwhile."""

    protocol = "drive"
    cachable = False

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("drive://"))


@pytest.fixture
def drive(tmp_path, monkeypatch):
    """Registers the server, and returns its URL of a folder with a file in it."""
    monkeypatch.setitem(KINDS, "drive", Drive)
    (tmp_path / "old.bin").write_bytes(b"old")
    return Url(f"drive://{tmp_path}")


def raising(problem):
    """A store in memory that raises an exception whenever it is asked."""

    def refuse(*_, **__):
        raise problem

    names = ("info", "cat_file", "pipe_file", "find", "exists")
    words = {"protocol": "memory", "cachable": False, **dict.fromkeys(names, refuse)}
    return type("Refusing", (MemoryFileSystem,), words)


@pytest.fixture
def refusing(monkeypatch):
    """Makes a URL of a store that raises an exception whenever it is asked."""

    def make(problem):
        monkeypatch.setitem(KINDS, "memory", raising(problem))
        return Url("memory://bucket/a.bin")

    return make


def test_a_file_is_written_once_and_replaced_only_if_asked(memory):
    url = Url(f"{memory}/folder/a.bin")
    assert not is_written(url)
    write_whole(url, b"new", overwrite=False)
    assert is_written(url)
    assert not is_standard_output(url)
    with pytest.raises(TargetExistsError, match=rf"{url} exists already") as caught:
        write_whole(url, b"newer", overwrite=False)
    assert caught.value.path == url
    assert read_whole(url) == b"new"
    write_whole(url, b"newer")
    assert read_whole(url, first=3) == b"new"
    assert read_whole(url) == b"newer"


def test_a_server_without_conditions_is_asked_before(monkeypatch, memory):
    class Simple(MemoryFileSystem):
        def pipe_file(self, path, value, mode="overwrite", **_):
            if mode == "create":
                raise OSError(errno.ENOSYS, "A header you provided implies functionality that is not implemented")
            super().pipe_file(path, value)

    monkeypatch.setitem(KINDS, "memory", Simple)
    url = Url(f"{memory}/a.bin")
    write_whole(url, b"new", overwrite=False)
    with pytest.raises(TargetExistsError):
        write_whole(url, b"newer", overwrite=False)
    assert read_whole(url) == b"new"


def test_on_a_server_of_files_a_file_appears_under_its_name_when_it_is_whole(drive, tmp_path, monkeypatch):
    seen = []

    def put(self, path, value, **_):
        seen.append(sorted(each.name for each in tmp_path.rglob("*.bin")))
        Path(path).write_bytes(value)

    monkeypatch.setattr(Drive, "pipe_file", put)
    write_whole(drive / "deeper/new.bin", b"new", overwrite=False)
    write_whole(drive / "old.bin", b"newer")
    with pytest.raises(TargetExistsError):
        write_whole(drive / "old.bin", b"newest", overwrite=False)
    assert seen == [["old.bin"], ["new.bin", "old.bin"]]
    assert (tmp_path / "old.bin").read_bytes() == b"newer"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deeper", "new.bin", "old.bin"]


@pytest.mark.parametrize("problem", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()])
def test_on_a_server_of_files_an_error_leaves_the_old_file_and_nothing_else(drive, tmp_path, monkeypatch, problem):
    def put(self, path, value, **_):
        Path(path).write_bytes(value[:1])
        raise problem

    monkeypatch.setattr(Drive, "pipe_file", put)
    with pytest.raises(StoreError if isinstance(problem, OSError) else KeyboardInterrupt):
        write_whole(drive / "old.bin", b"newer")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("old.bin", b"old")]


def test_a_folder_that_cannot_be_listed_is_an_error_and_not_empty(drive, tmp_path, monkeypatch):
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "a.bin").touch()
    assert [file.source for file in search_store(drive, bool).files] == [drive / "old.bin", drive / "open/a.bin"]
    (tmp_path / "open" / "closed").mkdir()
    listing = Drive.ls

    def ls(self, path, *arguments, **words):
        if path.endswith("closed"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return listing(self, path, *arguments, **words)

    monkeypatch.setattr(Drive, "ls", ls)
    found = search_store(drive, bool)
    assert found.files == []
    assert found.unreadable == {drive: "the folder cannot be read: access is denied (Permission denied)"}


def test_files_of_a_folder_are_found_and_those_with_strange_names_are_errors(memory):
    top = Url(f"{memory}/in")
    strange = ["d/../e.png", "./e.png", "..", "d//e.png", "/e"]
    system = fsspec.filesystem("memory")
    for name in ["b.png", "a.png", "d/a.png", "notes.txt", ".omega-1.part", *strange, "d/e/"]:
        system.store[f"/bucket/in/{name}"] = MemoryFile(data=b"1")
    found = search_store(top, lambda url: url.suffix == ".png")
    assert [(file.source, file.relative.as_posix()) for file in found.files] == [
        (top / name, name) for name in ("a.png", "b.png", "d/a.png")
    ]
    assert found.left_out == {
        top / ".omega-1.part": ("file left unfinished by another command", ""),
        top / "notes.txt": ("file of another kind", ".txt"),
    }
    listed = [name for name in strange if f"/bucket/in/{name}" in system.find("/bucket/in")]
    assert len(listed) >= 3, "fsspec before 2026.9 does not list the last two"
    assert found.unreadable.keys() == {top / name for name in listed}


class Answer(Exception):
    """An answer by HTTP, as aiohttp raises it."""

    def __init__(self, status, message):
        super().__init__(f"{status}, message={message!r}")
        self.status, self.message = status, message


def of_the_web(problem):
    """What fsspec makes of an answer."""
    missing = FileNotFoundError("https://host/a.bin")
    missing.__cause__ = problem
    return missing


class Odd(Exception):
    """An exception of a library."""


class ClientPayloadError(Exception):
    """As aiohttp has it."""


REASONS = [
    (FileNotFoundError("bucket/a.bin"), errno.ENOENT, "No such file or directory"),
    (of_the_web(Answer(404, "Not Found")), errno.ENOENT, "No such file or directory"),
    (of_the_web(Answer(403, "Forbidden")), errno.EACCES, "access is denied (403)"),
    (of_the_web(Answer(500, "Oh no")), errno.EIO, "the server answers 500 Oh no"),
    (of_the_web(ConnectionRefusedError(errno.ECONNREFUSED, "no")), errno.ECONNREFUSED, "no"),
    (PermissionError("Your key is unknown."), errno.EACCES, "access is denied (Your key is unknown)"),
    (TimeoutError(), errno.ETIMEDOUT, "the server does not answer"),
    (ClientPayloadError("not all"), errno.ECONNRESET, "the connection was interrupted"),
    (IsADirectoryError("bucket/a.bin"), errno.EISDIR, "Is a directory"),
    (OSError(errno.ENAMETOOLONG, "Your key is too long"), errno.ENAMETOOLONG, "Your key is too long"),
    (OSError("It is\n odd."), errno.EIO, "It is odd"),
    (ValueError("odd"), errno.EIO, "ValueError: odd"),
    (Odd("Unable to locate credentials"), errno.EIO, "Unable to locate credentials"),
    (Odd(), errno.EIO, "Odd"),
]


@pytest.mark.parametrize(("problem", "number", "sentence"), REASONS, ids=lambda each: type(each).__name__)
def test_whatever_a_store_raises_is_an_error_with_a_number_and_a_sentence(refusing, problem, number, sentence):
    url = refusing(problem)
    for ask in (url.stat, url.open, url.read_bytes, lambda: list(url.files())):
        with pytest.raises(OSError, match="Errno") as caught:
            ask()
        assert (caught.value.errno, caught.value.strerror) == (number, sentence)
        assert caught.value.__cause__ is problem
    with pytest.raises(OmegaError, match=r"cannot read memory://bucket/a\.bin: "):
        read_whole(url)
    expected = TargetError if number in (errno.EISDIR, errno.ENAMETOOLONG) else StoreError
    with pytest.raises(expected) as caught:
        write_whole(url, b"new")
    assert str(caught.value) == f"cannot write {url}: {sentence}."
    if number in (errno.ENOENT, errno.EACCES):
        assert not url.exists()
    else:
        with pytest.raises(OmegaError) as caught:
            url.exists()
        assert str(caught.value) == f"cannot reach {url}: {sentence}."


def test_memory_that_runs_out_and_interrupts_are_what_they_are(refusing):
    for problem in (MemoryError(), KeyboardInterrupt()):
        with pytest.raises(type(problem)):
            refusing(problem).read_bytes()


def test_a_server_that_sends_the_whole_file_for_a_part_is_asked_once(monkeypatch, memory):
    url = Url(f"{memory}/a.bin")
    data = os.urandom(200_000)
    url.write_bytes(data, overwrite=False)
    asked = []

    def read(self, start=0, end=None):
        asked.append((start, end))
        return data

    monkeypatch.setattr(Stored, "read", read)
    with url.open() as file:
        assert file.read(10) == data[:10]
        file.seek(150_000)
        assert file.read(20_000) == data[150_000:170_000]
        file.seek(0)
        assert file.read() == data
    assert len(asked) == 1


def test_a_version_is_what_a_store_tells_of_the_content(memory, refusing, monkeypatch):
    url = Url(f"{memory}/a.bin")
    url.write_bytes(b"1", overwrite=False)
    first = url.version()
    assert first == url.version()
    url.write_bytes(b"2", overwrite=True)
    assert url.version() not in (first, None)
    monkeypatch.setattr(Stored, "info", lambda _: {"type": "file", "size": 1, "url": "elsewhere"})
    assert url.version() is None


def test_a_store_that_nobody_knows_and_missing_libraries_are_one_error_each(monkeypatch):
    with pytest.raises(OmegaError, match=r"there is no store whose URLs begin with odd://"):
        Url("odd://a").exists()
    monkeypatch.setitem(KNOWN, "odd", {"class": "no_such_library.Store", "err": "no"})
    with pytest.raises(MissingExtraError, match="odd:// needs no_such_library, which is not installed"):
        Url("odd://a").exists()
    monkeypatch.setitem(KNOWN, "odd", {"class": "pathlib.Nothing", "err": "no"})
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingExtraError, match="odd:// needs fsspec, which is not installed: install omega-core with"):
        Url("odd://a").exists()
