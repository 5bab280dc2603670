"""The memory that decoding takes in a process of its own, against the bound that is known before."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from omega_core import load_model

DECODE = """
import ctypes, gc, json, sys
import numpy as np, torch
from omega_core import load_model
from omega_core.codec.model import _coder
from omega_core.format.file import OmegaFile
from omega_core.format.header import Header

torch.set_num_threads(1)
name, side, tile = sys.argv[1], *map(int, sys.argv[2:])
model = load_model(name)
size = model.codec.architecture.latent_size(side, side)
symbols = np.random.default_rng(0).integers(0, 2, (model.channels, *size))
coder = "omega-entropy/fixed"
coded = model.file_codec.coded([symbols])
stream, [length] = coded.encode(_coder(coder), [symbols.size])
header = Header(
    fingerprint=bytes.fromhex(model.fingerprint)[:4], coder=coder, mode="RGB", sizes=((side, side),), length=length,
    tile=tile or None,
)
data = OmegaFile(header, stream).to_bytes()
del symbols, stream, coded
model.memory

def bytes_of(what):
    return next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith(what))

gc.collect()
getattr(ctypes.CDLL(None), "malloc_trim", lambda kept: None)(0)  # what was freed would be taken again, unseen
open("/proc/self/clear_refs", "w").write("5")  # the peak is now what there is
before = bytes_of("VmRSS")
model.decompress(data).save("/dev/null", "PPM")
needed = model.memory.needed([(side, side)], tile or None)
print(json.dumps({"taken": bytes_of("VmHWM") - before, "needed": needed}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize(
    ("model", "side", "tile"), [("compact", 800, 0), ("compact", 1100, 256), ("compact-screen", 600, 256)]
)
def test_decoding_takes_no_more_memory_than_was_foretold_nor_far_less(model, side, tile):
    arguments = [model, str(side), str(tile)]
    ran = subprocess.run([sys.executable, "-c", DECODE, *arguments], check=True, capture_output=True, text=True)
    found = json.loads(ran.stdout)
    assert found["taken"] <= found["needed"] <= 5 * found["taken"]


def test_steps_with_more_symbols_take_more_memory():
    prior = load_model("compact-small").file_codec.prior
    sizes = np.diff(prior.net.bounds)
    early = replace(prior, order=replace(prior.order, latest=np.repeat(np.arange(len(sizes)), sizes)))
    assert early.coding_memory + 5 < prior.coding_memory < 90
