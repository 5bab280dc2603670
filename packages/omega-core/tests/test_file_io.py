import errno
import io
import os
import stat
from pathlib import Path

import pytest

from omega_core.errors import OmegaError, OutputError
from omega_core.file_io import bytes_of, read_whole, replacing, write_whole


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
