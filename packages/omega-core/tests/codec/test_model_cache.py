import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from omega_core.cache import cache_folder
from omega_core.codec.loading import load_model
from omega_core.codec.model_cache import cached_model
from omega_core.codec.model_file import read_description
from omega_core.codec.model_names import model_path
from omega_core.errors import MissingExtraError, ModelFileError, OutputError
from omega_core.locations import Url
from omega_core.stores import Stored

pytest.importorskip("fsspec")
pytest.importorskip("filelock")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OMEGA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def model(model_file, memory):
    """The URL of a model, and its fingerprint."""
    path = model_file(block=2)
    url = Url(f"{memory}/model.safetensors")
    url.write_bytes(path.read_bytes(), overwrite=True)
    return url, read_description(path)[1]


@pytest.fixture
def downloads(monkeypatch):
    """The URLs' paths that are downloaded, one after the other."""
    asked, download = [], Stored.download

    def counted(self, target, watch=None):
        asked.append(self.path)
        download(self, target, watch)

    monkeypatch.setattr(Stored, "download", counted)
    return asked


@pytest.fixture
def offline(monkeypatch):
    """Takes the network away."""

    def refuse(*_):
        raise OSError(errno.ETIMEDOUT, "the server does not answer")

    def take():
        for name in ("at", "info", "read", "download"):
            monkeypatch.setattr(Stored, name, refuse)

    return take


def contents(cache):
    return sorted(path.name for path in cache.iterdir() if path.suffix not in (".json", ".lock"))


def test_a_model_is_copied_once_and_named_by_its_fingerprint(model, cache, downloads):
    url, mark = model
    for _ in range(2):
        assert load_model(url.text).fingerprint == load_model(url).fingerprint == mark
    assert len(downloads) == 1
    assert cached_model(url) == cache / f"{mark}.safetensors"
    assert contents(cache) == [f"{mark}.safetensors"]
    (note,) = cache.glob("*.json")
    assert json.loads(note.read_text()) == {"url": url.text, "version": url.version(), "fingerprint": mark}


def test_another_version_at_the_url_is_taken(model, model_file, downloads):
    url, mark = model
    load_model(url)
    other = model_file(block=4)
    url.write_bytes(other.read_bytes(), overwrite=True)
    assert load_model(url).fingerprint == read_description(other)[1] != mark
    assert len(downloads) == 2


def test_a_model_of_a_server_that_tells_no_version_is_always_copied(model, downloads, monkeypatch):
    url, mark = model
    monkeypatch.setattr(Stored, "version", lambda _: None)
    for _ in range(2):
        assert load_model(url).fingerprint == mark
    assert len(downloads) == 2


def test_a_copy_with_the_fingerprint_is_used_without_network(model, offline):
    url, mark = model
    load_model(url)
    offline()
    for digits in (mark, mark[:8], mark[:8].upper(), mark[:20]):
        assert load_model(f"{url}#{digits}").fingerprint == mark
    with pytest.raises(ModelFileError) as caught:
        load_model(url)
    hope = f"Name it {url}#{mark[:8]} to use the copy in the cache."
    assert str(caught.value) == f"cannot read the model {url}: the server does not answer. {hope}"


def test_a_model_with_a_fingerprint_is_copied_if_there_is_no_copy(model, downloads):
    url, mark = model
    assert load_model(f"{url}#{mark[:8]}").fingerprint == mark
    assert len(downloads) == 1


def test_a_model_with_another_fingerprint_is_one_error_with_both(model, model_file, cache):
    url, mark = model
    wrong = "0" * 8
    for name in (f"{url}#{wrong}", f"{model_file(block=2)}#{wrong}"):
        with pytest.raises(ModelFileError, match=f"has the fingerprint {mark}, not {wrong} as required"):
            load_model(name)


