"""Learned codecs from the model zoo of CompressAI (Bégaint et al. 2020, arXiv 2011.03029), an optional package."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from omega_core.contracts.codec import BaselineCodec
from omega_core.errors import ComponentError, FileFormatError, ImageError
from omega_core.format.binary import Reader, varint
from omega_core.images.pictures import Pixels
from omega_train.evaluation.codecs.options import library

Name = Literal[
    "bmshj2018-factorized", "bmshj2018-hyperprior", "mbt2018-mean", "mbt2018", "cheng2020-anchor", "cheng2020-attn"
]
_SIDE = 64
"""Sides are padded to multiples of this number, which the strides of all these models divide."""


class CompressaiCodec(BaselineCodec):
    """A model of CompressAI's zoo on the CPU, with its qualities 1 to 8 (cheng2020: 1 to 6), all loaded at once.

    Weights are downloaded once, by torch.hub. A file has these varints: setting, height and width, height and width of
    the last latent, number of strings, the length of each; then the strings. Gray pictures are encoded as RGB, and the
    mean of the decoded colors is returned.

    model: the name of the model in the zoo.
    metric: the metric that the model was trained for.
    """

    def __init__(self, *, model: Name = "bmshj2018-factorized", metric: Literal["mse", "ms-ssim"] = "mse") -> None:
        zoo = library("compressai.zoo", "codec compressai", "compressai")
        self.model, self.metric = model, metric
        self.settings = range(1, 7 if model.startswith("cheng2020") else 9)
        self.nets = {setting: self._loaded(zoo, setting) for setting in self.settings}
        self.cacheable = _release() is not None

    def _loaded(self, zoo: Any, setting: int) -> Any:
        make = zoo.image_models[self.model]
        try:
            net = make(quality=setting, metric=self.metric, pretrained=True, progress=False).eval()
        except (OSError, RuntimeError) as problem:  # no network, or damaged weights
            raise ComponentError(f"the weights of {self.model} cannot be loaded: {problem}.") from problem
        net.update()
        return net

    def encode(self, pixels: Pixels, setting: int) -> bytes:
        height, width = pixels.shape[1:]
        image = torch.from_numpy(np.ascontiguousarray(pixels)).float()[None].expand(-1, 3, -1, -1) / 255
        image = nn.functional.pad(image, (0, -width % _SIDE, 0, -height % _SIDE), mode="replicate")
        with torch.no_grad():
            coded = self.nets[setting].compress(image)
        strings = [batch[0] for batch in coded["strings"]]
        numbers = [setting, height, width, *map(int, coded["shape"]), len(strings), *map(len, strings)]
        try:
            return b"".join([*map(varint, numbers), *strings])
        except ValueError as problem:
            raise ImageError(f"compressai cannot encode this picture: {problem}.") from problem

    def decode(self, data: bytes, colors: int) -> Pixels:
        reader = Reader(data)
        setting, height, width, *shape = (reader.varint() for _ in range(5))
        lengths = [reader.varint() for _ in range(reader.varint())]
        if setting not in self.nets:
            raise FileFormatError(f"the file was made at the quality {setting}, which {self.model} does not have.")
        strings = [[reader.bytes(length)] for length in lengths]
        with torch.no_grad():
            image = self.nets[setting].decompress(strings, tuple(shape))["x_hat"][0, :, :height, :width]
        if colors == 1:
            image = image.mean(dim=0, keepdim=True)
        decoded: Pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        return decoded

    def describe(self) -> str:
        made_by = f"CompressAI {_release() or 'of unknown version'} with torch {torch.__version__}"
        return f"{made_by}, model={self.model}, metric={self.metric}"


def _release() -> str | None:
    """The version of CompressAI, or None if it is not installed as a package."""
    try:
        return version("compressai")
    except PackageNotFoundError:
        return None
