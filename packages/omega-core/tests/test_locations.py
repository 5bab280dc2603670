import os
import pickle
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega_core.errors import OmegaError
from omega_core.locations import Url, location_of, relative_path

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name not in (".", "..")
)


@pytest.mark.parametrize("text", ["a.png", "/a/b.png", "./s3:/a", "C:\\a", "c://a", "a:b", "s3:a", "-", ""])
def test_what_is_no_url_is_a_path(text: str) -> None:
    assert location_of(text) == Path(text)
    assert location_of(Path(text)) == Path(text)


def test_a_path_that_looks_like_a_url_stays_a_path(tmp_path: Path) -> None:
    assert location_of(Path("s3://bucket/a.png")) == Path("s3:/bucket/a.png")


@pytest.mark.parametrize("text", ["file:///a%20b/c.png", "FILE:///a%20b/c.png", "file://localhost/a%20b/c.png"])
def test_a_url_of_this_machine_is_a_path(text: str) -> None:
    assert location_of(text) == Path("/a b/c.png")


@pytest.mark.parametrize("text", ["file://a.png", "file://", "file://server/share/a.png"])
def test_a_file_of_another_machine_is_refused(text: str) -> None:
    with pytest.raises(OmegaError, match=f"{text} is not a file on this machine"):
        location_of(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("s3://bucket/a/", "s3://bucket/a"),
        ("S3A://bucket/a", "s3://bucket/a"),
        ("gcs://bucket", "gs://bucket"),
        ("https://host/a/b.png", "https://host/a/b.png"),
        ("s3://bucket/a::b#c?d", "s3://bucket/a::b#c?d"),
    ],
)
def test_a_url_is_one_place_however_it_is_written(text: str, place: str) -> None:
    assert location_of(text) == Url(place)
    assert location_of(Url(place)) == Url(place)


@pytest.mark.parametrize("text", ["https://host", "http://host/", "https://host/a/", "https://host/?a=b.png"])
def test_a_folder_of_the_web_is_refused(text: str) -> None:
    with pytest.raises(OmegaError, match="name each file"):
        location_of(text)


@given(st.lists(NAMES, min_size=1, max_size=3), NAMES)
def test_the_parts_of_a_url_are_those_of_a_path(folders: list[str], name: str) -> None:
    folder = Url("s3://" + "/".join(folders))
    url, path = folder / name, PurePosixPath(*folders) / name
    assert (url.scheme, url.name, url.stem, url.suffix) == ("s3", path.name, path.stem, path.suffix)
    assert url.parent == folder
    assert url.with_name("b") == folder / "b"
    assert relative_path(folder / "a/b", folder) == "a/b"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("https://host/a%20b.png?size=1#top", "a b.png"),
        ("https://host/..%2F..%2Fb.png", "..%2F..%2Fb.png"),
        ("https://host/%2e%2e", "%2e%2e"),
        ("https://host/a%5Cb", "a%5Cb"),
        ("https://host/a%00b", "a%00b"),
    ],
)
def test_a_name_of_the_web_is_plain_unless_it_would_lead_elsewhere(text: str, name: str) -> None:
    assert Url(text).name == name


def test_passwords_are_not_shown() -> None:
    assert str(Url("sftp://me:secret@host/a.png")) == "sftp://me:***@host/a.png"
    assert str(Url("s3://bucket/a:b@c")) == "s3://bucket/a:b@c"
    with pytest.raises(OmegaError, match=r"https://me:\*\*\*@host/ does not name a file"):
        location_of("https://me:secret@host/")


def test_a_relative_path_of_this_machine_has_slashes(tmp_path: Path) -> None:
    assert relative_path(tmp_path / "a" / "b", tmp_path) == "a/b"


pytest.importorskip("fsspec")


@pytest.fixture
def url(memory: str) -> Url:
    return Url(f"{memory}/folder/a.bin")


def test_a_file_is_read_whole_and_in_parts(url: Url) -> None:
    data = bytes(range(256)) * 1024
    url.write_bytes(data, overwrite=False)
    assert url.read_bytes() == data
    with url.open() as file:
        assert file.read(3) == data[:3]
        assert file.seek(-5, os.SEEK_END) == len(data) - 5
        assert file.read() == data[-5:]
        assert file.read() == b""
        assert file.seek(70_000) == 70_000
        assert file.seek(2, os.SEEK_CUR) == file.tell() == 70_002
        assert file.read(100_000) == data[70_002:170_002]
        file.seek(0)
        assert file.read() == data


def test_what_is_there_is_a_file_a_folder_or_nothing(url: Url) -> None:
    assert not url.exists()
    assert not url.is_file()
    assert not url.is_dir()
    for ask in (url.stat, url.open, url.read_bytes, url.version):
        with pytest.raises(FileNotFoundError) as caught:
            ask()
        assert caught.value.strerror == "No such file or directory"
    url.write_bytes(b"12", overwrite=False)
    assert url.exists()
    assert url.is_file()
    assert not url.is_dir()
    assert url.stat().st_size == 2
    assert url.parent.exists()
    assert url.parent.is_dir()
    assert not url.parent.is_file()
    with pytest.raises(IsADirectoryError):
        url.parent.open()
    assert url.resolve() == url
    assert not url.is_symlink()


def test_a_url_is_pickled_without_its_connection(url: Url) -> None:
    url.write_bytes(b"12", overwrite=False)
    again = pickle.loads(pickle.dumps(url))
    assert again == url
    assert again.__dict__.keys() == {"text"}
    assert again.read_bytes() == b"12"


def test_paths_need_no_fsspec(tmp_path: Path) -> None:
    program = f"""if True:
        import sys
        from pathlib import Path
        from omega_core.file_io import bytes_of, is_written, read_whole, write_whole
        from omega_core.folders import search_folder
        from omega_core.locations import location_of
        path = location_of({str(tmp_path / "a.png")!r})
        write_whole(path, b"1")
        assert is_written(path) and bytes_of(str(path)) == read_whole(location_of(path.as_uri())) == b"1"
        assert len(search_folder(path.parent, lambda path: True).files) == 1
        print("fsspec" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
