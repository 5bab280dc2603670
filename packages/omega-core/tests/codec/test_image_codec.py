"""The codec as a module: steps of training, symbols in batches, and what a module of torch can do."""

import io
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from omega_core.architectures.mnist import MnistArchitecture
from omega_core.architectures.openimages import OpenImagesArchitecture
from omega_core.codec import image_codec
from omega_core.codec.image_codec import ImageCodec
from omega_core.contracts import Architecture, Prior, Quantized, Quantizer
from omega_core.errors import ComponentError, ImageError
from omega_core.testing.reference import ReferencePrior


class Told(Architecture):
    """Blocks of 2×2 pixels; an image is brightened by the fineness that the synthesis is told."""

    colors, fineness_aware = 1, True

    def __init__(self):
        super().__init__()
        self.latent_channels, self.gain = 4, nn.Parameter(torch.tensor(7.0))

    def latent_size(self, height, width):
        return height // 2, width // 2

    def analysis(self, image):
        return F.pixel_unshuffle(image, 2) * self.gain

    def synthesis(self, latent, height, width, fineness=None):
        return F.pixel_shuffle(latent, 2) / self.gain + fineness[:, None, None, None]


class Straight(Quantizer):
    """Rounds from 0 to 7 with a straight-through gradient."""

    channels, alphabet = 4, 8

    def forward(self, latent, prior=None, kept=None):
        symbols = self.symbols(latent)
        hard = latent + (symbols - latent).detach()
        bits = torch.zeros(len(latent)) if prior is None else self.rate(hard.clamp(0, 7), prior, kept)
        return Quantized(hard * self.mask(kept, latent), bits, symbols, penalty=latent.new_ones(len(latent)))

    def relaxed(self, latent, prior, kept, fineness):
        return Quantized(latent * fineness[:, None, None, None], latent.new_zeros(len(latent)), None)

    def symbols(self, latent):
        return latent.round().long().clamp(0, 7)

    def latent(self, symbols):
        return F.pad(symbols.clamp_min(0).float(), (0, 0, 0, 0, 0, 4 - symbols.shape[1]))


