import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from omega_core.errors import ComponentError
from omega_entropy import StaticPrior

C, S, H, W = 3, 5, 2, 2
SIZE = (H, W)


@pytest.fixture(scope="module")
def batch():
    """Symbols (B, C, h, w), and how many channels of each sample are kept."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(S, (7, C, H, W), generator=generator), torch.tensor([0, 1, 2, C, C, 1, 2])


def counted(symbols, kept, tables):
    """Counts (C, tables, S), one by one."""
    counts = np.zeros((C, tables, S))
    for sample, channels in zip(symbols.numpy(), kept.tolist(), strict=True):
        for c in range(channels):
            for position, symbol in enumerate(sample[c].reshape(-1)):
                counts[c, position % tables, symbol] += 1
    return counts


def make(size=SIZE, **options):
    return StaticPrior(channels=C, alphabet=S, latent_size=size, **options)


@pytest.mark.parametrize(("size", "per_position", "tables"), [(SIZE, True, H * W), (SIZE, False, 1), (None, True, 1)])
def test_probabilities_are_the_relative_frequencies_of_kept_channels(batch, size, per_position, tables):
    prior = make(size, per_position=per_position, smoothing=0.1)
    prior.observe(*batch)
    counts = counted(*batch, tables)
    assert np.array_equal(prior.seen.counts.numpy(), counts)
    expected = (counts + 0.1) / (counts + 0.1).sum(axis=2, keepdims=True)
    np.testing.assert_allclose(prior.probabilities().numpy(), expected, rtol=1e-12)


def test_before_anything_was_seen_all_symbols_are_as_likely():
    torch.testing.assert_close(make().code_lengths(*SIZE), torch.full((C, H * W, S), np.log2(S), dtype=torch.float64))


def test_code_lengths_are_the_logarithms_of_the_probabilities(batch):
    prior = make()
    prior.observe(*batch)
    lengths = prior.code_lengths(*SIZE)
    assert lengths.shape == (C, H * W, S)
    assert torch.equal(lengths, -prior.probabilities().log2())
    torch.testing.assert_close((2**-lengths).sum(dim=2), torch.ones(C, H * W, dtype=torch.float64))


def test_counts_are_a_moving_average(batch):
    symbols, kept = batch
    prior = make(decay=0.75)
    expected = np.zeros((C, H * W, S))
    for part in (slice(0, 3), slice(3, 5), slice(5, 7)):
        prior.observe(symbols[part], kept[part])
        expected = 0.75 * expected + counted(symbols[part], kept[part], H * W)
    np.testing.assert_allclose(prior.seen.counts.numpy(), expected, rtol=1e-12)


def test_recounting_forgets_and_no_longer_decays(batch):
    symbols, kept = batch
    prior = make(decay=0.5)
    prior.observe(symbols.flip(0), kept)
    prior.recount()
    for part in (slice(0, 3), slice(3, 5), slice(5, 7)):
        prior.observe(symbols[part], kept[part])
    assert np.array_equal(prior.seen.counts.numpy(), counted(symbols, kept, H * W))


def test_without_a_fixed_size_every_size_counts(batch):
    prior = make(None, decay=0.0)
    prior.observe(torch.full((2, C, 3, 5), 4), torch.tensor([C, 1]))
    assert prior.seen.counts[:, 0, 4].tolist() == [30.0, 15.0, 15.0]
    assert prior.code_lengths(7, 9).shape == (C, 1, S)


def test_another_size_than_the_fixed_one_is_an_error():
    with pytest.raises(ValueError, match=r"latents of \(2, 2\), not \(2, 3\)"):
        make().code_lengths(2, 3)


def test_counts_travel_in_the_state_dict_and_are_not_parameters(batch):
    prior, other = make(), make()
    prior.observe(*batch)
    other.load_state_dict(prior.state_dict())
    assert torch.equal(other.seen.counts, prior.seen.counts)
    assert not list(prior.parameters())
    assert prior.observes


@pytest.mark.parametrize("smoothing", [0.1, 5.0])
def test_frozen_tables_are_as_close_to_the_probabilities_as_16_bits_can_be(smoothing):
    prior = make(smoothing=smoothing)
    generator = torch.Generator().manual_seed(1)
    prior.observe((torch.rand(500, C, H, W, generator=generator).square() * S).long(), torch.full((500,), C))
    frozen = prior.freeze()
    counts = np.diff(frozen.cumulative, axis=1).reshape(C, H * W, S)
    assert frozen.rows.shape == (C, H * W)
    assert np.abs(counts / 2**16 - prior.probabilities().numpy()).max() <= 2 / 2**16


def test_a_symbol_never_seen_can_be_coded_still():
    prior = make(None, smoothing=1e-6)
    prior.observe(torch.zeros(10_000, C, H, W, dtype=torch.int64), torch.full((10_000,), C))
    counts = np.diff(prior.freeze().cumulative, axis=1)
    assert counts.tolist() == [[2**16 - S + 1, *[1] * (S - 1)]] * C


@pytest.mark.parametrize(
    ("options", "message"),
    [({"decay": 1.0}, "not 1.0"), ({"decay": -0.1}, "not -0.1"), ({"smoothing": 0.0}, "above 0, not 0.0")],
)
def test_options_that_make_no_sense_are_named(options, message):
    with pytest.raises(ComponentError, match=message):
        make(**options)


PROCESS = """
import json, sys
import torch
from omega_entropy import StaticPrior

rank, store, symbols, kept = json.loads(sys.argv[1])
torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
prior = StaticPrior(channels=3, alphabet=5, latent_size=(2, 2), decay=0.75)
for recount in (False, True):
    if recount:
        prior.recount()
    for _ in range(2):
        prior.observe(torch.tensor(symbols), torch.tensor(kept))
    print(json.dumps(prior.seen.counts.tolist()))
torch.distributed.destroy_process_group()
"""


def test_two_processes_count_what_one_would_with_their_batches_joined(batch, tmp_path):
    symbols, kept = batch
    store = (tmp_path / "store").as_uri()
    parts = [(slice(0, 3), 0), (slice(3, 7), 1)]
    running = []
    for part, rank in parts:
        job = json.dumps([rank, store, symbols[part].tolist(), kept[part].tolist()])
        command = [sys.executable, "-c", PROCESS, job]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    outputs = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0], outputs
    alone = make(decay=0.75)
    expected = []
    for recount in (False, True):
        if recount:
            alone.recount()
        for _ in range(2):
            alone.observe(symbols, kept)
        expected.append(alone.seen.counts.tolist())
    for output, _ in outputs:
        assert [json.loads(line) for line in output.splitlines()] == expected


def test_counts_stay_float64_where_a_model_gets_another_type(batch):
    prior = make(size=None)
    prior.observe(*batch)
    before = prior.code_lengths(*SIZE)
    for changed in (prior.half(), prior.to("cpu", torch.float32), prior.to(torch.bfloat16)):
        assert changed.seen.counts.dtype == torch.float64
        assert torch.equal(changed.code_lengths(*SIZE), before)
    assert prior.to("meta", torch.float32).seen.counts.is_meta


def test_symbols_of_another_size_than_the_fixed_one_are_not_counted(batch):
    symbols, kept = batch
    with pytest.raises(ValueError, match="these counts are for"):
        make().observe(symbols[:, :, :1], kept)
