"""Files, pictures and profiles that several tests of models use."""

from dataclasses import replace

import numpy as np

from omega_core.format.file import OmegaFile


def forged(data, *, stream=None, **changed):
    """A file that says something else than the one it is made of, with the right checksum."""
    file = OmegaFile.parse(data)
    stream = file.stream if stream is None else stream
    return OmegaFile(replace(file.header, length=len(stream), **changed), stream).to_bytes()


def arrays_of(images):
    return [np.asarray(image).tolist() for image in images]


def gray_profile(mark=b""):
    """Bytes that say that they are an ICC profile for gray."""
    return bytes(16) + b"GRAY" + mark
