"""Files of a rate are those that the whole file is truncated to, though symbols after their end are not coded."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from omega_core import Model, load_model
from omega_core.codec.encoding import Encoded
from omega_core.codec.file_codec import CodedSymbols, FileCodec
from omega_core.coders.range import RangeCoder
from omega_core.coding.tables import Symbols, Tables
from omega_core.contracts import implements
from omega_core.contracts.coder import Coder

RATES: list[dict[str, Any]] = [
    *({"max_bytes": budget} for budget in (60, 61, 400, 1500)),
    {"bpp": 0.1},
    *({"channels": count} for count in (1, 20, 200)),
    {"fraction": 0.25},
]


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("compact")


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    random = np.random.default_rng(5)
    octaves = [random.normal(128, 90, (4 << k, 6 << k)).clip(0, 255).astype(np.uint8) for k in range(5)]
    noise = np.mean([np.asarray(Image.fromarray(each).resize((384, 256), 3)) for each in octaves], axis=0)
    return Image.fromarray(noise.astype(np.uint8)).convert("RGB")


@pytest.fixture(scope="module")
def encoded(model: Model, picture: Image.Image) -> Encoded:
    return model.encode(picture, counts=[1, 20, 200, round(0.25 * model.channels)])


@pytest.fixture
def coded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of symbols that are coded."""
    sizes, original = [], FileCodec.coded

    def counted(self: FileCodec, *args: Any) -> CodedSymbols:
        found = original(self, *args)
        sizes.append(found.tables.size)
        return found

    monkeypatch.setattr(FileCodec, "coded", counted)
    return sizes


def truncated(model: Model, encoded: Encoded, rate: dict[str, Any]) -> bytes:
    """The file of a rate, of the whole file."""
    if "channels" in rate or "fraction" in rate:
        return encoded.file(rate.get("channels", round(rate.get("fraction", 0) * model.channels)))
    return encoded.whole.truncated(_stream_bytes(encoded, rate)).to_bytes()


def _stream_bytes(encoded: Encoded, rate: dict[str, Any]) -> int:
    budget = rate.get("max_bytes", int(rate.get("bpp", 0) * encoded.whole.pixels / 8))
    lengths = range(encoded.whole.stream_bytes + 1)
    return max(length for length in lengths if encoded.whole.truncated_size(length) <= budget)


@pytest.mark.parametrize("rate", RATES, ids=str)
def test_symbols_that_a_file_lacks_are_not_coded(
    model: Model, picture: Image.Image, encoded: Encoded, coded: list[int], rate: dict[str, Any]
) -> None:
    assert model.compress(picture, **rate) == truncated(model, encoded, rate)
    [size] = coded
    assert size < encoded.coded.tables.size / 2


@pytest.mark.parametrize("coder", ["range", "fixed"])
def test_gray_pictures_with_alpha_are_cut_like_others(model: Model, picture: Image.Image, coder: str) -> None:
    gray = picture.convert("LA")
    gray.putalpha(Image.linear_gradient("L").resize(gray.size))
    encoded = model.encode(gray, coder=coder, counts=[20])
    assert model.compress(gray, channels=20, coder=coder) == encoded.file(20)
    rate = {"max_bytes": encoded.whole.truncated_size(1) + 300}
    assert model.compress(gray, coder=coder, **rate) == truncated(model, encoded, rate)


def test_a_coder_of_other_streams_does_not_inherit_how_they_start() -> None:
    class Other(RangeCoder):
        def encode(self, symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[bytes, list[int]]:
            data, lengths = super().encode(symbols, tables, ends)
            return bytes(255 - byte for byte in data), lengths

    class Same(RangeCoder):
        """As the one it is made of."""

    assert [implements(coder(), Coder, "encode_start") for coder in (RangeCoder, Same, Other)] == [True, True, False]


@pytest.mark.parametrize("rate", [{"channels": 20}, {"max_bytes": 400}, {}], ids=str)
def test_a_coder_without_starts_makes_the_same_files(
    model: Model, picture: Image.Image, coded: list[int], monkeypatch: pytest.MonkeyPatch, rate: dict[str, Any]
) -> None:
    data = model.compress(picture, **rate)
    monkeypatch.delattr(RangeCoder, "encode_start")
    assert model.compress(picture, **rate) == data
    assert coded[-1] == max(coded)


@pytest.mark.parametrize("rate", [{"channels": 20}, {"max_bytes": 400}], ids=str)
def test_all_symbols_are_coded_where_the_first_do_not_settle_the_bytes(
    model: Model, picture: Image.Image, coded: list[int], monkeypatch: pytest.MonkeyPatch, rate: dict[str, Any]
) -> None:
    data = model.compress(picture, **rate)
    monkeypatch.setattr(RangeCoder, "encode_start", lambda *_: (b"\0" * 9, []))
    assert model.compress(picture, **rate) == data
    assert len(coded) == 3
    assert coded[0] == coded[1] < coded[2]


@pytest.mark.parametrize("rate", [{"max_bytes": 1 << 40}, {"channels": 1282}, {"fraction": 1.0}, {}], ids=str)
def test_a_rate_above_that_of_the_whole_file_gives_it(
    model: Model, picture: Image.Image, encoded: Encoded, rate: dict[str, Any]
) -> None:
    assert model.compress(picture, **rate) == encoded.whole.to_bytes()
