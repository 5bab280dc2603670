"""Encoding and decoding a photo of 768×512: the time besides the transforms, and memory.

Two codecs have the sizes of published ones, 480 channels of 32 symbols, and are untrained. The third is `compact`.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import omega_core
from measure import Row, in_a_process, peak_memory, times
from omega_core.contracts.quantizer import Quantizer
from omega_quant import OmegaQuantizer
from pictures import photo

RECIPES = {"Ω": "openimages-omega-480", "integer": "openimages-integer-480"}
BUNDLED = "compact"


@dataclass(frozen=True)
class Limits:
    """The greatest permitted times besides the transforms, relative to these, and the greatest memory in MiB."""

    encoding: float
    decoding: float
    memory: float


LIMITS = {"Ω": Limits(0.05, 0.05, 900), "integer": Limits(0.05, 0.05, 900), BUNDLED: Limits(4.0, 4.0, 500)}


class Watch:
    """Measures the time that a function spends in some other functions."""

    def __init__(self) -> None:
        self.taken: dict[str, float] = {}

    def over(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function so that its time is added to that of `name`."""

        def timed(*given: Any) -> Any:
            start = time.perf_counter()
            result = function(*given)
            self.taken[name] = self.taken.get(name, 0.0) + time.perf_counter() - start
            return result

        return timed

    def medians(self, function: Callable[[], Any], rounds: int = 5) -> dict[str, float]:
        """The median time of each part of a function, and of the rest."""
        function()
        rounds_taken = []
        for _ in range(rounds):
            self.taken.clear()
            start = time.perf_counter()
            function()
            whole = time.perf_counter() - start
            rounds_taken.append({**self.taken, "rest": whole - sum(self.taken.values())})
        return {name: statistics.median(taken[name] for taken in rounds_taken) for name in rounds_taken[0]}


def rows() -> Iterator[Row]:
    from models import untrained  # not above, because the processes in which memory is measured need no omega-train

    picture = photo(768, 512)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pixels = folder / "photo.npy"
        np.save(pixels, np.asarray(picture))
        models = {kind: str(untrained(folder, recipe)) for kind, recipe in RECIPES.items()} | {BUNDLED: BUNDLED}
        for kind, path in models.items():
            model, limits = omega_core.load_model(path), LIMITS[kind]
            codec, watch = model.codec, Watch()
            assert isinstance(codec, omega_core.ImageCodec)
            architecture, quantizer = codec.architecture, codec.quantizer
            for owner, method in ((architecture, "analysis"), (architecture, "synthesis"), (quantizer, "symbols")):
                setattr(owner, method, watch.over(method, getattr(owner, method)))
            encoding = watch.medians(partial(model.compress, picture))
            data = model.compress(picture)
            decoding = watch.medians(partial(model.decompress, data))
            if kind == "Ω":
                yield symbols_over_product(quantizer)
            what, analysis = f"encoding 768×512, {kind}, without analysis and symbols", encoding["analysis"]
            yield Row(what, "analysis", encoding["rest"], analysis, limits.encoding)
            what, synthesis = f"decoding 768×512, {kind}, without synthesis", decoding["synthesis"]
            yield Row(what, "synthesis", decoding["rest"], synthesis, limits.decoding)
            file = folder / f"{kind}.omega"
            file.write_bytes(data)
            for way, source in (("compress", pixels), ("decompress", file)):
                memory = float(in_a_process("photo", way, path, str(source)))
                what, over = f"memory to {way} 768×512, {kind}", f"{limits.memory:.0f} MiB"
                yield Row(what, over, memory, limits.memory, 1.0, "MiB")


def symbols_over_product(quantizer: Quantizer) -> Row:
    """Finding the symbols of a latent of 48×32, relative to z·W."""
    assert isinstance(quantizer, OmegaQuantizer)
    latent = torch.randn(1, 480, 32, 48)
    z, w = latent.flatten(2)[0].T.contiguous(), quantizer.weight.detach().flatten(0, 1)
    with torch.inference_mode():
        ours, product = times(lambda: quantizer.symbols(latent), lambda: z @ w.T)
    return Row("symbols of 768×512, Ω", "z·W", ours, product, 1.5)


if __name__ == "__main__":  # prints the peak memory in MiB
    way, model_path, source = sys.argv[1:]
    model = omega_core.load_model(model_path)
    if way == "compress":
        model.compress(np.load(source))
    else:
        model.decompress(source)
    print(peak_memory())
