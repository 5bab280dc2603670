"""Nothing that belongs to the whole process is used or changed by reading: locks, limits of Pillow, warning filters."""

import os
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from image_samples import saved
from PIL import Image, ImageFile, PngImagePlugin

from omega_core.images.reading import read_picture


def state():
    """What belongs to the whole process."""
    return (
        Image.MAX_IMAGE_PIXELS,
        ImageFile.LOAD_TRUNCATED_IMAGES,
        PngImagePlugin.MAX_TEXT_CHUNK,
        warnings.filters,
        list(warnings.filters),
        warnings.showwarning,
    )


class Watched(ImageFile.ImageFile):
    """A format that tells what the state of the process is while its pixels are decoded."""

    format = "FAILING"

    def _open(self):
        self._mode, self._size = "L", (4, 4)
        self.info["transparency"] = 3

    def load(self):
        self.seen.append(state())
        self._im = Image.core.fill("L", (4, 4), 7)

    seen: list = []


def test_the_state_of_the_process_is_the_same_before_while_and_after_a_picture_is_read(failing_format, monkeypatch):
    path = failing_format("loaded", None)
    monkeypatch.setitem(Image.OPEN, "FAILING", (Watched, lambda start: start.startswith(b"FAILING")))
    before = state()
    for source in (path, path.read_bytes()):
        assert (read_picture(source, max_pixels=1 << 40).pixels == 7).all()
    assert Watched.seen
    assert all(seen == before and seen[3] is before[3] for seen in Watched.seen)
    assert state() == before


def test_two_threads_decode_at_the_same_time(failing_format, monkeypatch):
    path = failing_format("loaded", None)
    together = threading.Barrier(2, timeout=30)

    class Meeting(Watched):
        def load(self):
            together.wait()
            return super().load()

    monkeypatch.setitem(Image.OPEN, "FAILING", (Meeting, lambda start: start.startswith(b"FAILING")))
    threads = [threading.Thread(target=read_picture, args=(path,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not together.broken


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_forked_while_a_thread_decodes_can_read_pictures(failing_format, monkeypatch, file_of):
    path, other = failing_format("loaded", None), file_of(saved(Image.new("L", (2, 2)), "PNG"), "a.png")
    decoding, done = threading.Event(), threading.Event()

    class Slow(Watched):
        def load(self):
            decoding.set()
            done.wait(30)
            return super().load()

    monkeypatch.setitem(Image.OPEN, "FAILING", (Slow, lambda start: start.startswith(b"FAILING")))
    thread = threading.Thread(target=read_picture, args=(path,))
    thread.start()
    assert decoding.wait(30)
    child = os.fork()
    if child == 0:
        os._exit(0 if read_picture(other).size == (2, 2) else 1)
    try:
        deadline = time.monotonic() + 20
        while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
            time.sleep(0.01)
        if ended == (0, 0):
            os.kill(child, 9)
            os.waitpid(child, 0)
        assert ended == (child, 0)
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "JPEG2000", "AVIF"])
def test_the_callers_limit_counts_and_that_of_pillow_does_not(file_of, monkeypatch, form):
    data = saved(Image.new("RGB", (12, 8), (9, 9, 9)), form)
    # WebP and AVIF decode while they are opened: Pillow refuses more than twice its limit there
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 48 if form == "WEBP" else 3)
    for source in (file_of(data), data):
        assert read_picture(source, max_pixels=96).size == (8, 12)


@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_tiff_that_pillow_calls_a_bomb_keeps_its_pixels(file_of, monkeypatch, noise_picture, options, orientation):
    array = noise_picture(5, 7)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = file_of(saved(Image.fromarray(array), "TIFF", exif=exif, **options))
    expected = read_picture(path).pixels
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3)
    assert (read_picture(path, max_pixels=35).pixels == expected).all()


def test_no_module_of_images_has_a_lock():
    modules = [module for name, module in sys.modules.items() if name.startswith("omega_core.images")]
    locks = (type(threading.Lock()), type(threading.RLock()), threading.Condition)
    assert modules
    assert not [name for module in modules for name, value in vars(module).items() if isinstance(value, locks)]


def test_threads_read_the_pictures_they_are_given(file_of, noise_picture):
    arrays = [noise_picture(20 + number, 30, 3, seed=number) for number in range(8)]
    paths = [file_of(saved(Image.fromarray(array), "PNG"), f"{number}.png") for number, array in enumerate(arrays)]
    wrong = []

    def read(path, array):
        for _ in range(10):
            if (read_picture(path).pixels != np.moveaxis(array, 2, 0)).any():
                wrong.append(path)

    threads = [threading.Thread(target=read, args=each) for each in zip(paths, arrays, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
