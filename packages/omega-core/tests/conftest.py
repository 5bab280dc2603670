"""A small model whose parts are made here, so that these tests need no other package."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import settings
from torch import Tensor, nn
from torch.nn import functional as F

import omega_core.codec.model
import omega_core.plugins.registry
from omega_core.codec.file_codec import FileCodec
from omega_core.codec.image_codec import ImageCodec
from omega_core.codec.loading import load_model
from omega_core.codec.model_file import Choice, Description, write_model
from omega_core.coding.tables import FrozenPrior, FrozenTables, Step
from omega_core.contracts import Architecture, Coder, LocalArchitecture, Prior, Quantized, Quantizer
from omega_core.contracts.coder import Decoder, check_symbols
from omega_core.errors import CoderError, ImageError
from omega_core.plugins.components import Component
from omega_core.plugins.registry import Plugin, Registered, Registry

settings.register_profile("omega-core", deadline=None, database=None, derandomize=True)
settings.load_profile("omega-core")


class Blocks(Architecture):
    """Each latent channel is one pixel of every block, so that the whole latent is the picture, without loss."""

    def __init__(self, *, latent_channels: int, colors: int = 1, block: int = 2) -> None:
        super().__init__()
        assert latent_channels == colors * block**2
        self.latent_channels, self.colors, self.block = latent_channels, colors, block
        self.peak = nn.Parameter(torch.tensor(1.0))

    def latent_size(self, height, width):
        if height % self.block or width % self.block:
            raise ImageError(f"toy blocks are {self.block} pixels wide, not {width}×{height}.")
        return height // self.block, width // self.block

    def analysis(self, image):
        return F.pixel_unshuffle(image, self.block) * self.peak

    def synthesis(self, latent, height, width):
        return F.pixel_shuffle(latent, self.block) / self.peak


class Rounding(Quantizer):
    """Rounds to whole numbers from 0 to S−1; what is missing is 0."""

    def __init__(self, *, latent_channels: int, channels: int, alphabet: int) -> None:
        super().__init__()
        self.channels, self.alphabet = channels, alphabet

    def forward(self, latent: Tensor, prior: Prior | None = None, kept: Tensor | None = None) -> Quantized:
        symbols = self.symbols(latent)
        return Quantized(self.latent(symbols), latent.new_zeros(len(latent)), symbols)

    def symbols(self, latent):
        return latent.round().long().clamp(0, self.alphabet - 1)

    def latent(self, symbols):
        return F.pad(symbols.clamp_min(0).float(), (0, 0, 0, 0, 0, self.channels - symbols.shape[1]))


class TablePrior(Prior):
    """Has tables only once it is frozen."""

    def code_lengths(self, height, width):
        raise NotImplementedError

    def freeze(self):
        raise NotImplementedError


class OneAtATime(FrozenPrior):
    """A frozen prior with a step for each channel, whose tables depend on the sum of all symbols before."""

    def __init__(self, tables: FrozenTables) -> None:
        self.cumulative, self.cache = tables.cumulative, tables.cache
        self.frozen = tables
        self.asked: list[int] = []

    def steps(self, symbols):
        positions = symbols[0].size
        for channel in range(len(symbols)):
            self.asked.append(channel)
            row = int(symbols[:channel].sum()) % len(self.cumulative)
            start = channel * positions
            yield Step(np.arange(start, start + positions), np.full(positions, row))

    def arrays(self):
        return self.frozen.arrays()


class TwoBytes(Coder):
    """Two bytes for each symbol, plus its place in the table: another table decodes other symbols."""

    def encode(self, symbols, tables, ends):
        check_symbols(symbols, tables)
        data = ((symbols + _offsets(tables)) % 2**16).astype("<u2").tobytes()
        return data, [2 * end for end in ends]

    def decoder(self, data, *, complete=False):
        return TwoBytesDecoder(data)


class TwoBytesDecoder(Decoder):
    def decode(self, tables):
        count = min(tables.size, len(self.data) // 2)
        tables = tables.part(0, count)
        taken, self.data = self.data[: 2 * count], self.data[2 * count :]
        symbols = (np.frombuffer(taken, "<u2").astype(np.int64) - _offsets(tables)) % 2**16
        if symbols.size and symbols.max() >= tables.alphabet:
            raise CoderError("toy symbols are too large.")
        return symbols


def _offsets(tables):
    if tables.cumulative is None:
        raise CoderError("the toy coder needs probabilities.")
    return tables.cumulative[tables.rows, 1]


COMPONENTS = {
    "architecture": {"blocks": Blocks},
    "quantizer": {"rounding": Rounding},
    "prior": {"table": TablePrior},
    "coder": {"two-bytes": TwoBytes},
}


@pytest.fixture
def toys(monkeypatch):
    """The only plugin there is, with the components of this file."""
    module = ModuleType("omega_toys")
    components = []
    for kind, classes in COMPONENTS.items():
        for name, target in classes.items():
            setattr(module, target.__name__, target)
            component = Component(name=name, target=f"omega_toys:{target.__name__}", summary="A toy.")
            components.append(Registered(kind, component, "omega-toys"))
    monkeypatch.setitem(sys.modules, "omega_toys", module)
    only = Registry([Plugin("omega-toys", "1.0", "omega_toys", tuple(components))])
    for module_with_registry in (omega_core.plugins.registry, omega_core.codec.model):
        monkeypatch.setattr(module_with_registry, "registry", lambda: only)
    made = omega_core.codec.model._coder
    made.cache_clear()
    yield module
    made.cache_clear()


@pytest.fixture
def frozen_tables():
    """Makes frozen tables of one row a channel, all different."""

    def make(channels: int, alphabet: int) -> FrozenTables:
        probabilities = np.random.default_rng(channels).dirichlet(np.full(alphabet, 5.0), (channels, 1))
        return FrozenTables.from_probabilities(probabilities)

    return make


@pytest.fixture
def codec_parts(frozen_tables):
    """Makes the architecture, quantizer and frozen prior of a codec for pictures of `colors`."""

    def make(colors: int = 1, block: int = 2, alphabet: int = 256) -> tuple[Blocks, Rounding, FrozenTables]:
        channels = colors * block**2
        architecture = Blocks(latent_channels=channels, colors=colors, block=block)
        architecture.peak.data.fill_(alphabet - 1)
        quantizer = Rounding(latent_channels=channels, channels=channels, alphabet=alphabet)
        return architecture.eval(), quantizer.eval(), frozen_tables(channels, alphabet)

    return make


@pytest.fixture
def file_codec(codec_parts):
    """Makes a codec of such parts."""

    def make(colors: int = 1, block: int = 2) -> FileCodec:
        architecture, quantizer, tables = codec_parts(colors, block)
        return FileCodec(ImageCodec(architecture, quantizer), tables)

    return make


@pytest.fixture
def one_at_a_time():
    return OneAtATime


@pytest.fixture
def model_file(tmp_path, toys, codec_parts):
    """Writes a model file of the toy components and returns its path. levels: of gray that it tells apart."""

    def write(
        *, colors: int = 1, block: int = 2, channels_min: int = 0, name: str = "model", levels: int = 256, **changed
    ) -> Path:
        architecture, _, tables = codec_parts(colors, block)
        architecture.peak.data.fill_(levels - 1)
        channels = colors * block**2
        values = {
            "architecture": Choice(name="omega-toys/blocks", options={"colors": colors, "block": block}),
            "quantizer": Choice(name="omega-toys/rounding"),
            "prior": Choice(name="omega-toys/table"),
            "coder": "omega-toys/two-bytes",
            "latent_channels": channels,
            "channels": channels,
            "alphabet": 256,
            "channels_min": channels_min,
        } | changed
        arrays = {"architecture.peak": architecture.peak.detach().numpy()}
        arrays |= {f"prior.{key}": array for key, array in tables.arrays().items()}
        path = tmp_path / f"{name}.safetensors"
        write_model(path, Description(**values), arrays)
        return path

    return write


@pytest.fixture
def add_toy(toys, monkeypatch):
    """Registers one more component beside the toys, and returns its qualified name."""

    def add(kind, target):
        setattr(toys, target.__name__, target)
        name = target.__name__.lower()
        component = Component(name=name, target=f"omega_toys:{target.__name__}", summary="A toy.")
        [plugin] = omega_core.plugins.registry.registry().plugins
        more = replace(plugin, components=(*plugin.components, Registered(kind, component, "omega-toys")))
        for module in (omega_core.plugins.registry, omega_core.codec.model):
            monkeypatch.setattr(module, "registry", lambda: Registry([more]))
        return f"omega-toys/{name}"

    return add


class Local(LocalArchitecture):
    """As the toy blocks, but for pictures of any size, in tiles that need no neighbors."""

    analysis_halo = render_halo = 0

    def __init__(self, *, latent_channels, colors=1, block=2):
        super().__init__()
        self.latent_channels, self.colors, self.stride = latent_channels, colors, block
        self.peak = nn.Parameter(torch.tensor(1.0))

    def analysis(self, image):
        return F.pixel_unshuffle(self.pad(image, self.margins(*image.shape[2:])), self.stride) * self.peak

    def render(self, features):
        return F.pixel_shuffle(features, self.stride) / self.peak


@pytest.fixture
def local(model_file, add_toy):
    """Makes models of that architecture, which is lossless with all channels."""

    def make(colors=1, **changed):
        choice = Choice(name=add_toy("architecture", Local), options={"colors": colors})
        return load_model(model_file(colors=colors, architecture=choice, name=f"local{colors}"), **changed)

    return make


@pytest.fixture
def noise_picture():
    """Makes reproducible noise: (height, width), or (height, width, 3) for RGB."""

    def make(*shape: int, seed: int = 0):
        return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)

    return make


@pytest.fixture
def memory():
    """The URL of an empty store in the memory of this process."""
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").store.clear()
    fsspec.filesystem("memory").pseudo_dirs[:] = [""]
    return "memory://bucket"
