import json
import math
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from omega_core.codec.description import Choice, Description
from omega_core.codec.onnx.coding_file import TYPES, Blocks, CodingFile, Graph, OneSize
from omega_core.errors import ModelFileError

DESCRIPTION = Description(
    architecture=Choice(name="omega-toys/blocks", options={"block": 2}),
    quantizer=Choice(name="omega-toys/rounding"),
    prior=Choice(name="omega-toys/table"),
    coder="omega-toys/two-bytes",
    latent_channels=4,
    channels=4,
    alphabet=256,
    channels_min=0,
    text="Ω of toys",
)
BLOCKS = Blocks(stride=16, smallest=2, analysis_halo=2, synthesis_halo=18, padding=(123.675, 116.28, 103.53))
CONTENTS = CodingFile(
    fingerprint="0f" * 32,
    description=DESCRIPTION,
    colors=3,
    sizes=BLOCKS,
    transformed=1234.5,
    analysis=Graph.of("analysis.onnx", b"analysis"),
    synthesis=Graph.of("synthesis.onnx", b"synthesis"),
    prior={"cumulative": np.array([[0, 65536]], np.int32), "rows": np.zeros((4, 1), np.int8)},
)


def same(one, other):
    """Whether contents are equal, arrays with their types."""
    arrays = [
        {name: (array.dtype, array.shape, array.tobytes()) for name, array in each.prior.items()}
        for each in (one, other)
    ]
    return replace(one, prior={}) == replace(other, prior={}) and arrays[0] == arrays[1]


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.sampled_from(TYPES).flatmap(lambda name: arrays(name, array_shapes(min_dims=0, min_side=0, max_side=5))),
        max_size=5,
    )
)
def test_arrays_of_any_type_and_shape_come_back(prior):
    contents = replace(CONTENTS, prior=prior)
    assert same(CodingFile.parse(contents.to_bytes()), contents)


@pytest.mark.parametrize(
    "sizes",
    [BLOCKS, replace(BLOCKS, padding=None), OneSize(image=(28, 28), latent=(3, 3))],
    ids=lambda each: each.__class__.__name__,
)
def test_what_it_says_comes_back_but_for_what_is_not_needed(sizes):
    more = replace(DESCRIPTION, card="# not kept", recipe={"steps": 1}, versions={"torch": "2"})
    found = CodingFile.parse(replace(CONTENTS, sizes=sizes, description=more).to_bytes())
    assert found.sizes == sizes
    assert found.description == DESCRIPTION


def test_arrays_begin_where_the_document_says():
    """As ONNX.md has it, without the reader."""
    data = CONTENTS.to_bytes()
    magic, version, length = struct.unpack_from("<8sII", data)
    assert (magic, version, length % 8) == ("Ωcoding".encode(), 1, 0)
    header = json.loads(data[16 : 16 + length])
    for name, array in CONTENTS.prior.items():
        entry = header["prior"][name]
        assert entry["offset"] % 8 == 0
        start = 16 + length + entry["offset"]
        assert data[start : start + array.nbytes] == array.astype(array.dtype.newbyteorder("<")).tobytes()
    assert struct.unpack("<I", data[-4:])[0] == zlib.crc32(data[:-4])
    assert header["model"]["channels"] == 4
    assert header["synthesis"] == {"name": "synthesis.onnx", "length": 9, "crc32": zlib.crc32(b"synthesis")}


def test_every_byte_that_changes_or_lacks_is_noticed():
    data = CONTENTS.to_bytes()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 4
        with pytest.raises(ModelFileError, match=r"coding\.bin"):
            CodingFile.parse(bytes(changed))
        with pytest.raises(ModelFileError, match=r"coding\.bin"):
            CodingFile.parse(data[:place])


def forged(change):
    """A file whose header says something else, with the right checksum."""
    data = CONTENTS.to_bytes()
    length = struct.unpack_from("<I", data, 12)[0]
    header = json.loads(data[16 : 16 + length])
    change(header)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    body = data[:12] + struct.pack("<I", len(text)) + text + data[16 + length : -4]
    return body + struct.pack("<I", zlib.crc32(body))


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.clear(),
        lambda header: header.update(colors=2),
        lambda header: header.update(blocks=None),
        lambda header: header.update(one_size={"image": [28, 28], "latent": [3, 3]}),
        lambda header: header.update(blocks=None, one_size={"image": [28, 28], "latent": [3]}),
        lambda header: header.update(blocks=None, one_size={"image": [28, 28]}),
        lambda header: header["blocks"].update(stride=0),
        lambda header: header["blocks"].update(stride=1.5),
        lambda header: header["blocks"].update(analysis_halo=-1),
        lambda header: header["blocks"].update(padding=[0.5]),
        lambda header: header["blocks"].update(more=1),
        lambda header: header["model"].update(channels=-1),
        lambda header: header["synthesis"].update(name="../synthesis.onnx"),
        lambda header: header["synthesis"].update(name="/etc/passwd"),
        lambda header: header["prior"]["rows"].update(offset=1 << 40),
        lambda header: header["prior"]["rows"].update(offset=-8),
        lambda header: header["prior"]["rows"].update(shape=[1 << 20, 1 << 20]),
        lambda header: header["prior"]["rows"].update(shape=[-1]),
        lambda header: header["prior"]["rows"].update(type="float64"),
        lambda header: header["prior"]["rows"].update(type=None),
        lambda header: header["prior"].update(rows=7),
        lambda header: header.update(transformed="much"),
        lambda header: header.update(transformed=math.nan),
        lambda header: header.update(transformed=math.inf),
        lambda header: header.update(transformed=-1e30),
        lambda header: header.update(transformed=10**400),
        lambda header: header.update(fingerprint="xyz"),
        lambda header: header.update(fingerprint="0F" * 32),
        lambda header: header.update(fingerprint=5),
        lambda header: header.update(colors=3.0),
        lambda header: header["blocks"].update(padding=["a", "b", "c"]),
        lambda header: header["blocks"].update(padding=[0, math.nan, 0]),
        lambda header: header["blocks"].update(padding=[0, 10**400, 0]),
        lambda header: header["prior"]["rows"].update(offset=10**30),
        lambda header: header["prior"]["rows"].update(shape=[10**30]),
    ],
)
def test_a_header_that_cannot_be_is_refused(change):
    with pytest.raises(ModelFileError, match=r"coding\.bin cannot be read"):
        CodingFile.parse(forged(change))


def test_what_is_said_of_other_versions_and_files():
    newer = CONTENTS.to_bytes()[:8] + struct.pack("<I", 2) + CONTENTS.to_bytes()[12:]
    with pytest.raises(ModelFileError, match="has version 2; this Omega reads 1"):
        CodingFile.parse(newer)
    with pytest.raises(ModelFileError, match="not what `omega export-onnx` writes"):
        CodingFile.parse(b"something else that is long enough")


def test_an_onnx_file_of_another_export_is_refused():
    CONTENTS.synthesis.check(b"synthesis")
    for other in (b"synthesiz", b"", b"synthesis "):
        with pytest.raises(ModelFileError, match=r"synthesis\.onnx is damaged or of another model"):
            CONTENTS.synthesis.check(other)


def test_arrays_that_javascript_has_no_type_for_are_not_written():
    with pytest.raises(ValueError, match="an array of int64 cannot be stored"):
        replace(CONTENTS, prior={"rows": np.zeros(1, np.int64)}).to_bytes()
