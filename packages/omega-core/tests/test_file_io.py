import errno
import inspect
import io
import os
import pickle
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from omega_core.errors import OmegaError, OutputError, TargetError, TargetExistsError
from omega_core.file_io import (
    bytes_of,
    is_standard_output,
    is_written,
    read_whole,
    replacing,
    whole_folder,
    write_whole,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_whole_with_nothing_beside_it(tmp_path):
    write_whole(tmp_path / "a.bin", b"new")
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"]


def test_a_file_takes_the_place_of_an_older_one(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
        assert temporary.parent == tmp_path
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize(("platform", "failures"), [("win32", 3), ("win32", 100), ("linux", 1)])
def test_on_windows_a_file_that_another_process_has_open_is_replaced_a_little_later(
    tmp_path, monkeypatch, platform, failures
):
    """Windows lets nobody replace an open file, and backups or scanners of viruses open files for moments."""
    replace, left, slept = Path.replace, [None] * failures, []

    def refused(path, target):
        if left:
            left.pop()
            raise PermissionError(errno.EACCES, "Access is denied", str(target))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refused)
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr("sys.platform", platform)
    (tmp_path / "a.bin").write_bytes(b"old")
    if (platform, failures) == ("win32", 3):
        write_whole(tmp_path / "a.bin", b"new")
        assert len(slept) == failures
    else:
        with pytest.raises(OutputError, match=r"cannot write .*a.bin: Access is denied"):
            write_whole(tmp_path / "a.bin", b"new")
        assert sum(slept) < 5
    assert (tmp_path / "a.bin").read_bytes() == (b"new" if (platform, failures) == ("win32", 3) else b"old")
    assert names(tmp_path) == ["a.bin"]


def test_folders_are_made_where_they_are_missing(tmp_path):
    write_whole(tmp_path / "a" / "b" / "c.bin", b"new")
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"new"


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_file_has_the_permissions_of_any_new_file(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_whole(tmp_path / "a.bin", b"")
        assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == 0o666 & ~mask
        assert os.umask(mask) == mask
    finally:
        os.umask(before)


@pytest.mark.parametrize("problem", [RuntimeError, KeyboardInterrupt, OmegaError])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, problem):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def stop_half_way():
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise problem

    with pytest.raises(problem):
        stop_half_way()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_a_full_disk_is_an_output_error_that_leaves_nothing(tmp_path, monkeypatch):
    def full(self, data):
        with self.open("wb") as file:
            file.write(data[:1])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"cannot write .*a\.bin: No space left on device"):
        write_whole(tmp_path / "a.bin", b"new")
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_is_an_output_error(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    for path in (tmp_path / "file" / "a.bin", tmp_path / "file" / "folder" / "a.bin"):
        with pytest.raises(OutputError, match=f"cannot write {path}: "):
            write_whole(path, b"new")
    assert names(tmp_path) == ["file"]


def test_a_folder_in_the_place_of_the_file_is_an_output_error(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        write_whole(tmp_path / "a", b"new")
    assert names(tmp_path) == ["a"]


def test_a_name_too_long_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="File name too long"):
        write_whole(tmp_path / ("a" * 300), b"new")
    assert names(tmp_path) == []


@pytest.mark.parametrize("kept", [0o600, 0o640, 0o664])
def test_a_replaced_file_keeps_its_mode(tmp_path, kept):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    path.chmod(kept)
    write_whole(path, b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", kept)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_a_replaced_file_keeps_its_owner(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    os.chown(path, 1234, 2345)
    write_whole(path, b"new")
    assert (path.read_bytes(), path.stat().st_uid, path.stat().st_gid) == (b"new", 1234, 2345)


def test_the_umask_is_never_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "umask", lambda _: pytest.fail("another thread could make a file meanwhile"))
    write_whole(tmp_path / "a.bin", b"new")


def test_a_umask_that_forbids_everything_does_not_prevent_writing(tmp_path):
    tmp_path.chmod(0o777)
    program = "import os, sys; from pathlib import Path; from omega_core.file_io import write_whole\nos.umask(0o777)\n"
    program += "write_whole(Path(sys.argv[1]), b'new')"
    as_nobody(program, tmp_path / "a.bin")
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == 0


def as_nobody(program, path):
    """Run a program with a path as its argument, without the privileges of root."""
    begin = "import os\nif os.geteuid() == 0: os.setegid(65534), os.seteuid(65534)\n"
    for folder in path.parents[:4]:  # which pytest makes for this user alone
        folder.chmod(folder.stat().st_mode | 0o055)
    imports = "import omega_core.file_io\n"  # while it still may read them
    return subprocess.run([sys.executable, "-c", imports + begin + program, path], check=True)


def test_a_file_that_is_protected_against_writing_is_kept(tmp_path):
    tmp_path.chmod(0o777)
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    path.chmod(0o444)
    program = """if True:
        import sys; from pathlib import Path
        from omega_core.errors import OutputError; from omega_core.file_io import write_whole
        try: write_whole(Path(sys.argv[1]), b"new")
        except OutputError as problem: assert isinstance(problem.__cause__, PermissionError)
        else: raise AssertionError("it was replaced")
    """
    as_nobody(program, path)
    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["a.bin"])


