import gzip
import hashlib
import http.server
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from omega_core.errors import ComponentError, DataError
from omega_train.data import mnist
from omega_train.data.glyphs import GlyphsDataset, glyphs
from omega_train.data.mnist import TRAINING, MnistDataset, read_idx

NOWHERE = "http://127.0.0.1:9/nothing"


def idx(count: int = 40) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 28, 28), np.uint8)
    return b"\0\0\x08\x03" + struct.pack(">3I", count, 28, 28) + pixels.tobytes()


@pytest.mark.parametrize("zipped", [False, True])
def test_mnist_reads_idx_files_gzipped_or_not(tmp_path: Path, zipped: bool) -> None:
    name, data = (f"{TRAINING}.gz", gzip.compress(idx())) if zipped else (TRAINING, idx())
    (tmp_path / name).write_bytes(data)
    dataset = MnistDataset(data=tmp_path, mirror=NOWHERE)
    assert (len(dataset.train), len(dataset.validation)) == (36, 4)
    assert dataset.train.load(0, 0).shape == (1, 28, 28)
    assert dataset.validation.load(3, 0).tobytes() == idx()[-784:]


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("kept", [0, 3, 10, 16, 500])
def test_an_idx_file_cut_short_is_named(tmp_path: Path, zipped: bool, kept: int) -> None:
    path = tmp_path / (f"{TRAINING}.gz" if zipped else TRAINING)
    path.write_bytes((gzip.compress(idx()) if zipped else idx())[:kept])
    with pytest.raises(DataError, match=TRAINING):
        read_idx(path)


def test_an_idx_file_of_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / TRAINING).write_bytes(b"\0\0\x08\x01" + struct.pack(">I", 5) + bytes(5))
    with pytest.raises(DataError, match="shape"):
        MnistDataset(data=tmp_path)


def test_a_missing_folder_and_a_failing_download_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        MnistDataset(data=tmp_path / "none")
    with pytest.raises(DataError, match=r"downloading .* failed .* Put train-images"):
        MnistDataset(data=tmp_path, mirror=NOWHERE)
    assert list(tmp_path.iterdir()) == []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(gzip.compress(idx()))

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def mirror() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_what_is_downloaded_is_checked_and_kept(tmp_path: Path, mirror: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="checksum"):
        MnistDataset(data=tmp_path, mirror=mirror)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setitem(mnist.SHA256, TRAINING, hashlib.sha256(idx()).hexdigest())
    MnistDataset(data=tmp_path, mirror=mirror)
    assert [path.name for path in tmp_path.iterdir()] == [f"{TRAINING}.gz"]
    assert len(MnistDataset(data=tmp_path, mirror=NOWHERE).train) == 36


def test_a_file_of_mnist_whose_checksum_is_not_known_is_not_downloaded(tmp_path: Path, mirror: str) -> None:
    with pytest.raises(DataError, match=r"there is no t10k-labels.* and only .* can be downloaded\. Put t10k-labels"):
        mnist.find(tmp_path, "t10k-labels-idx1-ubyte", mirror)
    (tmp_path / "t10k-labels-idx1-ubyte").touch()
    assert mnist.find(tmp_path, "t10k-labels-idx1-ubyte", mirror).exists()


def test_the_test_pictures_of_mnist_are_downloaded(
    tmp_path: Path, mirror: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="checksum"):
        mnist.find(tmp_path, mnist.TEST, mirror)
    monkeypatch.setitem(mnist.SHA256, mnist.TEST, hashlib.sha256(idx()).hexdigest())
    assert len(read_idx(mnist.find(tmp_path, mnist.TEST, mirror))) == 40


def test_without_a_folder_mnist_goes_to_the_users_cache(
    tmp_path: Path, mirror: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMEGA_CACHE", str(tmp_path / "omega"))
    monkeypatch.setitem(mnist.SHA256, TRAINING, hashlib.sha256(idx()).hexdigest())
    MnistDataset(mirror=mirror)
    assert (tmp_path / "omega" / "mnist" / f"{TRAINING}.gz").exists()


def test_glyphs_take_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="draws its own pictures: leave out --data"):
        GlyphsDataset(data=tmp_path)


def test_glyphs_are_white_digits_on_black_and_always_the_same() -> None:
    pictures = glyphs(50, seed=1)
    assert pictures.shape == (50, 1, 28, 28)
    assert np.array_equal(pictures, glyphs(50, seed=1))
    assert not np.array_equal(pictures, glyphs(50, seed=2))
    assert (pictures[:, :, 0, 0] == 0).mean() > 0.9
    assert pictures.max(axis=(1, 2, 3)).min() > 200
    assert 15 < pictures.mean() < 60


def test_glyphs_to_train_and_to_validate_with_are_different_ones() -> None:
    dataset = GlyphsDataset(training=30, validation=10)
    assert (len(dataset.train), len(dataset.validation)) == (30, 10)
    assert not np.array_equal(dataset.train.load(0, 0), dataset.validation.load(0, 0))
    with pytest.raises(ComponentError):
        GlyphsDataset(training=0)
