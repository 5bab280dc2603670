import errno
import json
import os
import random
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from omega_core.codec.model_file import Choice, Description, fingerprint, read_description, read_model, write_model
from omega_core.errors import ModelFileError, OutputError

DESCRIPTION = Description(
    architecture=Choice(name="omega-core/mnist", options={"depth": 3}),
    quantizer=Choice(name="omega-quant/omega"),
    prior=Choice(name="omega-entropy/counts", options={"start": 0.5}),
    coder="omega-entropy/range",
    latent_channels=4,
    channels=2,
    alphabet=8,
    channels_min=1,
)
ARRAYS = {
    "architecture.weight": np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4),
    "architecture.peak": np.array([2.0], dtype=np.float32),
    "quantizer.nothing": np.zeros((0, 3), dtype=np.float32),
    "prior.cumulative": np.arange(0, 65537, 8192, dtype=np.int32)[None],
}


@pytest.fixture
def path(tmp_path):
    write_model(tmp_path / "model.safetensors", DESCRIPTION, ARRAYS)
    return tmp_path / "model.safetensors"


def test_a_model_comes_back_as_it_was_written(path):
    file = read_model(path)
    assert file.description == DESCRIPTION
    assert file.fingerprint == fingerprint(DESCRIPTION, ARRAYS)
    assert file.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert file.arrays[name].dtype == array.dtype
        assert file.arrays[name].tolist() == array.tolist()


def test_arrays_of_any_shape_and_order_keep_theirs(tmp_path):
    arrays = {
        "scalar": np.array(2.5, dtype=np.float32),
        "one": np.array([2.5], dtype=np.float32),
        "empty": np.zeros((0, 3), dtype=np.float32),
        "columns": np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
        "backwards": np.arange(6, dtype=np.int32)[::-1],
    }
    write_model(tmp_path / "a.safetensors", DESCRIPTION, arrays)
    read = read_model(tmp_path / "a.safetensors").arrays
    assert {name: array.shape for name, array in read.items()} == {name: array.shape for name, array in arrays.items()}
    assert all(read[name].tolist() == array.tolist() for name, array in arrays.items())


def test_the_fingerprint_tells_a_number_from_an_array_of_one():
    number = np.array(2.5, dtype=np.float32)
    assert fingerprint(DESCRIPTION, {"a": number}) != fingerprint(DESCRIPTION, {"a": number[None]})


def test_a_description_can_be_read_without_the_numbers(path):
    assert read_description(path) == (DESCRIPTION, fingerprint(DESCRIPTION, ARRAYS))


def test_writing_returns_the_fingerprint_and_leaves_one_file(tmp_path):
    mark = write_model(tmp_path / "a.safetensors", DESCRIPTION, ARRAYS)
    assert mark == read_model(tmp_path / "a.safetensors").fingerprint
    assert len(bytes.fromhex(mark)) == 32
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_the_same_contents_are_the_same_bytes(tmp_path):
    for number in range(8):
        write_model(tmp_path / f"{number}.safetensors", DESCRIPTION, ARRAYS)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_a_description_with_all_it_can_say_comes_back(tmp_path):
    full = replace(DESCRIPTION, prior=None, text="Ω, made in May", recipe={"a": [1, {"b": 0.1}]}, versions={"x": "1"})
    assert Description.from_json(json.dumps(asdict(full))) == full


@pytest.mark.parametrize(("fewest", "adaptive"), [(1, True), (2, False)])
def test_a_model_is_adaptive_if_it_was_trained_for_fewer_channels(fewest, adaptive):
    assert replace(DESCRIPTION, channels_min=fewest).adaptive is adaptive


def test_the_fingerprint_never_changes():
    """It is in every `.omega` file: a later version that computes another one cannot open them."""
    assert fingerprint(DESCRIPTION, ARRAYS) == "032620e2fb26c71c1294725e28296758243a067d465028b21dc31e3cb4189820"


@pytest.mark.parametrize(
    "changed",
    [
        {"architecture": Choice(name="omega-core/mnist", options={"depth": 4})},
        {"quantizer": Choice(name="omega-fancy/omega")},
        {"prior": None},
        {"latent_channels": 5},
        {"channels": 3},
        {"alphabet": 9},
        {"channels_min": 2},
    ],
)
def test_the_fingerprint_depends_on_what_decoding_depends_on(changed):
    assert fingerprint(replace(DESCRIPTION, **changed), ARRAYS) != fingerprint(DESCRIPTION, ARRAYS)


@pytest.mark.parametrize("changed", [{"coder": "a/b"}, {"text": "t"}, {"recipe": {"a": 1}}, {"versions": {"a": "1"}}])
def test_the_fingerprint_does_not_depend_on_anything_else(changed):
    assert fingerprint(replace(DESCRIPTION, **changed), ARRAYS) == fingerprint(DESCRIPTION, ARRAYS)


def test_the_fingerprint_depends_on_every_array_but_not_on_their_order():
    mark = fingerprint(DESCRIPTION, ARRAYS)
    weight = ARRAYS["architecture.weight"]
    assert fingerprint(DESCRIPTION, dict(reversed(ARRAYS.items()))) == mark
    assert fingerprint(DESCRIPTION, ARRAYS | {"architecture.weight": np.asfortranarray(weight)}) == mark
    others = (np.nextafter(weight, 2), weight.reshape(6, 4), weight.view(np.int32))
    marks = {fingerprint(DESCRIPTION, ARRAYS | {"architecture.weight": other}) for other in others}
    assert len({*marks, mark, fingerprint(DESCRIPTION, {"renamed": weight}), fingerprint(DESCRIPTION, {})}) == 6