def test_a_folder_without_permission_to_write_is_an_output_error(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"old")
    (tmp_path / "a.bin").chmod(0o666)
    tmp_path.chmod(0o555)
    program = """if True:
        import sys; from pathlib import Path
        from omega_core.errors import OutputError; from omega_core.file_io import write_whole
        for path in (Path(sys.argv[1]), Path(sys.argv[1]).with_name("new"), Path(sys.argv[1]).with_name("new") / "b"):
            try: write_whole(path, b"new")
            except OutputError as problem: assert isinstance(problem.__cause__, PermissionError)
            else: raise AssertionError(f"{path} was written")
    """
    try:
        as_nobody(program, tmp_path / "a.bin")
    finally:
        tmp_path.chmod(0o755)
    assert ((tmp_path / "a.bin").read_bytes(), names(tmp_path)) == (b"old", ["a.bin"])


def test_links_are_followed_to_the_file_that_is_replaced(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a.bin").write_bytes(b"old")
    (tmp_path / "second").symlink_to("there/a.bin")
    (tmp_path / "first").symlink_to("second")
    write_whole(tmp_path / "first", b"new")
    assert (tmp_path / "there" / "a.bin").read_bytes() == b"new"
    assert (tmp_path / "first").is_symlink()
    assert (tmp_path / "second").is_symlink()
    assert (names(tmp_path), names(tmp_path / "there")) == (["first", "second", "there"], ["a.bin"])


def test_a_link_to_a_file_that_does_not_exist_makes_it(tmp_path):
    (tmp_path / "link").symlink_to("a.bin")
    write_whole(tmp_path / "link", b"new", overwrite=False)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "a.bin").read_bytes() == b"new"