class Rising(Prior):
    """Symbol s of channel c takes (c + 1)·s bits."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4, 1, 1))

    def code_lengths(self, height, width):
        return self.scale * torch.arange(1, 5)[:, None, None] * torch.arange(8.0)

    def freeze(self):
        raise NotImplementedError


@pytest.fixture
def codec():
    return ImageCodec(Told(), Straight(), Rising())


@pytest.fixture
def image():
    return torch.rand(6, 1, 8, 10, generator=torch.Generator().manual_seed(1))


KEPT = torch.tensor([4, 1, 3, 1, 2, 4])


def missing_after(symbols, kept):
    """Symbols (B, C, h, w) of which all after the first channels of each sample are missing."""
    here = torch.arange(symbols.shape[1]) < kept[:, None]
    return torch.where(here[:, :, None, None], symbols, -1)


def test_a_step_gives_reconstruction_latent_bits_and_symbols(codec, image):
    output = codec(image, KEPT)
    symbols = (7 * F.pixel_unshuffle(image, 2)).round()
    mask = (torch.arange(4) < KEPT[:, None])[:, :, None, None]
    assert torch.equal(output.symbols, symbols.long())
    torch.testing.assert_close(output.latent, symbols * mask)
    wanted = F.pixel_shuffle(symbols * mask, 2) / 7 + (KEPT / 4)[:, None, None, None]
    torch.testing.assert_close(output.reconstruction, wanted)
    torch.testing.assert_close(output.bits, (symbols * mask * torch.arange(1, 5)[:, None, None]).sum((1, 2, 3)))
    assert torch.equal(output.fineness, KEPT / 4)
    assert torch.equal(output.penalty, torch.ones(6))


@pytest.mark.parametrize(
    "wrong",
    [torch.rand(3, 3, 6, 4), torch.rand(1, 6, 4), torch.zeros(3, 1, 6, 4, dtype=torch.uint8)],
    ids=["colors", "no batch", "integers"],
)
def test_a_step_on_what_is_no_batch_of_images_is_refused(codec, wrong):
    kept, fineness = torch.full((len(wrong),), 4), torch.ones(len(wrong))
    for step in (codec, lambda image: codec.relaxed(image, kept, fineness), codec.with_frozen_symbols):
        with pytest.raises(ValueError, match=r"this codec takes \(B, 1, H, W\) of floating-point values"):
            step(wrong)


@pytest.mark.parametrize("kept", [5, torch.tensor(5), torch.ones(6), torch.ones(5, dtype=torch.int64)])
def test_kept_channels_are_one_integer_for_each_image(codec, image, kept):
    for step in (codec, codec.with_frozen_symbols):
        with pytest.raises(ValueError, match="a tensor of one integer for each of 6 images"):
            step(image, kept)


@pytest.mark.parametrize("shape", [(1, 3, 6, 4), (1, 2, 6, 4), (1, 6, 4)])
def test_images_of_other_colors_are_not_encoded(codec, shape):
    with pytest.raises(ValueError, match=r"this codec takes \(B, 1, H, W\)"):
        codec.encode_symbols(torch.rand(shape))


def test_images_of_another_size_than_the_only_one_are_not_encoded():
    codec = ImageCodec(MnistArchitecture(latent_channels=4), Straight())
    assert codec(torch.zeros(2, 1, 28, 28)).reconstruction.shape == (2, 1, 28, 28)
    with pytest.raises(ImageError, match="28×28"):
        codec(torch.zeros(2, 1, 32, 32))


def test_all_channels_are_kept_where_no_number_is_given(codec, image):
    whole = codec(image, torch.full((6,), 4))
    assert torch.equal(codec(image).reconstruction, whole.reconstruction)
    assert torch.equal(codec.with_frozen_symbols(image).bits, whole.bits)


def test_frozen_symbols_give_what_files_give_and_leave_the_analysis_alone(codec, image):
    output = codec.with_frozen_symbols(image, KEPT)
    for i, n in enumerate(KEPT.tolist()):
        symbols = codec.encode_symbols(image[i : i + 1])
        assert torch.equal(output.symbols[i : i + 1], symbols)
        decoded = codec.decode_symbols(symbols[:, :n], 8, 10)
        torch.testing.assert_close(output.reconstruction[i : i + 1].detach(), decoded)
    torch.testing.assert_close(output.bits, codec(image, KEPT).bits.detach())
    gain = codec.architecture.gain
    (gradient,) = torch.autograd.grad(output.reconstruction.sum(), gain)
    with torch.no_grad():
        by_synthesis = -(output.latent / gain**2).sum()
    torch.testing.assert_close(gradient, by_synthesis)


def test_a_relaxed_step_is_told_its_fineness(codec, image):
    fineness = torch.linspace(0, 1, 6)
    output = codec.relaxed(image, KEPT, fineness)
    scale = fineness[:, None, None, None]
    torch.testing.assert_close(output.reconstruction, image * scale + scale)
    assert output.symbols is None
    known = codec.relaxed(image, KEPT, fineness, latent=codec.analyze(image))
    assert torch.equal(known.reconstruction, output.reconstruction)


def test_a_codec_without_a_prior_has_no_bits(image):
    codec = ImageCodec(Told(), Straight())
    assert not codec(image, KEPT).bits.any()
    assert not codec.with_frozen_symbols(image, KEPT).bits.any()


def test_a_batch_decodes_as_each_image_with_its_own_channels(codec, image):
    symbols = missing_after(codec.encode_symbols(image), KEPT)
    together = codec.decode_symbols(symbols, 8, 10)
    alone = [codec.decode_symbols(symbols[i : i + 1, :n], 8, 10) for i, n in enumerate(KEPT.tolist())]
    assert torch.equal(together, torch.cat(alone))
    assert torch.equal(codec.decode_pixels(symbols, 8, 10), (together.clamp(0, 1) * 255).round().byte())


def test_fineness_follows_from_the_symbols_that_are_known(codec, image):
    symbols = codec.encode_symbols(image)
    channels = symbols.shape[1]
    assert codec.fineness(symbols).tolist() == [1.0] * len(image)
    symbols[0, -1, 0] = -1
    missing = symbols[0, -1, 0].numel() / symbols[0, 0].numel()
    assert codec.fineness(symbols)[0] == pytest.approx(1 - missing / channels)


def test_images_of_8_bits_give_the_symbols_of_floats(codec):
    pixels = torch.randint(0, 256, (3, 1, 6, 4), dtype=torch.uint8)
    assert torch.equal(codec.encode_symbols(pixels), codec.encode_symbols(pixels / 255))


def test_a_batch_in_tiles_is_the_batch_at_once():
    torch.manual_seed(2)
    codec = ImageCodec(OpenImagesArchitecture(latent_channels=4, width=4).double(), Straight()).eval()
    image = torch.rand(2, 3, 97, 113, dtype=torch.double)
    whole = codec.encode_symbols(image)
    assert torch.equal(codec.encode_symbols(image, tile=48), whole)
    partly = missing_after(whole, torch.tensor([2, 4]))
    for decode in (codec.decode_symbols, codec.decode_pixels):
        at_once = decode(partly, 97, 113)
        torch.testing.assert_close(decode(partly, 97, 113, tile=48), at_once, rtol=0, atol=1e-9)


def test_its_state_can_be_loaded_copied_and_saved(codec, image):
    with torch.no_grad():
        codec.architecture.gain.fill_(5.0)
        codec.prior.scale.fill_(2.0)
    assert set(codec.state_dict()) == {"architecture.gain", "prior.scale"}
    other, stream = ImageCodec(Told(), Straight(), Rising()), io.BytesIO()
    torch.save(codec.state_dict(), stream)
    stream.seek(0)
    other.load_state_dict(torch.load(stream, weights_only=True))
    for same in (other, deepcopy(codec)):
        assert torch.equal(same(image, KEPT).reconstruction, codec(image, KEPT).reconstruction)
        assert torch.equal(same(image, KEPT).bits, codec(image, KEPT).bits)
    copied = deepcopy(codec)
    copied.architecture.gain.data.fill_(1.0)
    assert codec.architecture.gain == 5.0


def test_it_is_where_its_parameters_are(codec):
    assert codec.device.type == "cpu"
    assert codec.to("meta").device.type == "meta"
    assert ImageCodec(OpenImagesArchitecture(latent_channels=4, width=4).to("meta"), Straight()).device.type == "meta"


def test_a_prior_that_does_not_fit_the_quantizer_is_refused():
    for wrong in ({"needs_likelihood": True}, {"alphabet": 1 << 13}):
        quantizer = Straight()
        for name, value in wrong.items():
            setattr(quantizer, name, value)
        with pytest.raises(ComponentError):
            ImageCodec(Told(), quantizer, Rising())
    for channels, alphabet in ((3, 8), (5, 8), (4, 7), (4, 16)):
        with pytest.raises(ComponentError, match=f"the prior is for {channels} channels of {alphabet} symbols"):
            ImageCodec(Told(), Straight(), ReferencePrior(channels=channels, alphabet=alphabet))


def test_images_of_another_type_than_the_weights_are_refused_without_autocast(codec, image):
    for dtype in (torch.float64, torch.bfloat16):
        with pytest.raises(ValueError, match="this codec computes in torch"):
            codec(image.to(dtype))
    with torch.autocast("cpu", torch.bfloat16):
        codec(image.bfloat16())
    assert codec.double()(image.double()).reconstruction.dtype == torch.float64


def test_a_codec_in_16_bits_is_trained(image):
    class Precise(Straight):
        """Quantizes in float32, whatever the type of the latent."""

        def forward(self, latent, prior=None, kept=None):
            return super().forward(latent.float(), prior, kept)

    output = ImageCodec(Told(), Precise(), Rising()).bfloat16()(image.bfloat16())
    assert output.reconstruction.dtype == output.latent.dtype == torch.bfloat16
    output.reconstruction.float().square().sum().backward()


class Turned(Straight):
    def forward(self, latent, prior=None, kept=None):
        made = super().forward(latent, prior, kept)
        return replace(made, latent=made.latent.mT.contiguous())


class OneBit(Straight):
    def forward(self, latent, prior=None, kept=None):
        made = super().forward(latent, prior, kept)
        return replace(made, bits=made.bits.sum())


class Real(Straight):
    def forward(self, latent, prior=None, kept=None):
        made = super().forward(latent, prior, kept)
        return replace(made, symbols=made.symbols.float())


class Pair(Straight):
    def forward(self, latent, prior=None, kept=None):
        made = super().forward(latent, prior, kept)
        return made.latent, made.bits


@pytest.mark.parametrize(
    ("quantizer", "said"),
    [
        (Turned, "Turned made a latent"),
        (OneBit, r"bits \(\) of a latent"),
        (Real, "Real made symbols .*float32"),
        (Pair, "Pair returned tuple"),
    ],
)
def test_a_quantizer_that_makes_something_else_is_named(image, quantizer, said):
    with pytest.raises(ComponentError, match=said):
        ImageCodec(Told(), quantizer(), Rising())(image)


def test_a_batch_without_images_gives_none(codec, image):
    for step in (codec, codec.with_frozen_symbols, ImageCodec(Told(), Straight()).with_frozen_symbols):
        output = step(image[:0])
        assert len(output.reconstruction) == len(output.symbols) == 0
        assert output.bits.shape == (0,)


def test_a_prior_without_a_density_of_latents_cannot_be_relaxed(codec):
    with pytest.raises(ComponentError, match="a prior with a density of latents"):
        codec.relax()


@pytest.mark.parametrize("side", [0, -5, 1.5, True])
def test_tiles_have_whole_sides(side):
    codec = ImageCodec(OpenImagesArchitecture(latent_channels=4, width=4), Straight())
    with pytest.raises(ValueError, match="the side of a tile"):
        codec.encode_symbols(torch.rand(1, 3, 64, 64), tile=side)


def test_more_symbols_than_a_table_has_are_refused(monkeypatch):
    monkeypatch.setattr(Straight, "alphabet", 4097)
    with pytest.raises(ComponentError, match="4097 symbols are more than the 4096 of a table"):
        ImageCodec(Told(), Straight(), Rising())


@pytest.mark.parametrize(("dtype", "enabled"), [(torch.float32, True), (torch.float64, False), (torch.float16, False)])
def test_only_a_codec_in_32_bits_computes_in_fewer_for_files(codec, monkeypatch, dtype, enabled):
    monkeypatch.setattr(image_codec, "is_quick", lambda *_: True)
    codec.architecture.quick_precision = torch.bfloat16
    with codec.to(dtype).inference_autocast():
        assert torch.is_autocast_enabled("cpu") == enabled


def test_compiled_transforms_are_for_the_training_of_one_codec(codec, image, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda _: lambda *_: pytest.fail("this is compiled"))
    codec.compile_parts()
    wanted = deepcopy(codec).train()(image)
    assert torch.equal(codec.eval()(image).reconstruction, wanted.reconstruction)
    with pytest.raises(pytest.fail.Exception, match="compiled"):
        codec.train()(image)
