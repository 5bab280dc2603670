"""Exported toy models against torch's, and what cannot be exported."""

import shutil

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import omega_core
from omega_core.architectures.compact import CompactArchitecture
from omega_core.codec.loading import load_model
from omega_core.codec.model_file import Choice, read_model, write_model
from omega_core.codec.onnx import session_codec
from omega_core.codec.onnx.session_codec import session_of
from omega_core.contracts import Architecture, LocalArchitecture
from omega_core.contracts.quantizer import Quantizer
from omega_core.errors import (
    DeviceError,
    ImageError,
    ModelFileError,
    NotEnoughMemoryError,
    OmegaError,
    TargetExistsError,
)

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


class Smooth(LocalArchitecture):
    """Pixels of blocks, smoothed over neighbors on both sides, padded with a color; it is told the fineness."""

    stride, analysis_halo, refine_halo, render_halo, fineness_aware = 2, 1, 1, 1, True

    def __init__(self, *, latent_channels, colors=3):
        super().__init__()
        self.latent_channels, self.colors = latent_channels, colors
        self.peak = torch.nn.Parameter(torch.tensor(255.0))

    def smooth(self, x):
        kernel = torch.tensor([[0.0, 0.1, 0.0], [0.1, 0.6, 0.1], [0.0, 0.1, 0.0]], dtype=x.dtype).sin()  # no ties
        return F.conv2d(x, kernel.expand(x.shape[1], 1, 3, 3), padding=1, groups=x.shape[1])

    def pad(self, image, margins):
        top, bottom, left, right = margins
        return F.pad(image - 0.25, (left, right, top, bottom)) + 0.25

    def analysis(self, image):
        return self.smooth(F.pixel_unshuffle(self.padded(image), self.stride)) * self.peak

    def refine(self, latent, fineness=None):
        told = latent.new_ones(len(latent)) if fineness is None else fineness
        return self.smooth(latent) / self.peak + 0.1 * told[:, None, None, None]

    def render(self, features):
        return F.pixel_shuffle(self.smooth(features), self.stride)


class OfBlocks(CompactArchitecture):
    """The transform of `compact`, with latents from 0 to 255."""

    def analysis(self, image):
        return 128 + 16 * super().analysis(image)

    def refine(self, latent, fineness=None):
        return super().refine((latent - 128) / 16, fineness)


class OneSize(Architecture):
    """The pixels of 6×8 gray pictures, in blocks."""

    colors, image_size = 1, (6, 8)

    def __init__(self, *, latent_channels):
        super().__init__()
        self.latent_channels = latent_channels
        self.peak = torch.nn.Parameter(torch.tensor(255.0))

    def latent_size(self, height, width):
        if (height, width) != self.image_size:
            raise ImageError("6×8 only")
        return 3, 4

    def analysis(self, image):
        return F.pixel_unshuffle(image, 2) * self.peak

    def synthesis(self, latent, height, width):
        return F.pixel_shuffle(latent, 2) / self.peak


class ManySizes(OneSize):
    image_size = None


class Uncentered(Smooth):
    def margins(self, height, width):
        return super().margins(height, width)


class Reflected(Smooth):
    def pad(self, image, margins):
        top, bottom, left, right = margins
        return F.pad(image, (left, right, top, bottom), mode="circular")


class Undecided(Smooth):
    def render(self, features):
        return super().render(features if features.sum() > 0 else -features)


class Deceiving(Smooth):
    def render(self, features):
        image = super().render(features)
        return image + 0.02 if torch.compiler.is_compiling() else image


class ManySymbols(Quantizer):
    def __init__(self, *, latent_channels, channels, alphabet):
        super().__init__()
        self.channels, self.alphabet = channels, 1 << 32

    def forward(self, latent, prior=None, kept=None):
        raise NotImplementedError

    def symbols(self, latent):
        return latent.long()

    def latent(self, symbols):
        return symbols.float()