def test_links_in_a_circle_are_an_error(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(TargetError) as caught:
        write_whole(tmp_path / "a", b"new")
    assert caught.value.__cause__.errno == errno.ELOOP
    assert names(tmp_path) == ["a", "b"]


def test_another_hard_link_to_a_replaced_file_keeps_the_old_content(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    write_whole(tmp_path / "b", b"new")
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (b"old", b"new")


@pytest.mark.parametrize("through", ["pipe", "link"])
def test_a_named_pipe_is_written_into(tmp_path, through):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with (tmp_path / "read").open("wb") as read, subprocess.Popen(["cat", tmp_path / "pipe"], stdout=read) as reader:
        write_whole(tmp_path / through, b"new" * 100_000, overwrite=False)
        assert reader.wait(timeout=20) == 0
    assert (tmp_path / "read").read_bytes() == b"new" * 100_000
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_character_device_is_written_into(tmp_path):
    master, slave = os.openpty()
    with os.fdopen(master, "rb", buffering=0) as reading, os.fdopen(slave):
        device = Path(os.ttyname(slave))
        write_whole(device, b"new", overwrite=False)
        assert reading.read(3) == b"new"
        assert stat.S_ISCHR(device.stat().st_mode)


def test_a_full_device_is_an_output_error():
    with pytest.raises(OutputError) as caught:
        write_whole(Path("/dev/full"), b"new")
    assert caught.value.__cause__.errno == errno.ENOSPC


def test_a_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        with pytest.raises(TargetError, match="socket"):
            write_whole(Path("socket"), b"new")
        assert stat.S_ISSOCK(Path("socket").stat().st_mode)


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_an_open_descriptor_is_written_into_where_it_stands(tmp_path, path):
    (tmp_path / "link").symlink_to("/dev/stdout")
    program = "import sys; from pathlib import Path; from omega_core.file_io import write_whole\n"
    program += "write_whole(Path(sys.argv[1]), b'second', overwrite=False)"
    log = tmp_path / "log"
    log.write_bytes(b"first ")
    with log.open("ab") as output:
        subprocess.run([sys.executable, "-c", program, path], stdout=output, cwd=tmp_path, check=True)
    assert log.read_bytes() == b"first second"
    assert names(tmp_path) == ["link", "log"]


def test_a_closed_descriptor_is_an_output_error():
    with pytest.raises(OutputError) as caught:
        write_whole(Path("/dev/fd/987"), b"new")
    assert caught.value.__cause__.errno == errno.EBADF


@pytest.mark.parametrize("through", ["a.bin", "link"])
def test_an_existing_file_is_kept_where_it_may_not_be_replaced(tmp_path, through):
    (tmp_path / "a.bin").write_bytes(b"old")
    (tmp_path / "link").symlink_to("a.bin")
    with pytest.raises(TargetExistsError) as caught:
        write_whole(tmp_path / through, b"new", overwrite=False)
    assert caught.value.path == tmp_path / through
    assert pickle.loads(pickle.dumps(caught.value)).path == tmp_path / through  # worker processes raise it, too
    assert ((tmp_path / "a.bin").read_bytes(), names(tmp_path)) == (b"old", ["a.bin", "link"])


@pytest.mark.parametrize("hard_links", [True, False])
def test_a_file_that_appears_meanwhile_is_kept(tmp_path, monkeypatch, hard_links):
    if not hard_links:
        monkeypatch.setattr(os, "link", without_hard_links)

    def write():
        with replacing(tmp_path / "a.bin", overwrite=False) as temporary:
            temporary.write_bytes(b"mine")
            (tmp_path / "a.bin").write_bytes(b"of another")

    with pytest.raises(TargetExistsError):
        write()
    assert ((tmp_path / "a.bin").read_bytes(), names(tmp_path)) == (b"of another", ["a.bin"])


def without_hard_links(*args, **options):
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def test_file_systems_without_hard_links_are_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", without_hard_links)
    write_whole(tmp_path / "a.bin", b"new", overwrite=False)
    assert ((tmp_path / "a.bin").read_bytes(), names(tmp_path)) == (b"new", ["a.bin"])


def test_of_many_threads_that_may_not_overwrite_one_writes(tmp_path):
    def write(number):
        try:
            write_whole(tmp_path / "a.bin", bytes([number]) * 9999, overwrite=False)
        except TargetExistsError:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        wrote = [number for number in pool.map(write, range(24)) if number is not None]
    assert [(tmp_path / "a.bin").read_bytes()] == [bytes([number]) * 9999 for number in wrote]
    assert names(tmp_path) == ["a.bin"]


def test_of_many_threads_that_overwrite_each_writes_a_whole_file(tmp_path):
    path = tmp_path / "a.bin"

    def write(number):
        write_whole(path, bytes([number]) * 9999)
        data = path.read_bytes()
        assert (len(data), len(set(data))) == (9999, 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(64)))
    assert names(tmp_path) == ["a.bin"]


def test_a_file_is_on_the_disk_before_it_has_its_name_and_the_name_before_the_end(tmp_path, monkeypatch):
    steps = []
    sync, rename = os.fsync, Path.replace
    monkeypatch.setattr(
        os,
        "fsync",
        lambda handle: (steps.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"), sync(handle)),
    )
    monkeypatch.setattr(Path, "replace", lambda self, other: (steps.append("rename"), rename(self, other)))
    write_whole(tmp_path / "new" / "a.bin", b"new")
    assert steps == ["folder", "file", "rename", "folder"]  # the first for the name of the new folder


@pytest.mark.parametrize("name", ["a" * 255, "ü" * 127, os.fsdecode(b"\xff\xfe"), "a\nb", " ", "-", "'\"*?"])
def test_every_name_that_the_file_system_takes_is_written(tmp_path, name):
    write_whole(tmp_path / name, b"old", overwrite=False)
    write_whole(tmp_path / name, b"new")
    assert (names(tmp_path), (tmp_path / name).read_bytes()) == ([name], b"new")


def test_only_files_that_would_be_replaced_count_as_written(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    for name, target in (("link", "file"), ("dangling", "missing"), ("loop", "loop")):
        (tmp_path / name).symlink_to(target)
    assert is_written(tmp_path / "file")
    assert is_written(tmp_path / "link")
    others = [tmp_path / name for name in ("pipe", "dangling", "loop", "missing", "a" * 300, "")]
    assert not any(map(is_written, [*others, Path("/dev/null"), Path("/dev/stdout")]))


def test_standard_output_is_recognized(tmp_path):
    (tmp_path / "link").symlink_to("/dev/stdout")
    assert is_standard_output(Path("/dev/stdout"))
    assert is_standard_output(tmp_path / "link")
    assert not any(map(is_standard_output, [tmp_path / "a", Path("/dev/stderr"), Path("/dev/null")]))


def test_a_file_is_read_whole_or_its_first_bytes(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"abcdef")
    assert read_whole(tmp_path / "a.bin") == b"abcdef"
    assert read_whole(tmp_path / "a.bin", first=2) == b"ab"


@pytest.mark.parametrize(("name", "reason"), [("missing", "No such file"), ("", "Is a directory")])
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path, name, reason):
    with pytest.raises(OmegaError, match=f"cannot read {tmp_path / name}: {reason}"):
        read_whole(tmp_path / name)


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OmegaError, match="neither a file nor a folder"):
        read_whole(tmp_path / "pipe")


def test_bytes_come_from_bytes_a_path_or_an_open_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"some bytes")
    with path.open("rb") as file:
        for source in (b"some bytes", path, str(path), file, io.BytesIO(b"some bytes")):
            assert bytes_of(source) == b"some bytes"


