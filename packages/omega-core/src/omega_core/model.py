"""A trained model: pictures to `.omega` files and back."""

import warnings
from dataclasses import dataclass
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image

from omega_core.codec import Codec
from omega_core.container import Container, divide, group_size, pack, shorten, shorten_between, unpack
from omega_core.contracts.architecture import Architecture
from omega_core.contracts.coder import Coder
from omega_core.contracts.prior import FrozenPrior
from omega_core.contracts.quantizer import Quantizer
from omega_core.errors import CoderError, ModelFileError, OmegaWarning, RateError, WrongModelError
from omega_core.images import MAX_PIXELS, Picture, Pixels, psnr, read_picture, to_pillow
from omega_core.modelfile import Description, read_model
from omega_core.rates import Rate, largest_within
from omega_core.registry import build, registry, resolve
from omega_core.tables import Integers, NoPrior


@dataclass(frozen=True)
class Encoded:
    """A picture that is encoded once, in all its channels, and can be taken in any number of them.

    symbols: (C, h, w).
    """

    symbols: Integers
    container: Container

    @property
    def cuts(self) -> list[int]:
        """The channel counts at which its file can be shortened."""
        return list(self.container.cuts)

    def file(self, channels: int) -> bytes:
        """The `.omega` file of the first `channels`, one of `cuts`. Raises RateError for another number."""
        if channels not in self.cuts:
            raise RateError(f"there is no cut at {channels} channels, only at {self.cuts}.")
        return pack(shorten(self.container, channels))


class Model:
    """A transform, a quantizer and a frozen prior that were trained together.

    Made by `load_model`. Used without gradients.
    """

    def __init__(self, codec: Codec, description: Description, fingerprint: str) -> None:
        self.codec = codec
        self.description = description
        self.fingerprint = fingerprint

    @property
    def channels(self) -> int:
        """C, how many channels a whole file has."""
        return self.description.channels

    def encode(self, picture: Picture, *, coder: str | None = None) -> Encoded:
        """Encode a picture in all channels.

        Raises ImageError if it is no picture, or none for this model; CoderError for an unfit coder.
        """
        return self._encode(read_picture(picture), None, coder)

    def _encode(self, pixels: Pixels, last: int | None, coder: str | None) -> Encoded:
        """Encode in all channels or, where there is no cut after `last`, in so many."""
        symbols = self.codec.symbols(pixels)
        name = self._coder_name(coder)
        group = group_size(self.channels) if self.description.adaptive else self.channels
        cuts = [*range(group, self.channels, group), self.channels]
        last = last or self.channels
        ends = sorted({*cuts, last})
        stream, lengths = self.codec.encode(symbols, _coder(name), ends)
        length = dict(zip(ends, lengths, strict=True))
        sizes, stream = divide(stream, [length[cut] for cut in cuts])
        container = Container(
            fingerprint=bytes.fromhex(self.fingerprint)[:4],
            coder=name,
            mode="L" if len(pixels) == 1 else "RGB",
            height=pixels.shape[1],
            width=pixels.shape[2],
            channels=self.channels,
            group=group,
            sizes=sizes,
            stream=stream,
        )
        if last not in cuts:
            container = shorten_between(container, last, length[last])
        return Encoded(symbols, container)

    def compress(
        self,
        picture: Picture,
        *,
        channels: int | None = None,
        fraction: float | None = None,
        bpp: float | None = None,
        max_bytes: int | None = None,
        psnr: float | None = None,
        coder: str | None = None,
    ) -> bytes:
        """A picture as the bytes of an `.omega` file.

        picture: a path, a Pillow image, or an array (H, W) or (H, W, 3) of uint8.
        channels, fraction, bpp, max_bytes, psnr: one of them, or none for all channels: see `Rate`.
        coder: one other than the model's own.

        Raises ImageError for the picture, CoderError for the coder, RateError for what cannot be met.
        """
        rate = Rate(channels=channels, fraction=fraction, bpp=bpp, max_bytes=max_bytes, psnr=psnr)
        return pack(self.fit(picture, rate, coder=coder))

    def fit(self, picture: Picture, rate: Rate, *, coder: str | None = None) -> Container:
        """A picture encoded at a rate: once, whatever the rate. Raises as `compress` does.

        Warns (OmegaWarning) if no number of channels reaches a PSNR; the file then has all of them.
        """
        self.check_rate(rate)
        exact = rate.whole_channels(self.channels)
        pixels = read_picture(picture)
        encoded = self._encode(pixels, exact, coder)
        budget = rate.budget(*pixels.shape[1:])
        if budget is not None:
            exact = largest_within(encoded.container, budget)
        elif rate.psnr is not None:
            exact, reached = self._reaching(encoded, pixels, rate.psnr)
            if reached < rate.psnr:
                name = "the picture" if isinstance(picture, (Image.Image, np.ndarray)) else str(picture)
                message = f"{name}: {rate.psnr} dB are not reached, all {exact} channels give {reached:.2f} dB."
                warnings.warn(message, OmegaWarning, stacklevel=2)
        return shorten(encoded.container, exact or self.channels)

    def _reaching(self, encoded: Encoded, pixels: Pixels, wanted: float) -> tuple[int, float]:
        """The smallest cut that reaches a PSNR, or the last one, and what it reaches: decoded one after the other."""
        channels, reached = 0, 0.0
        for channels in encoded.cuts:
            reached = psnr(pixels, self.codec.pixels(encoded.symbols[:channels], *pixels.shape[1:]))
            if reached >= wanted:
                break
        return channels, reached

    def check_rate(self, rate: Rate) -> None:
        """Raise RateError for a rate that this model does not do; warn of one that it was not trained for."""
        exact = rate.whole_channels(self.channels)
        if not self.description.adaptive and exact != self.channels:
            raise RateError(
                f"this model has one rate, {self.channels} channels; only a model trained for a range of channels"
                " can be asked for another."
            )
        if exact is not None and not 1 <= exact <= self.channels:
            raise RateError(f"{exact} channels: this model codes with 1 to {self.channels}.")
        if exact is not None and self.description.adaptive and exact <= self.description.channels_min:
            least = self.description.channels_min + 1
            warnings.warn(f"{exact} channels: this model was trained for {least} and more.", OmegaWarning, stacklevel=3)

    def check_coder(self, coder: str | None) -> None:
        """Raise ComponentError for a coder that is not installed, or cannot be imported."""
        _coder(self._coder_name(coder))

    def decompress(self, data: bytes, *, partial: bool = False) -> Image.Image:
        """The picture in an `.omega` file.

        partial: take what is intact of a file that breaks off.

        Raises FileFormatError for damaged bytes, WrongModelError for another model's file.
        """
        symbols, container = self.decode(data, partial=partial)
        return to_pillow(self.codec.pixels(symbols, container.height, container.width))

    def decode(self, data: bytes, *, partial: bool = False) -> tuple[Integers, Container]:
        """The symbols (n, h, w) in an `.omega` file, and its parts. Raises as `decompress` does."""
        container = unpack(data, partial=partial)
        if container.fingerprint != bytes.fromhex(self.fingerprint)[:4]:
            raise WrongModelError(
                f"this file was made with the model {container.fingerprint.hex()}, not {self.fingerprint[:8]}."
                " Give the model that it was made with."
            )
        if container.height * container.width > MAX_PIXELS:
            raise CoderError(f"the file says {container.width}×{container.height} pixels, more than {MAX_PIXELS}.")
        size = self.codec.architecture.latent_size(container.height, container.width)
        coder = _coder(container.coder)
        return self.codec.decode(container.stream, coder, container.channels, size), container

    def reconstruct(self, picture: Picture, *, channels: int | None = None) -> Image.Image:
        """What `decompress` makes of `compress`, without a file between."""
        rate = Rate(channels=channels)
        self.check_rate(rate)
        pixels = read_picture(picture)
        symbols = self.codec.symbols(pixels)[: rate.whole_channels(self.channels)]
        return to_pillow(self.codec.pixels(symbols, *pixels.shape[1:]))

    def estimated_bits(self, symbols: Integers) -> float:
        """−Σ log2 p of symbols (n, h, w) under the frozen tables."""
        return self.codec.tables(symbols).bits(symbols)

    def _coder_name(self, name: str | None) -> str:
        return registry().find("coder", name or self.description.coder).qualified_name


