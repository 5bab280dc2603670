"""One small component of each kind that does all that its contract asks."""

import json
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from omega_core.codec.model_file import Choice, Description, write_model
from omega_core.coding.tables import FrozenTables
from omega_core.contracts import (
    Architecture,
    BaselineCodec,
    Coder,
    Dataset,
    FrozenPrior,
    LocalArchitecture,
    Prior,
    Quantized,
    Quantizer,
)
from omega_core.contracts.coder import Decoder, check_symbols
from omega_core.errors import CoderError, ComponentError, DataError, ImageError


class SoundQuantizer(Quantizer):
    """Bounded levels, with noise while training.

    reach: how far levels reach.
    """

    def __init__(self, *, latent_channels: int, channels: int, alphabet: int, reach: float = 1.0) -> None:
        super().__init__()
        self.channels, self.alphabet, self.reach = channels, alphabet, reach
        self.into = nn.Conv2d(latent_channels, channels, 1)
        self.out = nn.Conv2d(channels, latent_channels, 1)

    def place(self, latent: Tensor) -> Tensor:
        with torch.autocast(latent.device.type, enabled=False):
            mixed = self.into(latent.to(self.into.weight.dtype))
        return (torch.tanh(self.reach * mixed) + 1) / 2 * (self.alphabet - 1)

    def level(self, latent: Tensor) -> Tensor:
        place = self.place(latent)
        return (place + self.noise(place)).clamp(0, self.alphabet - 1) if self.training else place.round()

    def restored(self, level: Tensor, mask: Tensor) -> Tensor:
        return F.conv2d((level + 1) * mask, self.out.weight, self.out.bias)

    def forward(self, latent: Tensor, prior: Prior | None = None, kept: Tensor | None = None) -> Quantized:
        with torch.autocast(latent.device.type, enabled=False):
            level = self.level(latent)
            mask = self.mask(kept, level)
            bits = level.new_zeros(len(level)) if prior is None else self.rate(level, prior, kept)
            return Quantized(self.restored(level, mask), bits, level.detach().round().long())

    def symbols(self, latent: Tensor) -> Tensor:
        return self.place(latent).round().long()

    def latent(self, symbols: Tensor) -> Tensor:
        level = symbols.to(self.out.weight.dtype) + 1  # 0 for those that are missing
        return self.out(F.pad(level, (0, 0, 0, 0, 0, self.channels - level.shape[1])))

    def select_channels(self, order) -> None:
        self.into.weight = nn.Parameter(self.into.weight.detach()[list(order)])
        self.into.bias = nn.Parameter(self.into.bias.detach()[list(order)])
        self.out.weight = nn.Parameter(self.out.weight.detach()[:, list(order)])
        self.channels = len(order)

    @torch.no_grad()
    def reset_dead_symbols(self, counts: Tensor, seed: int) -> int:
        dead = int((counts == 0).sum())
        if dead:
            self.into.weight.add_(torch.randn(self.into.weight.shape, generator=torch.Generator().manual_seed(seed)))
        return dead


class SoundArchitecture(LocalArchitecture):
    """Two convolutions.

    latent_channels: D.
    colors: 3 for RGB, 1 for gray.
    """

    stride = 4
    analysis_halo = 1
    refine_halo = 1
    render_halo = 1
    fineness_aware = True

    def __init__(self, *, latent_channels: int, colors: int = 3) -> None:
        super().__init__()
        self.latent_channels, self.colors = latent_channels, colors
        self.encoder = nn.Conv2d(16 * colors, latent_channels, 3, padding=1)
        self.body = nn.Conv2d(latent_channels, latent_channels, 3, padding=1)
        self.decoder = nn.Conv2d(latent_channels, 16 * colors, 3, padding=1)

    def analysis(self, image: Tensor) -> Tensor:
        return self.encoder(F.pixel_unshuffle(self.padded(image), 4))

    def refine(self, latent: Tensor, fineness: Tensor | None = None) -> Tensor:
        told = 1.0 if fineness is None else fineness.to(latent)[:, None, None, None]
        return latent + torch.tanh(self.body(latent)) * told

    def render(self, features: Tensor) -> Tensor:
        return torch.sigmoid(F.pixel_shuffle(self.decoder(features), 4))