def test_a_source_that_gives_no_bytes_is_named(tmp_path):
    path = tmp_path / "a"
    with path.open("wb") as closed:
        pass
    with path.open() as text, path.open("wb") as writing:
        for source, told in (
            (closed, f"the file {path} is closed"),
            (text, f"the file {path} gives text"),
            (io.StringIO("text"), "the file StringIO gives text"),
            (writing, f"cannot read the file {path}"),
            (tmp_path / "missing", "cannot read"),
            (3, "not int"),
            (None, "not NoneType"),
        ):
            with pytest.raises(OmegaError, match=told):
                bytes_of(source)


def fill(folder: Path) -> None:
    write_whole(folder / "a.txt", b"a")
    write_whole(folder / "deeper" / "b.txt", b"b")


def contents(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_appears_whole(tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "new" / "folder"
    if there:
        folder.mkdir(parents=True)
    before = folder.stat().st_ino if there else None
    with whole_folder(folder) as temporary:
        fill(temporary)
        assert not list(folder.glob("[!.]*"))
    assert contents(folder) == ["a.txt", "deeper", "deeper/b.txt"]
    assert contents(tmp_path / "new")[0] == "folder", "no temporary folder is left"
    assert before in (None, folder.stat().st_ino)


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("problem", [OSError, KeyboardInterrupt, ValueError])
def test_a_folder_that_is_not_finished_leaves_nothing(
    tmp_path: Path, there: bool, problem: type[BaseException]
) -> None:
    folder = tmp_path / "folder"
    if there:
        folder.mkdir()

    def begin() -> None:
        with whole_folder(folder) as temporary:
            fill(temporary)
            raise problem

    with pytest.raises(OutputError if problem is OSError else problem):
        begin()
    assert contents(tmp_path) == (["folder"] if there else [])


def test_a_folder_that_cannot_be_filled_to_its_end_stays_empty(tmp_path: Path) -> None:
    def begin() -> None:
        with whole_folder(tmp_path) as temporary:
            fill(temporary)
            (tmp_path / "deeper" / "of another").mkdir(parents=True)  # made meanwhile

    with pytest.raises(OutputError):
        begin()
    assert contents(tmp_path) == ["deeper", "deeper/of another"]


def test_a_folder_follows_a_link_to_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    with whole_folder(tmp_path / "link") as temporary:
        fill(temporary)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "a.txt").exists()


@pytest.mark.parametrize("what", ["a file", "a folder with a file"])
def test_what_is_there_is_not_made_a_folder(tmp_path: Path, what: str) -> None:
    path = tmp_path / "a"
    if what == "a file":
        path.touch()
    else:
        path.mkdir()
        (path / "b").touch()
    before = contents(tmp_path)
    with pytest.raises(TargetExistsError), whole_folder(path):
        pass
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["n" * 300, "a\0b"])
def test_what_cannot_be_a_path_cannot_be_read(name):
    with pytest.raises(OmegaError, match="cannot read"):
        read_whole(Path(name))


def test_bytes_of_any_type_are_read_and_none_are_told_from_text():
    class Gives:
        def __init__(self, data):
            self.data = data

        def read(self):
            return self.data

    assert bytes_of(Gives(bytearray(b"ab"))) == bytes_of(memoryview(b"ab")) == b"ab"
    with pytest.raises(OmegaError, match="no bytes yet"):
        bytes_of(Gives(None))
    with pytest.raises(OmegaError, match="gives text"):
        bytes_of(Gives("ab"))


def test_a_file_below_more_new_folders_than_calls_may_be_nested_is_written(tmp_path):
    path = tmp_path / ("a/" * 200 + "b.bin")
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 150)
    try:
        write_whole(path, b"new")
    finally:
        sys.setrecursionlimit(before)
    assert path.read_bytes() == b"new"