def test_a_model_is_never_used_before_all_of_it_has_arrived(model, cache, monkeypatch):
    url, mark = model

    def half(self, target, watch=None):
        whole = self.read()
        target.write_bytes(whole[: len(whole) // 2])

    with monkeypatch.context() as broken:
        broken.setattr(Stored, "download", half)
        with pytest.raises(ModelFileError, match=rf"{url} is not a model \(.*\)"):
            load_model(url)
        assert contents(cache) == []

        def breaking(self, target, watch=None):
            half(self, target)
            raise OSError(errno.ECONNRESET, "the connection was interrupted")

        broken.setattr(Stored, "download", breaking)
        with pytest.raises(ModelFileError, match=rf"cannot read the model {url}: the connection was interrupted\."):
            load_model(url)
        assert contents(cache) == []
    assert load_model(url).fingerprint == mark


def test_a_model_that_is_changed_on_its_way_is_refused(model, cache, monkeypatch):
    url, _ = model

    def changed(self, target, watch=None):
        data = bytearray(self.read())
        data[-1] ^= 1
        target.write_bytes(data)

    monkeypatch.setattr(Stored, "download", changed)
    with pytest.raises(ModelFileError, match=f"the model {url} is damaged: its fingerprint does not match"):
        load_model(url)
    assert contents(cache) == []


def test_what_is_no_model_or_not_there_is_named_by_its_url(memory, cache):
    Url(f"{memory}/a.safetensors").write_bytes(b"nothing", overwrite=True)
    with pytest.raises(ModelFileError, match=r"memory://bucket/a\.safetensors is not a model"):
        load_model(f"{memory}/a.safetensors")
    with pytest.raises(ModelFileError, match=r"cannot read the model memory://bucket/b: No such file or directory\."):
        load_model(f"{memory}/b")
    assert contents(cache) == []


def test_a_note_that_cannot_be_read_is_written_anew(model, cache):
    url, mark = model
    load_model(url)
    (note,) = cache.glob("*.json")
    for text in ("", "[]", "{}", '{"url": 1, "odd": 2}'):
        note.write_text(text)
        assert load_model(url).fingerprint == mark
        assert json.loads(note.read_text())["fingerprint"] == mark


def test_progress_is_told(model):
    url, _ = model
    size, told = url.stat().st_size, []
    model_path(url, watch=lambda *numbers: told.append(numbers))
    assert told[-1] == (size, size)


def test_a_cache_that_cannot_be_written_is_an_error_that_names_the_variable(model, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("OMEGA_CACHE", str(tmp_path / "file"))
    with pytest.raises(
        OutputError, match=r"cannot write to the cache .*: Not a directory; .* OMEGA_CACHE names another"
    ):
        load_model(model[0])


def test_a_missing_library_is_named(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "filelock", None)
    with pytest.raises(MissingExtraError, match="models of URLs need filelock, which is not installed"):
        load_model(model[0])


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    assert cache_folder() == tmp_path / "cache"
    for unset in ("", None):
        if unset is None:
            monkeypatch.delenv("OMEGA_CACHE")
        else:
            monkeypatch.setenv("OMEGA_CACHE", unset)
        assert cache_folder() == tmp_path / "shared" / "omega"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path.home() / ".cache" / "omega"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "omega"


SEVERAL = """
import sys, time
from pathlib import Path
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import register_implementation
from omega_core.codec.model_cache import cached_model
from omega_core.locations import Url
from omega_core.stores import Stored

class Slow(LocalFileSystem):
    protocol = "slow"

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("slow://"))

    def get_file(self, source, target, callback=None, **_):
        data = Path(source).read_bytes()
        with open(target, "wb", buffering=0) as file, open(source + ".log", "a") as log:
            log.write("once")
            for start in range(0, len(data), 1000):
                file.write(data[start:start + 1000])
                time.sleep(0.01)

register_implementation("slow", Slow)
print(cached_model(Url("slow://" + sys.argv[1])))
"""


def test_several_processes_make_one_copy(model_file, cache):
    path = model_file(block=4)
    command = [sys.executable, "-c", SEVERAL, str(path)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = {process.communicate(timeout=60)[0].strip() for process in started}
    assert said == {str(cache / f"{read_description(path)[1]}.safetensors")}
    assert (cache / next(iter(said))).read_bytes() == path.read_bytes()
    assert Path(f"{path}.log").read_text() == "once"
    assert contents(cache) == [Path(next(iter(said))).name]
