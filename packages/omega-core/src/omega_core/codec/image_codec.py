"""`ImageCodec`: architecture, quantizer and prior as one `nn.Module` that codes batches of images on any device.

    forward         image ─analysis→ latent ─quantizer(prior, kept)→ latent, bits, symbols ─synthesis→ reconstruction
    encode_symbols  image ─analysis→ latent ─quantizer→ symbols
    decode_symbols  symbols, some of them missing ─quantizer→ latent ─synthesis→ image

For training (gradients, the caller's precision): forward, relaxed, with_frozen_symbols, analyze, synthesize.
For files (no gradients, fastest precision): encode_symbols, decode_symbols, decode_pixels on tensors; symbols_of,
pixels_of on NumPy arrays.
For the search of `--effort` (fastest precision): latent_for_files (no gradients), image_for_files (gradients).
The fastest precision is that of `inference_autocast`. Methods with an argument `tile` also work in tiles.

Shapes: B images of H×W pixels, D latent channels, C symbol channels of which the first n are kept, h×w positions.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import index
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from omega_core.codec.description import Choice, Description
from omega_core.codec.devices import is_quick
from omega_core.codec.memory import DecodingMemory
from omega_core.codec.memory_measurement import measured
from omega_core.codec.tiling import Grid, positions
from omega_core.coding.tables import MAX_ALPHABET, MISSING, Symbols, symbol_type
from omega_core.contracts import implements
from omega_core.contracts.architecture import Architecture, LocalArchitecture, Margins
from omega_core.contracts.prior import Prior
from omega_core.contracts.quantizer import Quantized, Quantizer
from omega_core.errors import ComponentError, ModelFileError
from omega_core.images.pictures import Pixels
from omega_core.plugins.registry import build, registry

_NO_PRIOR = ("", "none")  # names that mean "no prior"
_AT_ONCE = 1 << 22  # symbols that are counted at once, as torch converts them to 64 bits


@dataclass(frozen=True)
class CodecOutput:
    """The output of a codec for a batch of images.

    reconstruction: (B, colors, H, W), in the type of the images; values may lie slightly outside [0, 1].
    latent: (B, D, h, w), dequantized, the input of the synthesis.
    bits: (B,), the estimated bits of the kept channels of each image; 0 for a codec without a prior.
    symbols: (B, C, h, w), int64; undefined in channels that are not kept; None in a relaxed phase without symbols.
    fineness: (B,), the fineness of the latent, from 0 to 1, an input of the synthesis.
    penalty: (B,), a further term of the loss: see `Quantized`; None without one.
    """

    reconstruction: Tensor
    latent: Tensor
    bits: Tensor
    symbols: Tensor | None
    fineness: Tensor
    penalty: Tensor | None


class ImageCodec(nn.Module):
    """A learned image codec: an architecture, a quantizer and a prior.

    architecture: analysis and synthesis, with D latent channels.
    quantizer: maps latents of D channels to symbols of C channels and back.
    prior: gives the bits of symbols; None for symbols without probabilities, or if no bits are needed.

    Calling it is the forward pass of a training step in the joint phase; `relaxed` and `with_frozen_symbols` are those
    of the relaxed and the decoder phase. `encode_symbols` and `decode_symbols` code files, without gradients. Names in
    its `state_dict` begin with "architecture.", "quantizer." and "prior.".

    Raises ComponentError if the prior does not fit the quantizer, or has tables for another size of latents.
    """

    prior: Prior | None
    made_of: Description | None
    """The components that `from_names` or `load_codec` made it of; None for a codec of other instances, which cannot be
    saved."""

    def __init__(self, architecture: Architecture, quantizer: Quantizer, prior: Prior | None = None) -> None:
        super().__init__()
        self.architecture, self.quantizer, self.prior = architecture, quantizer, prior
        self.colors, self.image_size = architecture.colors, architecture.image_size
        self.takes_tiles = isinstance(architecture, LocalArchitecture)
        self.made_of = None
        self.check_fit()
        if prior is not None:
            prior.follow(quantizer.refinement())
        # with channels last, both transforms take half the time on a CPU, also in the backward pass
        architecture.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # gives `device` if there are no parameters
        self.register_buffer("_device_marker", torch.empty(0), persistent=False)
        self._compiled: dict[str, Callable[..., Tensor]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """The state for `copy` and `pickle`, without compiled transforms, which belong to this instance."""
        return {**self.__dict__, "_compiled": {}}

    @classmethod
    def from_names(
        cls,
        architecture: str,
        quantizer: str,
        prior: str,
        *,
        latent_channels: int,
        channels: int,
        alphabet: int,
        architecture_options: Mapping[str, Any] | None = None,
        quantizer_options: Mapping[str, Any] | None = None,
        prior_options: Mapping[str, Any] | None = None,
    ) -> "ImageCodec":
        """Make a codec of components by name, with new parameters.

        architecture, quantizer, prior: bare or qualified names. The prior is made only if the quantizer needs one;
            otherwise it may be "none".
        latent_channels, channels: D and C.
        alphabet: S, which the quantizer may replace by another.
        architecture_options, quantizer_options, prior_options: their options; `omega list KIND NAME` lists them.

        Raises ComponentError if a component is unknown, refuses its options or does not fit the others.
        """
        latent_channels, channels, alphabet = map(index, (latent_channels, channels, alphabet))  # to Python's integers
        sizes: dict[str, Any] = {"latent_channels": latent_channels, "channels": channels, "alphabet": alphabet}
        transforms: Architecture = _built(
            Architecture, architecture, architecture_options, ("colors", "image_size"), latent_channels=latent_channels
        )
        made: Quantizer = _built(Quantizer, quantizer, quantizer_options, ("channels", "alphabet"), **sizes)
        probabilities: Prior | None = None
        if prior in _NO_PRIOR and made.needs_prior:
            raise ComponentError(
                f"the quantizer {quantizer!r} needs a prior, such as static or context, not {prior!r}."
            )
        if prior not in _NO_PRIOR:
            registry().find("prior", prior)  # a misspelled name is an error even if the prior is not made
        if made.needs_prior:
            size = transforms.image_size
            probabilities = _built(
                Prior,
                prior,
                prior_options,
                channels=channels,
                alphabet=made.alphabet,
                lowest=made.lowest,
                latent_size=size and transforms.latent_size(*size),
            )
        codec = cls(transforms, made, probabilities)
        codec.made_of = Description(
            architecture=_choice("architecture", architecture, architecture_options),
            quantizer=_choice("quantizer", quantizer, quantizer_options),
            prior=_choice("prior", prior, prior_options) if made.needs_prior else None,
            coder="range",
            channels_min=0,
            **sizes,
        )
        return codec

    @property
    def channels(self) -> int:
        """C, the number of symbol channels."""
        return self.quantizer.channels

    @property
    def alphabet(self) -> int:
        """S, the number of different symbols."""
        return self.quantizer.alphabet

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        """See `PixelCodec`."""
        return self.architecture.latent_size(height, width)

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return next(self.parameters(), cast(Tensor, self._device_marker)).device

    @property
    def symbol_type(self) -> torch.dtype:
        """The type of symbols for files: int16 or, for large alphabets, int64."""
        return torch.int16 if symbol_type(self.quantizer.alphabet) is np.int16 else torch.int64

    def check_fit(self) -> None:
        """Raise ComponentError if the prior does not fit the quantizer."""
        quantizer, prior = self.quantizer, self.prior
        if prior is None:
            return
        if quantizer.alphabet > MAX_ALPHABET:
            raise ComponentError(f"{quantizer.alphabet} symbols are more than the {MAX_ALPHABET} of a table.")
        if quantizer.needs_likelihood and not implements(prior, Prior, "likelihood"):
            raise ComponentError(
                f"{type(quantizer).__name__} needs a prior with a likelihood of real values, such as factorized;"
                f" {type(prior).__name__} has none."
            )
        size = self.latent_size(*self.image_size) if self.image_size else (1, 1)
        try:
            with torch.no_grad():
                channels, _, alphabet = prior.code_lengths(*size).shape
        except ValueError as problem:
            raise ComponentError(f"the prior does not fit {size[0]}×{size[1]} positions: {problem}") from problem
        if (channels, alphabet) != (quantizer.channels, quantizer.alphabet):
            raise ComponentError(
                f"the prior is for {channels} channels of {alphabet} symbols, the quantizer has {quantizer.channels} of"
                f" {quantizer.alphabet}."
            )

    def relax(self) -> None:
        """Prepare for the relaxed phase, before the first step.

        Raises ComponentError if the quantizer excludes a relaxed phase, or the prior has no density for it.
        """
        relaxes = implements(self.quantizer, Quantizer, "relaxed")
        if relaxes and self.prior is not None and not implements(self.prior, Prior, "interval_bits"):
            raise ComponentError(
                f"a relaxed phase needs a prior with a density of latents, such as static; {type(self.prior).__name__}"
                " has none."
            )
        self.quantizer.relax()
        if self.prior is not None:
            self.prior.relax(self.architecture.latent_channels)

    def compile_parts(self) -> None:
        """Compile the transforms and parts of the quantizer with torch.compile, for training, at their first use."""
        self._compiled = {
            "analysis": torch.compile(self.architecture.analysis),
            "synthesis": torch.compile(self.architecture.synthesis_with_fineness),
        }
        self.quantizer.compile_parts()

    def analyze(self, image: Tensor) -> Tensor:
        """Transform an image (B, colors, H, W), floating-point in [0, 1], into its latent (B, D, h, w).

        Raises ValueError for another shape or type, ImageError for a size that the architecture refuses.
        """
        if image.ndim != 4 or image.shape[1] != self.colors or not image.is_floating_point():
            raise ValueError(
                f"an image of shape {tuple(image.shape)} and {image.dtype}; this codec takes (B, {self.colors}, H, W)"
                " of floating-point values from 0 to 1"
            )
        self.architecture.latent_size(image.shape[2], image.shape[3])
        weights = next(self.architecture.parameters(), image)
        if image.dtype != weights.dtype and not torch.is_autocast_enabled(image.device.type):
            raise ValueError(f"an image of {image.dtype}; this codec computes in {weights.dtype}, without autocast")
        compiled = self._compiled.get("analysis") if self.training else None
        return self.architecture.analysis(image) if compiled is None else compiled(image)

    def synthesize(self, latent: Tensor, height: int, width: int, fineness: Tensor) -> Tensor:
        """Transform a latent into an image (B, colors, height, width).

        latent: (B, D, h, w), dequantized.
        height, width: in pixels.
        fineness: (B,), from 0 to 1, for a synthesis that is aware of it.
        """
        compiled = self._compiled.get("synthesis") if self.training else None
        return (compiled or self.architecture.synthesis_with_fineness)(latent, height, width, fineness)

    def forward(self, image: Tensor, kept: Tensor | None = None) -> CodecOutput:
        """Code images, differentiably in training mode: a step of the joint phase of training.

        image: (B, colors, H, W), floating-point in [0, 1].
        kept: (B,), int64, the number of kept channels of each image, from 0 to C; all C if None.

        In a training loop, pass the symbols of the result to `Prior.observe`: priors that count symbols, such as
        `static`, do not learn in any other way.

        The quantizer runs without autocast. Raises ValueError for images or `kept` of another shape or type, ImageError
        for a size that the architecture refuses.
        """
        kept = self._kept(image, kept)
        latent = self.analyze(image).to(image.dtype)
        with torch.autocast(image.device.type, enabled=False):
            quantized = self._checked(self.quantizer(latent, self.prior, kept), latent)
        return self._output(image, quantized, self.quantizer.fineness(kept).to(image))

    def relaxed(self, image: Tensor, kept: Tensor, fineness: Tensor, *, latent: Tensor | None = None) -> CodecOutput:
        """Code images with `Quantizer.relaxed`: a step of the relaxed phase of training.

        image, kept: as for `forward`.
        fineness: (B,), from 0 for the coarsest quantization to 1 for the finest.
        latent: (B, D, h, w), the result of `analyze`, if it is known already.
        """
        latent = (self.analyze(image) if latent is None else latent).to(image.dtype)
        return self._output(image, self.quantizer.relaxed(latent, self.prior, kept, fineness), fineness)

    def with_frozen_symbols(self, image: Tensor, kept: Tensor | None = None) -> CodecOutput:
        """Code images with the symbols of files, as constants: a step of the decoder phase of training.

        image, kept: as for `forward`.

        Gradients reach the synthesis, the parameters with which the quantizer decodes and, through the bits, a prior
        that learns from symbols, but not the analysis. Symbols are computed without autocast. Those that come first in
        files are kept.
        """
        kept = self._kept(image, kept)
        with torch.autocast(image.device.type, enabled=False):
            with torch.no_grad():
                symbols = self.quantizer.symbols(self.analyze(image).to(image.dtype))
            bits_of_each, indices = self.coding_order(symbols)
            known = indices < (kept * symbols.shape[2:].numel())[:, None, None, None]
            bits = (bits_of_each * known).sum(dim=(1, 2, 3)).to(image.dtype)
            latent = self.quantizer.latent(torch.where(known, symbols, MISSING)).to(image.dtype)
        return self._output(image, Quantized(latent, bits, symbols), self.quantizer.fineness(kept).to(image))

    def _checked(self, quantized: Quantized, latent: Tensor) -> Quantized:
        """Return the result of a forward pass of the quantizer. Raises ComponentError if it violates the contract."""
        name = type(self.quantizer).__name__
        if not isinstance(quantized, Quantized):
            raise ComponentError(f"{name} returned {type(quantized).__name__}, not Quantized.")
        symbols, batch = quantized.symbols, len(latent)
        if not batch:  # for an empty batch, pixel_unshuffle of torch returns another shape
            return quantized
        if quantized.latent.shape != latent.shape or quantized.bits.shape != (batch,):
            given = f"a latent {tuple(quantized.latent.shape)} and bits {tuple(quantized.bits.shape)}"
            raise ComponentError(f"{name} made {given} of a latent {tuple(latent.shape)}.")
        wanted = (batch, self.channels, *latent.shape[2:])
        if symbols is not None and (symbols.shape != wanted or symbols.is_floating_point()):
            given = f"{tuple(symbols.shape)}, {symbols.dtype}"
            raise ComponentError(f"{name} made symbols {given}, not integers {wanted}.")
        return quantized

    def _output(self, image: Tensor, quantized: Quantized, fineness: Tensor) -> CodecOutput:
        latent = quantized.latent.to(image.dtype)
        restored = self.synthesize(latent, image.shape[2], image.shape[3], fineness).to(image.dtype)
        return CodecOutput(restored, latent, quantized.bits, quantized.symbols, fineness, quantized.penalty)

    def _kept(self, batch: Tensor, kept: Tensor | None) -> Tensor:
        """The numbers of kept channels (B,) of a batch. Raises ValueError if `kept` is something else."""
        if kept is None:
            return torch.full((len(batch),), self.quantizer.channels, device=batch.device)
        if not isinstance(kept, Tensor) or kept.shape != batch.shape[:1] or kept.is_floating_point():
            given = f"{tuple(kept.shape)} {kept.dtype}" if isinstance(kept, Tensor) else repr(kept)
            raise ValueError(f"kept is {given}; it is a tensor of one integer for each of {len(batch)} images")
        return kept

    def channel_bits(self, symbols: Tensor) -> Tensor:
        """Return the bits (B, C) of each channel of symbols (B, C, h, w) under the current prior; 0 without a prior."""
        if self.prior is None:
            return torch.zeros(symbols.shape[:2], device=symbols.device)
        return self.prior.channel_bits(symbols)

    def coding_order(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """Return the bits (B, C, h, w) of symbols, and the index of each in the order of coding, from 0.

        symbols: (B, C, h, w). See `Prior.coding_order`. Without a prior, bits are 0, and channels follow each other.
        """
        if self.prior is not None:
            return self.prior.coding_order(symbols)
        one = symbols.shape[1:]
        indices = torch.arange(one.numel(), device=symbols.device).view(one).expand(symbols.shape)
        return torch.zeros(symbols.shape, device=symbols.device), indices

    def fineness(self, symbols: Tensor) -> Tensor:
        """Return the fineness (B,) of symbols (B, n, h, w), which depends on how many of them are not missing."""
        known = torch.zeros(len(symbols), dtype=torch.int64, device=symbols.device)
        for part in torch.split(symbols.flatten(1), _AT_ONCE, dim=1):
            known += (part >= 0).sum(dim=1, dtype=torch.int32)  # takes half as long as in 64 bits
        return self.quantizer.fineness(known / (symbols.shape[2] * symbols.shape[3]))

    @torch.no_grad()
    def encode_symbols(self, image: Tensor, *, tile: int | None = None, dtype: torch.dtype = torch.int64) -> Tensor:
        """Encode images to symbols (B, C, h, w) on the device of the images.

        image: (B, colors, H, W), floating-point in [0, 1] or uint8, on any device; it is moved to the codec's device
            tile by tile. Gray images become RGB for an architecture for RGB.
        tile: the side, in pixels, of the tiles of a `LocalArchitecture`; None for whole images.
        dtype: the type of the symbols. Most take a quarter of the memory in `symbol_type`.

        Raises ImageError for a size that the architecture refuses, ModelFileError for tiles of an architecture that is
        not local, ValueError for images of another shape and for tiles without pixels.
        """
        return self._analyzed(image, tile, self._symbols, dtype)

    @torch.no_grad()
    def latent_for_files(self, image: Tensor, *, tile: int | None = None) -> Tensor:
        """Transform images as `analyze` does, but in the fastest precision, as for files.

        image, tile: as for `encode_symbols`, which raises the same errors.

        Returns the latent (B, D, h, w) in the type of the quantizer, on the device of the images.
        """
        return self._analyzed(image, tile, self._latent_of, _dtype(self.quantizer))

    def _analyzed(
        self, image: Tensor, tile: int | None, transform: Callable[[Tensor], Tensor], dtype: torch.dtype
    ) -> Tensor:
        """Apply a transform, with results (B, …, h, w), to whole images or tile by tile."""
        if tile is None:
            return transform(self._model_input(image)).to(image.device, dtype)
        architecture = _local(self.architecture)
        grid = grid_of(architecture, *image.shape[-2:])

        def parts() -> Iterator[tuple[slice, slice, Tensor]]:
            for down, across, rows, columns, around in grid.to_analyze(tile, architecture.analysis_halo):
                part = architecture.pad(self._model_input(image[:, :, rows, columns]), Margins(*around))
                yield down.inner, across.inner, transform(part)[:, :, down.within, across.within].to(dtype)

        return _assembled(parts(), grid.latent, image.device)

    def _model_input(self, image: Tensor) -> Tensor:
        """Convert an image to the colors, type and device of the architecture, with values in [0, 1].

        Raises ValueError for an image of another shape.
        """
        if image.ndim != 4 or image.shape[1] not in (1, self.colors):
            raise ValueError(f"images of shape {tuple(image.shape)}; this codec takes (B, {self.colors}, H, W)")
        given = image.to(self.device, _dtype(self.architecture))
        given = given if image.is_floating_point() else given / 255
        return given.expand(-1, self.colors, -1, -1).contiguous(memory_format=torch.channels_last)

    def _latent_of(self, image: Tensor) -> Tensor:
        with self.inference_autocast():
            return self.analyze(image).to(_dtype(self.quantizer))

    def image_for_files(self, latent: Tensor, height: int, width: int, fineness: Tensor) -> Tensor:
        """Transform a latent as `synthesize` does, but in the fastest precision, with a gradient. Returns float32."""
        latent = latent.to(_dtype(self.architecture))
        with self.inference_autocast():
            image = self.synthesize(latent, height, width, fineness.to(latent))
        return image.float()

    def _symbols(self, image: Tensor) -> Tensor:
        return self.quantizer.symbols(self._latent_of(image)).long()

    @torch.no_grad()
    def decode_symbols(self, symbols: Tensor, height: int, width: int, *, tile: int | None = None) -> Tensor:
        """Decode symbols to images (B, colors, height, width), on the device of the symbols.

        symbols: (B, n, h, w), integers of the first n ≤ C channels, on any device; −1 if they are missing.
        height, width: of the images, in pixels.
        tile: as for `encode_symbols`.

        Values may lie slightly outside [0, 1]. Raises ModelFileError as `encode_symbols` does.
        """
        return self._decoded(symbols, height, width, tile, lambda image: image)

    @torch.no_grad()
    def decode_pixels(
        self,
        symbols: Tensor,
        height: int,
        width: int,
        *,
        tile: int | None = None,
        colors: int | None = None,
    ) -> Tensor:
        """Decode as `decode_symbols` does, clamp, and round to uint8.

        colors: 1 to average the colors of an architecture for RGB. Default: `colors` of the architecture.
        """
        return self._decoded(symbols, height, width, tile, lambda image: _eight_bits(image, colors or self.colors))

    @torch.inference_mode()
    def symbols_of(self, pixels: Pixels, *, tile: int | None = None) -> Symbols:
        """Encode as `encode_symbols` does, from NumPy arrays to NumPy arrays."""
        image = torch.from_numpy(pixels)
        symbols: Symbols = self.encode_symbols(image, tile=tile, dtype=self.symbol_type).numpy()
        return symbols

    @torch.inference_mode()
    def pixels_of(
        self, symbols: Symbols, height: int, width: int, *, tile: int | None = None, colors: int | None = None
    ) -> Pixels:
        """Decode as `decode_pixels` does, from NumPy arrays to NumPy arrays."""
        decoded = self.decode_pixels(torch.from_numpy(symbols), height, width, tile=tile, colors=colors)
        pixels: Pixels = decoded.numpy()
        return pixels

    def positions_at_once(self, tile: int) -> int:
        """See `PixelCodec`. Raises ModelFileError for an architecture that is not local."""
        architecture = _local(self.architecture)
        halo = max(architecture.refine_halo, architecture.render_halo)
        return (positions(tile, architecture.stride) + 2 * halo) ** 2

    def decoding_memory(self) -> DecodingMemory:
        """See `PixelCodec`."""
        return measured(self)

    def _decoded(
        self,
        symbols: Tensor,
        height: int,
        width: int,
        tile: int | None,
        finish: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """Decode symbols; `finish` is applied to each tile before it is copied into the image."""
        fineness = self.fineness(symbols.to(self.device)).to(_dtype(self.architecture))
        with self.inference_autocast():
            if tile is None:
                image = self.synthesize(self._latent(symbols), height, width, fineness)
                return finish(image).to(symbols.device)
            parts = self._tiles(symbols, height, width, tile, fineness)
            finished = ((rows, columns, finish(image)) for rows, columns, image in parts)
            return _assembled(finished, (height, width), symbols.device)

    def inference_autocast(self) -> torch.autocast:
        """Autocast to the `quick_precision` of the architecture, if it has one and the device is faster with it."""
        quick, device = self.architecture.quick_precision, self.device
        enabled = quick is not None and _dtype(self.architecture) == torch.float32 and is_quick(device, quick)
        return torch.autocast(device.type, dtype=quick or torch.bfloat16, enabled=enabled)

    def _tiles(
        self, symbols: Tensor, height: int, width: int, tile: int, fineness: Tensor
    ) -> Iterator[tuple[slice, slice, Tensor]]:
        """Yield the rows, columns and pixels of each tile of an image."""
        architecture = _local(self.architecture)
        grid = grid_of(architecture, height, width)

        def refined() -> Iterator[tuple[slice, slice, Tensor]]:
            for down, across, *_ in grid.to_render(tile, architecture.refine_halo):
                latent = self._latent(symbols[:, :, down.outer, across.outer])
                part = architecture.refine_with_fineness(latent, fineness)
                yield down.inner, across.inner, part[:, :, down.within, across.within]

        features = _assembled(refined(), grid.latent)
        for part in grid.to_render(tile, architecture.render_halo):
            image = architecture.render(features[:, :, part.down.outer, part.across.outer])
            yield part.rows, part.columns, image[:, :, *part.within]

    def _latent(self, symbols: Tensor) -> Tensor:
        """Dequantize symbols (B, n, h, w) to a latent (B, D, h, w) in the type and on the device of the synthesis."""
        with torch.autocast(self.device.type, enabled=False):
            # one image after the other, so that its symbols stay in the cache of a CPU
            each = [self.quantizer.latent(one.contiguous().to(self.device).long()) for one in torch.split(symbols, 1)]
            return torch.cat(each).to(_dtype(self.architecture))


def grid_of(architecture: LocalArchitecture, height: int, width: int) -> Grid:
    """Return the blocks of an image of height × width pixels."""
    margins = architecture.margins(height, width)
    latent_size = architecture.latent_size(height, width)
    return Grid(architecture.stride, (height, width), latent_size, (margins.top, margins.left))


def _assembled(
    parts: Iterable[tuple[slice, slice, Tensor]], size: tuple[int, int], device: torch.device | None = None
) -> Tensor:
    """The tensor (B, n, *size) of one or more parts with their rows and columns. Default device: that of the parts."""
    whole: Tensor | None = None
    for rows, columns, part in parts:
        if whole is None:
            whole = part.new_empty((*part.shape[:2], *size), device=device)
        whole[:, :, rows, columns] = part
    assert whole is not None  # noqa: S101 (there is at least one)
    return whole


def _choice(kind: str, name: str, options: Mapping[str, Any] | None) -> Choice:
    return Choice(name=registry().find(kind, name).qualified_name, options=dict(options or {}))


def _built(
    contract: type, name: str, options: Mapping[str, Any] | None, needed: Sequence[str] = (), **sizes: Any
) -> Any:
    """Make a component. Raises ComponentError if it does not derive from its contract, or lacks attributes it needs."""
    kind = contract.__name__.lower()
    made = build(kind, name, options or {}, **sizes)
    if not isinstance(made, contract):
        derives = f"does not derive from omega_core.contracts.{contract.__name__}"
        raise ComponentError(f"the {kind} {name!r} is a {type(made).__name__}, which {derives}.")
    if lacking := [each for each in needed if not hasattr(made, each)]:
        raise ComponentError(f"the {kind} {name!r} has no {' and no '.join(lacking)}, which its class has to set.")
    return made


def _local(architecture: Architecture) -> LocalArchitecture:
    if not isinstance(architecture, LocalArchitecture):
        raise ModelFileError("this model cannot work in tiles, but the file has them: get or make the file again.")
    return architecture


def _eight_bits(image: Tensor, colors: int) -> Tensor:
    """Round an image (B, colors, H, W) in [0, 1] to uint8, after averaging the colors if it has to be gray."""
    image = image.clamp(0, 1)
    if colors < image.shape[1]:
        image = image.mean(dim=1, keepdim=True)
    return (image * 255).round().to(torch.uint8)


def _dtype(module: nn.Module) -> torch.dtype:
    """The type of the parameters of a module; float32 without parameters."""
    return next(module.parameters(), torch.empty(0)).dtype
