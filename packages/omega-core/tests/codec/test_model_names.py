from pathlib import Path

import pytest

from omega_core.codec.loading import load_model
from omega_core.codec.model_file import read_description
from omega_core.codec.model_names import model_path, split_fingerprint
from omega_core.errors import ModelFileError
from omega_core.locations import Url


@pytest.fixture
def path(model_file):
    return model_file(block=2)


@pytest.mark.parametrize(
    "name", ["compact", "a/b.safetensors", "https://host/m.safetensors?v=1", "hf://me/it@main/model.safetensors"]
)
def test_a_fingerprint_at_the_end_of_a_name_is_split_off(name):
    for digits in ("d56be9b8", "D56BE9B8", "0123456789" * 6 + "abcd"):
        assert split_fingerprint(f"{name}#{digits}") == (name, digits.lower())
    assert split_fingerprint(name) == (name, "")


@pytest.mark.parametrize("name", ["a#b/c.safetensors", "https://host/m.safetensors#top", "a#", "#12345678", "a#xyz"])
def test_what_is_no_fingerprint_stays_in_the_name(name):
    if name == "a#":
        with pytest.raises(ModelFileError):
            split_fingerprint(name)
    else:
        assert split_fingerprint(name) == (name, "")


@pytest.mark.parametrize("digits", ["", "1", "1234567", "1" * 65])
def test_too_few_or_too_many_digits_are_an_error(digits):
    with pytest.raises(ModelFileError, match=f"compact#{digits}: write 8 to 64 hexadecimal digits"):
        split_fingerprint(f"compact#{digits}")
    with pytest.raises(ModelFileError, match=r"https://me:\*\*\*@host/m"):
        split_fingerprint(f"https://me:secret@host/m#{digits}")


def test_a_path_that_exists_is_taken_as_it_is(path, tmp_path):
    strange = path.rename(tmp_path / "model#12345678")
    assert split_fingerprint(strange) == (strange, "")
    assert model_path(str(strange)) == strange
    assert load_model(strange).fingerprint


def test_a_path_with_its_fingerprint_is_that_path(path):
    mark = read_description(path)[1]
    assert model_path(f"{path}#{mark}") == path
    assert load_model(f"{path}#{mark[:8]}").fingerprint == mark
    assert model_path(path) == path


def test_names_of_nothing_are_errors(toys, tmp_path):
    with pytest.raises(ModelFileError, match=r"Or name a \.safetensors file"):
        model_path("nothing")
    with pytest.raises(ModelFileError, match=r"Or name a \.safetensors file"):
        model_path("nothing#12345678")
    missing = tmp_path / "none.safetensors"
    assert model_path(missing) == missing
    with pytest.raises(ModelFileError, match="there is no model"):
        model_path(f"{missing}#12345678")


def test_a_url_of_this_machine_is_a_path(path, monkeypatch):
    monkeypatch.setenv("OMEGA_CACHE", "/nowhere")
    assert model_path(path.as_uri()) == Path(path)


def test_the_header_of_a_model_in_a_store_is_read_alone(path, memory, monkeypatch):
    url = Url(f"{memory}/model.safetensors")
    url.write_bytes(path.read_bytes() + bytes(1_000_000), overwrite=True)
    asked = []
    read = type(url._stored).read

    def counted(self, start=0, end=None):
        asked.append((start, end))
        return read(self, start, end)

    monkeypatch.setattr(type(url._stored), "read", counted)
    assert read_description(url) == read_description(path)
    assert sum(end - start for start, end in asked) < 100_000
    for data in (b"", b"12345678", b"\xff" * 8, (3).to_bytes(8, "little") + b"[1]", (2).to_bytes(8, "little") + b"{}"):
        url.write_bytes(data, overwrite=True)
        with pytest.raises(ModelFileError, match="memory://bucket/model"):
            read_description(url)
    with pytest.raises(ModelFileError, match="cannot read the model memory://bucket/none: No such file or directory"):
        read_description(Url(f"{memory}/none"))