def test_any_flipped_byte_is_noticed(path):
    data, chance = path.read_bytes(), random.Random(0)
    coder = data.index(DESCRIPTION.coder.encode())
    free = range(coder, coder + len(DESCRIPTION.coder))  # its user may choose another: outside the fingerprint
    header = int.from_bytes(data[:8], "little") + 8
    positions = [i for i in range(header) if i not in free]
    for position in [*range(12), *chance.sample(positions, 200), *range(header, len(data), 2)]:
        damaged = bytearray(data)
        damaged[position] ^= chance.choice([1, 2, 4, 8, 16, 32, 64, 128, 255])
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError):
            read_model(path)


def test_a_file_cut_off_anywhere_is_no_model(path):
    data = path.read_bytes()
    for length in [*range(20), *range(20, len(data), 23), len(data) - 1]:
        path.write_bytes(data[:length])
        for read in (read_model, read_description):
            with pytest.raises(ModelFileError):
                read(path)


READERS = pytest.mark.parametrize("read", [read_model, read_description])


@READERS
@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 100, 5000])
def test_random_bytes_are_no_model(tmp_path, read, length):
    path = tmp_path / "noise.safetensors"
    path.write_bytes(random.Random(length).randbytes(length))
    with pytest.raises(ModelFileError, match="is not a model"):
        read(path)


@READERS
def test_weights_of_something_else_are_no_model(tmp_path, read):
    for metadata in (None, {"format": "pt"}):
        save_file({"weight": np.zeros(3)}, tmp_path / "other.safetensors", metadata)
        with pytest.raises(ModelFileError, match="not an Omega model"):
            read(tmp_path / "other.safetensors")


@READERS
def test_a_model_of_a_later_format_says_so(tmp_path, read):
    save_file({"weight": np.zeros(3)}, tmp_path / "later.safetensors", {"format": "omega 2"})
    with pytest.raises(ModelFileError, match="format 'omega 2'; this Omega reads 'omega 1'"):
        read(tmp_path / "later.safetensors")


@READERS
@pytest.mark.parametrize("text", [None, "", "{", "[]", "3", "{}", '{"architecture": 3}', '{"architecture": {"x": 1}}'])
def test_a_description_that_makes_no_sense_is_refused(tmp_path, read, text):
    metadata = {"format": "omega 1", "fingerprint": "0" * 64} | ({} if text is None else {"omega": text})
    save_file({"weight": np.zeros(3)}, tmp_path / "odd.safetensors", metadata)
    with pytest.raises(ModelFileError, match="a description that cannot be read"):
        read(tmp_path / "odd.safetensors")


@READERS
@pytest.mark.parametrize("nested", ["[" * 50_000 + "]" * 50_000, '{"a":' * 50_000 + "1" + "}" * 50_000, "[" * 50_000])
@pytest.mark.parametrize("text", ["%s", '{"architecture": {"name": "a/b", "options": {"deep": %s}}}'])
def test_a_description_nested_deeper_than_can_be_read_is_refused(tmp_path, read, text, nested):
    metadata = {"format": "omega 1", "fingerprint": "0" * 64, "omega": text % nested}
    save_file({"weight": np.zeros(3)}, tmp_path / "deep.safetensors", metadata)
    with pytest.raises(ModelFileError, match="a description that cannot be read"):
        read(tmp_path / "deep.safetensors")


@pytest.mark.parametrize(
    "changed",
    [
        {"recipe": [1, 2]},
        {"versions": 5},
        {"recipe": json.loads('{"a":' * 900 + "1" + "}" * 900)},
        {"architecture": {"name": "omega-core/mnist", "options": {"a": json.loads("[" * 900 + "]" * 900)}}},
    ],
    ids=["recipe", "versions", "deep recipe", "deep options"],
)
def test_settings_are_tables_that_can_be_printed(changed):
    with pytest.raises(ValueError, match=r"have to be tables|levels at most"):
        Description.from_json(json.dumps(asdict(DESCRIPTION) | changed))


@READERS
def test_a_folder_and_a_missing_path_say_what_to_name(tmp_path, read):
    with pytest.raises(ModelFileError, match=r"is a folder; a model is a \.safetensors file in it"):
        read(tmp_path)
    with pytest.raises(ModelFileError, match="there is no model"):
        read(tmp_path / "missing.safetensors")


def test_a_model_that_cannot_be_written_is_an_output_error(path, monkeypatch):
    with pytest.raises(OutputError, match="cannot write"):
        write_model(path / "model.safetensors", DESCRIPTION, ARRAYS)

    before = path.read_bytes()

    def full(self, data):
        with self.open("wb") as file:
            file.write(data[:1])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_model(path, DESCRIPTION, ARRAYS)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@READERS
@pytest.mark.parametrize("key", ["architecture", "quantizer", "prior"])
def test_options_that_are_no_table_are_refused(tmp_path, read, key):
    parts = asdict(DESCRIPTION)
    parts[key]["options"] = 1
    metadata = {"format": "omega 1", "omega": json.dumps(parts), "fingerprint": "0" * 64}
    save_file(ARRAYS, tmp_path / "odd.safetensors", metadata)
    with pytest.raises(ModelFileError, match="options have to be a table"):
        read(tmp_path / "odd.safetensors")
