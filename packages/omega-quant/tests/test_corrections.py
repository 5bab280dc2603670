"""Corrections of dead-zone quantizers: what is added for the last known symbol of each latent."""

import pytest
import torch
from torch import Tensor

from omega_core.errors import ComponentError
from omega_quant import factored
from omega_quant.omega import OmegaQuantizer

D, C, S = 6, 14, 10
ZERO = S // 2 - 1
STAGES = [3, 5, 6]


def quantizer(rank: int = 1, channels: int = C) -> OmegaQuantizer:
    sizes = {"latent_channels": D, "channels": channels, "alphabet": S, "rank": rank}
    return OmegaQuantizer(**sizes, start="scalar", stages=STAGES, finer=2.0, dead_zone=True)


@pytest.fixture(params=[1, 2], ids=["indexing", "products"])
def omega(request: pytest.FixtureRequest) -> OmegaQuantizer:
    torch.manual_seed(0)
    made = quantizer(request.param)
    torch.nn.init.uniform_(made.correction, -0.3, 0.3)
    return made


@pytest.fixture
def latent(omega: OmegaQuantizer) -> Tensor:
    return (torch.rand(2, D, 5, 4) * 2 - 1) * 1.7


LATENTS = [number for size in STAGES for number in range(size)]


def corrected_one_by_one(omega: OmegaQuantizer, symbols: Tensor, latents: list[int] = LATENTS) -> Tensor:
    """The latent of symbols (B, n, h, w), by its definition: centers of cells, and one correction for each latent.

    latents: those of the channels.
    """
    restored = torch.zeros(len(symbols), D, *symbols.shape[2:])
    last = torch.full_like(restored, -1, dtype=torch.int64)
    for channel, of_channel in enumerate(symbols.unbind(1)):
        known, number = of_channel >= 0, latents[channel]
        restored[:, number] += torch.where(known, omega.table_point[channel, of_channel, 0], 0.0)
        last[:, number] = torch.where(known, channel, last[:, number])
    for index in (last >= 0).nonzero().tolist():
        sample, number, *place = index
        channel = int(last[tuple(index)])
        symbol = int(symbols[sample, channel, place[0], place[1]])
        unit = omega.table_point[channel, ZERO + 1, 0] - omega.table_point[channel, ZERO, 0]
        restored[tuple(index)] += omega.correction[channel, symbol] * unit
    return restored


@pytest.mark.parametrize("kept", [0, 2, 3, 5, 9, C])
def test_only_the_last_known_symbol_of_a_latent_is_corrected(omega: OmegaQuantizer, latent: Tensor, kept: int) -> None:
    symbols = omega.symbols(latent)[:, :kept]
    with torch.no_grad():
        torch.testing.assert_close(omega.latent(symbols), corrected_one_by_one(omega, symbols))


def test_positions_that_miss_later_symbols_are_corrected_where_they_end(omega: OmegaQuantizer, latent: Tensor) -> None:
    ends = torch.randint(0, C + 1, (2, 1, 5, 4))
    symbols = torch.where(torch.arange(C)[:, None, None] < ends, omega.symbols(latent), -1)
    with torch.no_grad():
        torch.testing.assert_close(omega.latent(symbols), corrected_one_by_one(omega, symbols))


def test_a_forward_pass_corrects_what_each_sample_keeps(omega: OmegaQuantizer, latent: Tensor) -> None:
    kept = torch.tensor([4, 12])
    found = omega(latent, kept=kept)
    with torch.no_grad():
        for sample, n in enumerate(kept.tolist()):
            expected = omega.latent(omega.symbols(latent)[sample : sample + 1, :n])
            torch.testing.assert_close(found.latent[sample : sample + 1], expected)


def test_the_latent_of_symbols_trains_corrections_alone(omega: OmegaQuantizer, latent: Tensor) -> None:
    omega.latent(omega.symbols(latent)).square().sum().backward()
    assert {name for name, parameter in omega.named_parameters() if parameter.grad is not None} == {"correction"}
    assert omega.correction.grad is not None
    assert omega.correction.grad[8:].any()
    assert not omega.correction.grad[:8].any()  # of the first two stages, all of whose latents are refined


