"""MNIST (LeCun, Cortes, Burges): 28×28 gray pictures of handwritten digits, in IDX files."""

import gzip
import hashlib
import struct
import urllib.error
import urllib.request
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from omega_core.cache import cache_folder
from omega_core.contracts.dataset import Dataset
from omega_core.errors import DataError, OutputError
from omega_core.file_io import write_whole
from omega_train.data.arrays import ArrayImages

TRAINING = "train-images-idx3-ubyte"
TEST = "t10k-images-idx3-ubyte"
MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist"
SHA256 = {
    TRAINING: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    TEST: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
}
"""Checksums of the unpacked files."""
VALIDATION = 6000
_AGAIN = "Delete it to have it downloaded again."


class MnistDataset(Dataset):
    """The 60,000 training pictures: 54,000 for training, the last 6,000 (or a tenth if fewer) for validation.

    data: the folder of the IDX files, gzipped or not; missing files are downloaded into it. Default: a folder in the
        user's cache.
    seed: not used; the split is always the same.
    mirror: the URL to download from.
    """

    def __init__(self, *, data: Path | None = None, seed: int = 0, mirror: str = MIRROR) -> None:
        if data is not None and not data.is_dir():
            raise DataError(f"the data folder {data} does not exist; create it to have MNIST downloaded into it.")
        pixels = read_idx(find(data or cache_folder() / "mnist", TRAINING, mirror))
        if pixels.shape[1:] != (28, 28) or len(pixels) < 2:
            raise DataError(f"{TRAINING} has the shape {pixels.shape}, not (N, 28, 28).")
        held_out = min(VALIDATION, max(1, len(pixels) // 10))
        self.train = ArrayImages(pixels[:-held_out, None])
        self.validation = ArrayImages(pixels[-held_out:, None])


def find(folder: Path, name: str, mirror: str = MIRROR) -> Path:
    """The path of an IDX file in a folder, gzipped or not, which is downloaded if it is missing.

    folder: the folder. name: the name of the file without .gz. mirror: the URL to download from.

    Raises DataError if the download fails, or if the file is not one of `SHA256`.
    """
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    url = f"{mirror}/{name}.gz"
    advice = f"Put {name}.gz into {folder}, or name its folder with --data."
    if name not in SHA256:
        raise DataError(f"there is no {name} in {folder}, and only {', '.join(SHA256)} can be downloaded. {advice}")
    try:
        with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 (the recipe names it)
            data: bytes = response.read()
    except (OSError, ValueError) as problem:
        reason = problem.reason if isinstance(problem, urllib.error.URLError) else problem
        message = f"there is no {name} in {folder}, and downloading {url} failed ({reason}). {advice}"
        raise DataError(message) from problem
    if _checksum(data) != SHA256[name]:
        raise DataError(f"the file from {url} is not MNIST: its checksum does not match. {advice}")
    target = folder / f"{name}.gz"
    try:
        write_whole(target, data)
    except OutputError as problem:
        raise DataError(f"MNIST was downloaded, but {problem}") from problem
    return target


def _checksum(zipped: bytes) -> str:
    try:
        return hashlib.sha256(gzip.decompress(zipped)).hexdigest()
    except (OSError, EOFError, zlib.error):
        return "not gzipped"


def read_idx(path: Path) -> NDArray[np.uint8]:
    """An IDX file of unsigned bytes, gzipped or not. Raises DataError if it is damaged or cut short."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as problem:
        raise DataError(f"{path} is damaged or cut short ({problem}). {_AGAIN}") from problem
    if len(data) < 4 or data[:3] != b"\0\0\x08" or len(data) < 4 + 4 * data[3]:
        raise DataError(f"{path} is not an IDX file of bytes.")
    shape = struct.unpack(f">{data[3]}I", data[4 : 4 + 4 * data[3]])
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * data[3])
    expected = int(np.prod(shape, dtype=object))
    if values.size != expected:
        raise DataError(f"{path} is damaged or cut short: {values.size} of {expected} bytes. {_AGAIN}")
    return values.reshape(shape)