class SoundFixedArchitecture(Architecture):
    """For gray images of 8×8 pixels only.

    latent_channels: D.
    """

    colors = 1
    image_size = (8, 8)

    def __init__(self, *, latent_channels: int) -> None:
        super().__init__()
        self.latent_channels = latent_channels
        self.encoder = nn.Conv2d(16, latent_channels, 1)
        self.decoder = nn.Conv2d(latent_channels, 16, 1)

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        if (height, width) != (8, 8):
            raise ImageError("8×8 pixels only.")
        return 2, 2

    def analysis(self, image: Tensor) -> Tensor:
        return self.encoder(F.pixel_unshuffle(image, 4))

    def synthesis(self, latent: Tensor, height: int, width: int) -> Tensor:
        return F.pixel_shuffle(self.decoder(latent), 4)


class SoundDensity(nn.Module):
    """A logistic density for each channel, of a scale that is learned."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, values: Tensor, half_width: Tensor) -> Tensor:
        distance = values.abs()
        scale = self.log_scale.exp()
        inside = torch.sigmoid((half_width - distance) / scale) - torch.sigmoid((-half_width - distance) / scale)
        return -inside.clamp_min(1e-9).log2()


class SoundPrior(Prior):
    """Counts, smoothed by a learned density that is the likelihood between them.

    channels, alphabet, lowest: C, S and the value of symbol 0.
    latent_size: not used.
    smoothing: a count that every symbol has.
    """

    observes = True

    def __init__(self, *, channels: int, alphabet: int, lowest: int = 0, latent_size: tuple[int, int] | None = None,
                 smoothing: float = 1.0) -> None:  # fmt: skip
        super().__init__()
        self.lowest, self.smoothing = lowest, smoothing
        self.register_buffer("counts", torch.zeros(channels, alphabet, dtype=torch.float64))
        self.weights = nn.Parameter(torch.randn(channels, alphabet))

    def probabilities(self) -> Tensor:
        counts = self.counts + self.smoothing * torch.softmax(self.weights, dim=1) * self.counts.shape[1]
        return counts / counts.sum(dim=1, keepdim=True)

    def code_lengths(self, height: int, width: int) -> Tensor:
        return -self.probabilities().log2()[:, None, :]

    def likelihood(self, values: Tensor) -> Tensor:
        table = self.probabilities().to(values.dtype)
        place = (values - self.lowest).clamp(0, table.shape[1] - 1)
        below = place.detach().floor().clamp_max(table.shape[1] - 2).long()
        channel = torch.arange(len(table), device=values.device)[:, None, None]
        return table[channel, below] * (1 - (place - below)) + table[channel, below + 1] * (place - below)

    def relax(self, latent_channels: int) -> None:
        self.relaxation = SoundDensity(latent_channels)

    def interval_bits(self, values: Tensor, half_width: Tensor, known: Tensor, fineness: Tensor) -> Tensor:
        return self.relaxation(values, half_width)

    def observe(self, symbols: Tensor, kept: Tensor) -> None:
        with torch.no_grad():
            for c in range(len(self.counts)):
                self.counts[c] += torch.bincount(symbols[kept > c, c].flatten(), minlength=self.counts.shape[1])

    def recount(self) -> None:
        self.counts.zero_()

    def select_channels(self, order) -> None:
        self.counts = self.counts[list(order)]
        self.weights = nn.Parameter(self.weights.detach()[list(order)])

    def freeze(self) -> FrozenPrior:
        return FrozenTables.from_probabilities(self.probabilities().detach()[:, None].cpu().numpy())


class SoundCoder(Coder):
    """Two bytes a symbol."""

    def encode(self, symbols, tables, ends):
        check_symbols(symbols, tables)
        if tables.cumulative is None:
            raise CoderError("the toy coder needs probabilities.")
        return symbols.astype("<u2").tobytes(), [2 * end for end in ends]

    def decoder(self, data, *, complete=False):
        return SoundDecoder(data)


class SoundDecoder(Decoder):
    done = 0

    def decode(self, tables):
        count = min(tables.size, (len(self.data) - self.done) // 2)
        first, self.done = self.done, self.done + 2 * count
        symbols = np.frombuffer(self.data[first : self.done], "<u2").astype(np.int64)
        check_symbols(symbols, tables.part(0, count))
        return symbols


class Turned:
    """Pictures that are mirrored at random."""

    def __init__(self, pixels):
        self.pixels = pixels

    def __len__(self):
        return len(self.pixels)

    def load(self, index, seed):
        return self.pixels[index][:, :, :: -1 if seed % 2 else 1]


class SoundDataset(Dataset):
    """Noise, or what a folder has.

    data: a folder with `pixels.npy`, if there is one.
    count: how many pictures there are to train on.
    """

    needs_folder = False

    def __init__(self, *, data: Path | None, seed: int, count: int = 8) -> None:
        pixels = np.random.default_rng(seed).integers(0, 256, (count + 4, 1, 8, 8), np.uint8)
        if data is not None or self.needs_folder:
            pixels = self.read(data)
        self.train, self.validation = Turned(pixels[:-4]), Turned(pixels[-4:])

    def read(self, data):
        if data is None or not (data / "pixels.npy").exists():
            raise DataError(f"there is no pixels.npy in {data}.")
        return np.load(data / "pixels.npy")


class SoundFolderDataset(SoundDataset):
    """What a folder has.

    data: a folder with `pixels.npy`.
    count: not used.
    """

    needs_folder = True

    def read(self, data):
        try:
            return np.load(data / "pixels.npy")
        except (OSError, TypeError) as problem:
            raise ComponentError(f"there is no pixels.npy in {data}.") from problem


class SoundTrainer:
    """Writes a model of what a seed makes.

    rate: not used.
    """

    def __init__(self, *, recipe, data: Path | None, rate: float = 1.0) -> None:
        if recipe.quantizer == "unknown":
            raise CoderError("there is no such quantizer.")
        self.recipe = recipe

    def write(self, path, seed):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            parts = {
                "architecture": SoundFixedArchitecture(latent_channels=4),
                "quantizer": SoundQuantizer(latent_channels=4, channels=2, alphabet=8),
            }
            prior = SoundPrior(channels=2, alphabet=8).freeze().arrays()
        arrays = {
            f"{kind}.{name}": value.numpy() for kind, part in parts.items() for name, value in part.state_dict().items()
        }
        arrays |= {f"prior.{name}": value for name, value in prior.items()}
        description = Description(
            architecture=Choice(name="omega-sound/sound-fixed"),
            quantizer=Choice(name="omega-sound/sound"),
            prior=Choice(name="omega-sound/sound"),
            coder="omega-sound/sound",
            latent_channels=4,
            channels=2,
            alphabet=8,
            channels_min=0,
            recipe=json.loads("{}"),
        )
        write_model(path, description, arrays)
        return path

    def train(self, folder: Path, *, resume: bool = False) -> Path:
        return self.write(folder / "model.safetensors", self.recipe.seed)


class SoundCodec(BaselineCodec):
    """The highest bits of each byte, after the shape.

    step: how many levels are one, at the setting 1.
    """

    settings = (1, 2, 4)

    def __init__(self, *, step: int = 4) -> None:
        self.step = step

    def encode(self, pixels, setting):
        if max(pixels.shape) > 65535:
            raise ImageError("a side is longer than 65535 pixels.")
        step = self.step * setting
        levels = (pixels // step).astype(np.uint8)
        return np.array([step, *pixels.shape], "<u2").tobytes() + zlib.compress(levels.tobytes())

    def decode(self, data, colors):
        step, *shape = np.frombuffer(data[:8], "<u2").tolist()
        levels = np.frombuffer(zlib.decompress(data[8:]), np.uint8).reshape(shape)
        return (levels.astype(int) * step + step // 2).clip(0, 255).astype(np.uint8)

    def describe(self):
        return f"zlib, step {self.step}"