def test_corrections_learn_the_mean_of_the_values_in_a_cell(omega: OmegaQuantizer) -> None:
    torch.nn.init.zeros_(omega.correction)
    latent = torch.distributions.Laplace(0.0, 0.3).sample((64, D, 8, 8))
    symbols = omega.symbols(latent)
    with torch.no_grad():
        center = omega.latent(symbols)[:, 0]
        unit = float(omega.table_point[8, ZERO + 1, 0])
    optimizer = torch.optim.Adam([omega.correction], 0.02)
    for _ in range(150):
        optimizer.zero_grad()
        (omega.latent(symbols) - latent).square().sum().backward()
        optimizer.step()
    for symbol in (ZERO, ZERO + 1, ZERO - 1, ZERO + 2):  # of the last channel of the first latent
        here = symbols[:, 8] == symbol
        mean = (latent[:, 0] - center)[here].mean() / unit
        assert float(omega.correction[8, symbol].detach()) == pytest.approx(float(mean), abs=0.01)


@pytest.mark.parametrize("order", [[1, 0, 4, 3, 9], [0, 1, 2, *range(8, C)]], ids=["few", "without a stage"])
def test_channels_that_are_selected_keep_their_corrections(
    omega: OmegaQuantizer, latent: Tensor, order: list[int]
) -> None:
    before = omega.correction.detach().clone()
    omega.select_channels(order)
    assert torch.equal(omega.correction, before[order])
    symbols = omega.symbols(latent)
    with torch.no_grad():
        torch.testing.assert_close(
            omega.latent(symbols), corrected_one_by_one(omega, symbols, [LATENTS[c] for c in order])
        )


def test_what_refines_a_channel_is_known_again_after_loading(omega: OmegaQuantizer, latent: Tensor) -> None:
    assert omega.rank is not None
    symbols = omega.symbols(latent)[:, :8]
    expected = omega.latent(symbols)
    omega.select_channels(list(range(8)))
    with torch.device("meta"):
        other = quantizer(omega.rank, channels=8)
    other.load_state_dict(omega.state_dict(), assign=True)
    assert torch.equal(other.child, omega.child)
    torch.testing.assert_close(other.latent(symbols), expected)


def test_there_are_no_cells_without_channels_that_others_refine(latent: Tensor) -> None:
    omega = quantizer()
    omega.cells(omega.symbols(latent))
    omega.select_channels([0, 1, 2, *range(8, C)])
    with pytest.raises(ComponentError):
        omega.cells(omega.symbols(latent))


def test_fitting_leaves_channels_along_their_latents(omega: OmegaQuantizer) -> None:
    omega.relax()
    omega.select_channels([0, 2, 1, *range(3, C)])
    corrections = omega.correction.detach().clone()
    assert omega.child[:3].tolist() == [3, 5, 4]
    omega.fit()
    assert omega.child[:3].tolist() == [3, 5, 4]
    assert torch.equal(omega.correction, corrections)


def test_fitting_puts_channels_along_the_first_latents(omega: OmegaQuantizer) -> None:
    omega.relax()
    with torch.no_grad():
        omega.direction[0] = omega.direction[7]
    omega.fit()
    assert omega.child[:3].tolist() == [3, 4, 5]


def test_symbols_that_are_reset_take_the_correction_of_their_parent(omega: OmegaQuantizer) -> None:
    counts = torch.ones(C, S)
    counts[2] = 0
    counts[2, ZERO] = 1
    before = omega.correction.detach().clone()
    assert omega.reset_dead_symbols(counts, seed=1) == S - 1
    assert torch.equal(omega.correction[2], before[2, ZERO].expand(S))
    assert torch.equal(omega.correction[:2], before[:2])


def test_parts_that_are_indexed_one_after_the_other_give_the_same(
    omega: OmegaQuantizer, latent: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    symbols = omega.symbols(latent)
    with torch.no_grad():
        expected = omega.latent(symbols)
        for name in ("CACHED_POINTS", "POINT_BLOCK"):
            monkeypatch.setattr(factored, name, 3 * symbols[:, 0].numel())
        torch.testing.assert_close(omega.latent(symbols), expected)


def test_training_goes_on_after_inference(omega: OmegaQuantizer, latent: Tensor) -> None:
    with torch.inference_mode():
        symbols = omega.symbols(latent)
        omega.latent(symbols)
    omega.latent(symbols.clone()).square().sum().backward()
    assert omega.correction.grad is not None