@pytest.fixture
def written(model_file, add_toy):
    """Writes a model with an architecture or quantizer of this file."""

    def write(target, *, colors=3, **changed):
        kind = "quantizer" if issubclass(target, Quantizer) else "architecture"
        values = {"latent_channels": 4 * colors, "channels": 4 * colors, **changed}
        if kind == "quantizer":
            values["architecture"] = Choice(name=add_toy("architecture", Smooth))
        return model_file(colors=colors, **values, **{kind: Choice(name=add_toy(kind, target))})

    return write


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """Exports each model once, as that takes seconds."""
    done = {}

    def export(name, path):
        if name not in done:
            done[name] = omega_core.export_onnx(path, tmp_path_factory.mktemp("exports") / name)
        return done[name]

    return export


@pytest.fixture
def smooth(written, exports):
    """The model Smooth by torch, and as it is exported."""
    path = written(Smooth)
    return load_model(path), load_model(exports("smooth", path).folder)


def photo(*shape):
    """Smooth colors with some noise."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    waves = 128 + 100 * np.sin(rows / 9 + columns / 14)
    noise = np.random.default_rng(0).integers(-9, 10, shape)
    return np.clip((waves if len(shape) == 2 else waves[:, :, None]) + noise, 0, 255).astype(np.uint8)


def assert_alike(one, other):
    """Pixels of two pictures differ by one level at most, their alpha not at all."""
    assert (one.mode, one.size, one.profile) == (other.mode, other.size, other.profile)
    assert np.abs(one.pixels.astype(int) - other.pixels).max() <= 1
    assert (one.alpha is None and other.alpha is None) or np.array_equal(one.alpha, other.alpha)


@pytest.mark.parametrize("shape", [(24, 30, 3), (1, 1, 3), (7, 9, 3), (11, 4), (9, 10, 2), (5, 6, 4)])
def test_any_picture_has_the_same_symbols_and_pixels(smooth, shape):
    torchs, own = smooth
    data = torchs.compress(photo(*shape))
    assert own.compress(photo(*shape)) == data
    for channels in (1, 5, 12):
        shorter = torchs.compress(photo(*shape), channels=channels)
        symbols = [model.decode(shorter)[0] for model in smooth]
        assert np.array_equal(*symbols)
        assert_alike(*(model.decompress_picture(shorter) for model in smooth))


@pytest.mark.parametrize("nets", ["none", "synthesis"])
def test_transforms_of_blocks_are_exported(nets, add_toy, model_file, exports):
    widths = {"synthesis_width": 8, "detail_width": 4, "synthesis_depth": 1, "detail_depth": 1}
    options = {"block": 8, "lapped": False, "origin": 1.0, "nets": nets, **widths}  # as in the model for screenshots
    compact = Choice(name=add_toy("architecture", OfBlocks), options=options)
    torch.manual_seed(0)
    state = OfBlocks(latent_channels=12, **options).state_dict()
    path = model_file(colors=3, architecture=compact)
    model = read_model(path)
    weights = {f"architecture.{name}": array.numpy() for name, array in state.items()}
    write_model(
        path, model.description, {name: array for name, array in model.arrays.items() if "prior" in name} | weights
    )
    torchs, own = load_model(path), load_model(exports(nets, path).folder)
    for shape in ((40, 27, 3), (9, 70)):
        data = torchs.compress(photo(*shape))
        assert own.compress(photo(*shape)) == data
        assert_alike(*(model.decompress_picture(data) for model in (torchs, own)))


def test_large_pictures_are_coded_in_tiles(smooth):
    for model in smooth:
        model.tile_size = 256
    torchs, own = smooth
    for shape in ((300, 20, 3), (257, 513)):
        data = torchs.compress(photo(*shape))
        assert own.compress(photo(*shape)) == data
        assert own.decode(data)[1].header.tile == 256
        assert_alike(*(model.decompress_picture(data) for model in smooth))


def test_a_truncated_or_broken_file_has_the_same_pixels(smooth):
    data = smooth[0].compress(photo(13, 18, 3))
    for length in (100, 301, 700):
        shorter = omega_core.truncate(data, max_bytes=length)
        assert_alike(*(model.decompress_picture(shorter) for model in smooth))
        assert_alike(*(model.decompress_picture(data[:length], partial=True) for model in smooth))


def test_a_file_that_arrives_has_the_same_pictures(smooth):
    data = smooth[0].compress(photo(16, 18, 3))
    several = [list(omega_core.decode_progressively(data, model)) for model in smooth]
    assert len(several[0]) > 3
    for one, other in zip(*several, strict=True):
        assert one.info == other.info
        assert np.abs(np.asarray(one, int) - np.asarray(other)).max() <= 1
    decoder = omega_core.ProgressiveDecoder(smooth[1])
    assert [decoder.feed(data[at : at + 200]) is not None for at in range(0, len(data), 200)][-1]
    assert decoder.complete


def test_pictures_of_one_file_and_of_several_are_decoded_together(smooth):
    torchs, own = smooth
    pictures = [torchs.read(photo(*size, 3)) for size in ((8, 6), (5, 5), (8, 6))]
    data = torchs.encode_together(pictures).to_bytes()
    assert own.encode_together(pictures).to_bytes() == data
    for one, other in zip(*(model.decompress_all(data) for model in smooth), strict=True):
        assert np.abs(np.asarray(one, int) - np.asarray(other)).max() <= 1
    files = [torchs.compress(picture) for picture in pictures]
    for pair in zip(*(model.decompress_each(files) for model in smooth), strict=True):
        assert_alike(*pair)


def test_a_rate_is_kept_as_with_torch(smooth):
    for rate in ({"bpp": 4.0}, {"max_bytes": 500}, {"psnr": 17.0}, {"fraction": 0.5}):
        assert smooth[1].compress(photo(20, 20, 3), **rate) == smooth[0].compress(photo(20, 20, 3), **rate)


def test_it_says_what_it_is(smooth):
    assert repr(smooth[0]) == repr(smooth[1])
    assert smooth[1].fingerprint == smooth[0].fingerprint


def test_its_memory_is_bounded_as_that_of_torch(smooth):
    for tile in (None, 256):
        bounds = [model.memory.needed([(1000, 1000)], tile) for model in smooth]
        assert 0.5 * bounds[0] < bounds[1] < 3 * bounds[0]
    smooth[1].max_memory = 1 << 20
    with pytest.raises(omega_core.OmegaError, match="may take"):
        smooth[1].compress(photo(64, 64, 3))


def test_a_model_of_one_size_is_exported(written, exports):
    path = written(OneSize, colors=1)
    models = load_model(path), load_model(exports("one-size", path).folder)
    data = [model.compress(photo(6, 8)) for model in models]
    assert data[0] == data[1]
    assert_alike(*(model.decompress_picture(data[0]) for model in models))
    files = [models[0].compress(photo(6, 8) ^ number) for number in (0, 1, 2)]
    for pair in zip(*(model.decompress_each(files) for model in models), strict=True):
        assert_alike(*pair)
    with pytest.raises(ImageError, match="takes pictures of 8×6 pixels, not 6×8"):
        models[1].compress(photo(8, 6))
    with pytest.raises(ModelFileError, match="cannot work in tiles"):
        models[1].codec.pixels_of(np.zeros((1, 4, 3, 4), np.int64), 6, 8, tile=256)


def test_the_difference_from_torch_is_told(written, exports):
    made = exports("smooth", written(Smooth))
    assert made.most <= 1
    assert made.mean < 0.01
    assert made.symbols < 0.001
    assert made.sizes == {path.name: path.stat().st_size for path in made.folder.iterdir()}


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        (ManySizes, "the architecture ManySizes cannot be exported: it takes pictures of several sizes"),
        (Uncentered, "Uncentered cannot be exported: it has a method margins of its own"),
        (Reflected, "Reflected cannot be exported: it pads neither with a color nor by repeating edges"),
        (ManySymbols, "a quantizer with 4294967296 different symbols cannot be exported"),
        (Undecided, "the dequantization and synthesis of this model cannot be exported: Could not guard"),
        (Deceiving, "differs from torch's by up to [56] levels"),
    ],
)
def test_what_cannot_be_exported_is_refused(written, tmp_path, target, complaint):
    colors = 1 if issubclass(target, OneSize) else 3
    with pytest.raises(ModelFileError, match=complaint):
        omega_core.export_onnx(written(target, colors=colors), tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


def test_tables_that_the_format_does_not_have_are_refused(written, toys, one_at_a_time, tmp_path, monkeypatch):
    thaw = toys.TablePrior.thaw.__func__
    monkeypatch.setattr(toys.TablePrior, "thaw", classmethod(lambda cls, arrays: one_at_a_time(thaw(cls, arrays))))
    with pytest.raises(ModelFileError, match=r"OneAtATime cannot be exported: FORMAT\.md does not specify this prior"):
        omega_core.export_onnx(written(Smooth), tmp_path / "exported")


def test_a_folder_with_something_in_it_stays(written, tmp_path):
    (tmp_path / "note").write_text("mine")
    with pytest.raises(TargetExistsError):
        omega_core.export_onnx(written(Smooth), tmp_path)
    assert [path.name for path in tmp_path.glob("*[!s]")] == ["note"]


def test_a_model_that_is_not_there_makes_no_folder_and_a_folder_is_no_url(tmp_path):
    with pytest.raises(ModelFileError):
        omega_core.export_onnx("nonsuch", tmp_path / "a" / "b")
    with pytest.raises(OmegaError, match="only a path on this machine"):
        omega_core.export_onnx("nonsuch", "memory://a/b")
    assert not any(tmp_path.iterdir())


# exported folders that are not whole


@pytest.fixture
def folder(written, exports, tmp_path):
    """A copy of an exported model."""
    made = exports("smooth", written(Smooth)).folder
    return shutil.copytree(made, tmp_path / "copy")


def test_a_file_that_is_missing_is_named_when_it_is_needed(folder):
    (folder / "analysis.onnx").unlink()
    model = load_model(folder)
    with pytest.raises(ModelFileError, match=r"analysis\.onnx cannot be read \(No such file"):
        model.compress(photo(8, 8, 3))


def test_a_file_of_another_model_is_refused(folder, written, exports):
    shutil.copy(exports("one-size", written(OneSize, colors=1)).folder / "synthesis.onnx", folder)
    model = load_model(folder)
    data = model.compress(photo(8, 8, 3))
    with pytest.raises(ModelFileError, match=r"synthesis\.onnx is damaged or of another model"):
        model.decompress(data)


def test_what_onnxruntime_cannot_read_is_an_error_of_ours():
    with pytest.raises(ModelFileError, match="onnxruntime cannot use the model"):
        session_of(b"no graph")


def test_what_onnxruntime_cannot_compute_is_an_error_of_ours(smooth, monkeypatch):
    codec = smooth[1].codec
    with pytest.raises(ModelFileError, match=r"onnxruntime cannot use the model: .*[Ii]nvalid dimensions"):
        codec.pixels_of(np.zeros((1, 11, 3, 4), np.int64), 6, 8)

    class Full:
        def run(self, *_):
            raise RuntimeError("Failed to allocate memory for requested buffer of size 7")

    monkeypatch.setitem(vars(codec), "_synthesis", Full())
    with pytest.raises(NotEnoughMemoryError, match="not enough memory to transform the picture"):
        codec.pixels_of(np.zeros((1, 12, 3, 4), np.int64), 6, 8)


def test_as_many_threads_compute_as_the_environment_or_a_container_says(folder, monkeypatch):
    content = (folder / "synthesis.onnx").read_bytes()
    monkeypatch.setattr(session_codec, "thread_limit", lambda: 2)
    for said, threads in (("1", 1), ("3", 3), ("2,1", 2), ("", 2)):
        monkeypatch.setenv("OMP_NUM_THREADS", said)
        assert session_of(content).get_session_options().intra_op_num_threads == threads


def test_options_that_only_torch_has_are_refused(folder):
    with pytest.raises(DeviceError, match="runs only on the CPU, not on cuda"):
        load_model(folder, device="cuda")
    with pytest.raises(ModelFileError, match="leave out the precision"):
        load_model(folder, precision="float64")
    assert load_model(folder, device="auto").channels == 12
