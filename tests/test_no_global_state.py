"""A call of the library leaves the state of the process as it was."""

import gc
import io
import logging
import os
import random
import signal
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

import omega_core
from omega_core import ImageCodec
from omega_core.coding.order import SymbolArrays, in_order
from omega_core.plugins.registry import resolve
from omega_train import load_recipe, train


def flushes_subnormal_numbers():
    return float(torch.tensor(1e-38) * torch.tensor(1e-3)) == 0


def state():
    mask = os.umask(0)
    os.umask(mask)
    return {
        "torch": (
            torch.get_default_dtype(),
            torch.get_num_threads(),
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.get_float32_matmul_precision(),
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.deterministic,
            torch.backends.mkldnn.enabled,
            torch.is_autocast_enabled("cpu"),
            flushes_subnormal_numbers(),
        ),
        "random numbers": (
            torch.get_rng_state().tolist(),
            random.getstate(),
            tuple(np.random.get_state(legacy=True)[1].tolist()),  # noqa: NPY002 - the state of others
        ),
        "warnings": list(warnings.filters),
        "logging": (logging.root.level, list(logging.root.handlers), logging.raiseExceptions, logging.root.disabled),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "Pillow": (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, ImageFile.MAXBLOCK),
        "process": (Path.cwd(), mask, dict(os.environ), gc.isenabled()),
    }


def compress_and_decompress():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 56, 4), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    data = omega_core.compress(file.getvalue())
    omega_core.decompress(omega_core.truncate(data, max_bytes=len(data) - 30))


def fail_to_read():
    for damaged in (b"", b"\x89PNG\r\n\x1a\n" + bytes(40), b"OMEGA"):
        with pytest.raises(omega_core.OmegaError):
            omega_core.compress(damaged)
        with pytest.raises(omega_core.OmegaError):
            omega_core.decompress(damaged)


def code_symbols():
    prior = omega_core.load_model("mnist-omega-16").file_codec.prior
    tables = in_order(prior, SymbolArrays.of([np.zeros((16, 3, 3), np.int64)]))[1]
    symbols = np.zeros(tables.size, np.int64)
    coder = resolve("coder", "range")()
    coder.decode(coder.encode(symbols, tables, [tables.size])[0], tables)


def train_a_codec_by_hand():
    codec = ImageCodec.from_names("mnist", "omega", "static", latent_channels=4, channels=4, alphabet=8)
    codec(torch.zeros(2, 1, 28, 28)).bits.sum().backward()


def list_everything():
    omega_core.list_models()
    omega_core.describe(omega_core.compress(Image.new("RGB", (32, 32))))


@pytest.mark.parametrize("call", [compress_and_decompress, fail_to_read, code_symbols, list_everything])
def test_a_call_changes_no_state_of_the_process(call):
    call()  # imports are made once
    before = state()
    call()
    after = state()
    for part in before:
        assert after[part] == before[part], part


def test_a_codec_of_ones_own_draws_random_numbers_and_changes_nothing_else():
    train_a_codec_by_hand()
    before = state()
    train_a_codec_by_hand()
    after = state()
    for part in before.keys() - {"random numbers"}:
        assert after[part] == before[part], part


def test_a_training_run_restores_what_it_sets(tmp_path):
    def run(name):
        data = {"training": 512, "validation": 64}
        recipe = load_recipe("glyphs-omega-8", {"steps": 2, "validate-every": 2, "dataset-options": data})
        train(recipe, tmp_path / name)

    run("first")
    before = state()
    run("second")
    after = state()
    for part in before.keys() - {"random numbers"}:
        assert after[part] == before[part], part