@cache
def _coder(name: str) -> Coder:
    return cast(Coder, resolve("coder", name)())


def load_model(name_or_path: str | PathLike[str]) -> Model:
    """A model from a `.safetensors` file that `omega train` wrote.

    Raises ModelFileError if it is none, is damaged or does not fit the installed components, and
    ComponentError if one of its components is not installed.
    """
    path = Path(name_or_path)
    file = read_model(path)
    description = file.description
    architecture = build(
        "architecture",
        description.architecture.name,
        description.architecture.options,
        latent_channels=description.latent_channels,
    )
    quantizer = build(
        "quantizer",
        description.quantizer.name,
        description.quantizer.options,
        latent_channels=description.latent_channels,
        channels=description.channels,
        alphabet=description.alphabet,
    )
    arrays = _by_part(file.arrays)
    try:
        for part, module in (("architecture", architecture), ("quantizer", quantizer)):
            state = {name: torch.from_numpy(array.copy()) for name, array in arrays.get(part, {}).items()}
            module.load_state_dict(state)
            module.requires_grad_(False).eval()
        architecture.to(architecture.precision)
        prior: FrozenPrior = NoPrior()
        if description.prior is not None:
            prior = resolve("prior", description.prior.name).thaw(arrays.get("prior", {}))
    except (RuntimeError, ValueError, KeyError, TypeError, IndexError) as problem:
        reason = str(problem).strip().splitlines()[0]
        raise ModelFileError(f"the model {path} does not fit its components: {reason}") from problem
    codec = Codec(cast(Architecture, architecture), cast(Quantizer, quantizer), prior)
    return Model(codec, description, file.fingerprint)


def _by_part(arrays: dict[str, np.ndarray[Any, Any]]) -> dict[str, dict[str, np.ndarray[Any, Any]]]:
    parts: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
    for name, array in arrays.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = array
    return parts


def decompress(data: bytes, model: Model | str | PathLike[str]) -> Image.Image:
    """The picture in an `.omega` file, with the model that it was made with. Raises OmegaError."""
    return (model if isinstance(model, Model) else load_model(model)).decompress(data)


__all__ = ["Encoded", "Model", "Pixels", "decompress", "load_model"]
