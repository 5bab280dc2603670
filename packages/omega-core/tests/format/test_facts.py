import json
from io import BytesIO

import pytest
from file_samples import ALIKE, ALL, HANDWRITTEN, SMALL, SMALL_FILE, changed

from omega_core.errors import DamagedFileError, FileFormatError, OmegaError
from omega_core.format.facts import describe
from omega_core.format.packs import Pack


def test_a_file_is_described_by_what_it_has():
    assert describe(SMALL) == {
        "kind": "file",
        "width": 28,
        "height": 28,
        "mode": "L",
        "model": "01020304",
        "coder": "omega-entropy/range",
        "complete": True,
        "bytes": 35,
        "stream_bytes": 20,
        "bpp": round(8 * 35 / 784, 4),
    }


def test_a_file_is_described_wherever_it_is(tmp_path):
    path = tmp_path / "a.omega"
    path.write_bytes(SMALL)
    for source in (path, str(path), bytearray(SMALL), memoryview(SMALL), BytesIO(SMALL)):
        assert describe(source) == describe(SMALL)
    with pytest.raises(OmegaError, match="needed, not NoneType"):
        describe(None)


def test_what_only_some_files_have_is_described_of_them_alone():
    found = describe(ALL)
    assert (found["pictures"], found["tiles"], found["alpha_bytes"], found["profile_bytes"]) == (2, 2048, 3, 130)
    assert (found["width"], found["height"], found["mode"]) == (2, 1, "RGBA")
    assert describe(ALIKE)["pictures"] == 64


def test_a_pack_is_described_by_what_all_its_blocks_have():
    blocks = ((changed(SMALL_FILE, mode="RGB"), ("a",)), (changed(SMALL_FILE, sizes=((2, 3),) * 2), ("b", "c/d")))
    data = Pack(blocks).to_bytes()
    assert describe(data) == {
        "kind": "pack",
        "pictures": 3,
        "blocks": 2,
        "mode": "L, RGB",
        "model": "01020304",
        "coder": "omega-entropy/range",
        "complete": True,
        "bytes": len(data),
        "stream_bytes": 40,
        "bpp": round(8 * len(data) / (784 + 12), 4),
        "names": ["a", "b", "c/d"],
    }


def test_a_truncated_file_or_pack_says_that_it_is_not_complete():
    assert (describe(ALL)["complete"], describe(SMALL)["complete"]) == (False, True)
    found = describe(SMALL_FILE.truncated(7).to_bytes())
    assert (found["complete"], found["stream_bytes"]) == (False, 7)
    pack = Pack(((SMALL_FILE, ("a",)), (SMALL_FILE.truncated(7), ("b",))))
    assert describe(pack.to_bytes())["complete"] is False


@HANDWRITTEN
def test_a_description_goes_through_json(data, file):
    assert json.loads(json.dumps(describe(data))) == describe(data)


@pytest.mark.parametrize(("data", "error"), [(b"hello", FileFormatError), (SMALL[:-1] + b"\0", DamagedFileError)])
def test_what_is_no_whole_file_is_not_described(data, error):
    with pytest.raises(error):
        describe(data)
