"""Cells of scalar quantizers that Ω starts from."""

import pytest
import torch

from omega_core.errors import ComponentError
from omega_quant.omega import OmegaQuantizer
from omega_quant.scalar_cells import Cells


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def nearest(cells: Cells, x: torch.Tensor) -> torch.Tensor:
    return (cells.slope * x[:, None] + cells.bias).abs().argmin(1)


def dead_zone(x: torch.Tensor, step: float) -> torch.Tensor:
    """|x| rounded down to steps, and points in the middle of cells."""
    places = x / step
    whole = places.abs().floor()
    return torch.where(whole == 0, 0.0, places.sign() * (whole + 0.5)) * step


def quantizer(**options: object) -> OmegaQuantizer:
    settings: dict[str, object] = {
        "latent_channels": 6,
        "channels": 14,
        "alphabet": 16,
        "start": "scalar",
        "rank": 1,
        "stages": [3, 5, 6],
        "finer": 2.0,
        "dead_zone": True,
    }
    return OmegaQuantizer(**{**settings, **options})  # type: ignore[arg-type]


def test_uniform_cells_are_whole_numbers() -> None:
    x = torch.linspace(-6.9, 7.9, 400)
    assert torch.equal(nearest(Cells.uniform(16), x) - 7, x.round().long())


def test_the_cell_around_0_of_a_dead_zone_is_twice_as_wide_as_others() -> None:
    cells, x = Cells.dead_zone(16), torch.linspace(-6.95, 7.95, 400)
    symbols = nearest(cells, x)
    assert torch.equal(symbols - 7, (x.sign() * x.abs().floor()).long())
    torch.testing.assert_close(cells.point[symbols], dead_zone(x, 1.0))


def test_a_later_stage_halves_every_cell_of_the_one_before() -> None:
    coarse, fine = Cells.dead_zone(16), Cells.halves(16)
    x = torch.linspace(-6.98, 6.98, 997)
    first = nearest(coarse, x)
    left = (x - coarse.grid[first]) * 2  # in steps of the later stage
    second = nearest(fine, left)
    torch.testing.assert_close(coarse.point[first] + fine.point[second] / 2, dead_zone(x, 0.5))
    assert set((second - 7).tolist()) == {-1, 0, 1, 2, 3}
    was_zero = first == 7
    assert set((second[was_zero] - 7).tolist()) == {-1, 0, 1}
    assert set((second[~was_zero] - 7).tolist()) == {2, 3}


def test_all_prefixes_of_stages_are_dead_zone_quantizers_of_their_steps() -> None:
    latent = (torch.rand(2, 6, 9, 7) * 2 - 1) * 1.7
    omega = quantizer()
    symbols = omega.symbols(latent)
    with torch.no_grad():
        for kept, step, channels in ((3, 1.0, 3), (8, 0.5, 5), (14, 0.25, 6)):
            restored = omega.latent(symbols[:, :kept])
            torch.testing.assert_close(restored[:, :channels], dead_zone(latent[:, :channels], step))
            assert not restored[:, channels:].any()


def levels_of(omega: OmegaQuantizer, symbols: torch.Tensor) -> list[torch.Tensor]:
    """The level after each channel's symbols, as the refinement tells it."""
    told, levels = omega.refinement(), list[torch.Tensor]()
    for parent, of_channel in zip(told.parents, symbols.unbind(1), strict=True):
        before = levels[parent] if parent >= 0 else torch.zeros_like(of_channel)
        levels.append(told.levels[before + 31, of_channel])
    return levels


def test_levels_of_stages_are_the_numbers_of_their_dead_zone_quantizers() -> None:
    latent = (torch.rand(2, 6, 9, 7) * 2 - 1) * 1.7
    omega = quantizer()
    levels = levels_of(omega, omega.symbols(latent))
    of_stages = [(1.0, channel) for channel in range(3)] + [(0.5, c) for c in range(5)] + [(0.25, c) for c in range(6)]
    for (step, channel), level in zip(of_stages, levels, strict=True):
        places = latent[:, channel] / step
        assert torch.equal(level, (places.sign() * places.abs().floor()).long())


def test_a_channel_refines_that_of_the_same_latent_in_the_stage_before() -> None:
    omega = quantizer()
    assert omega.refinement().parents == [-1, -1, -1, 0, 1, 2, -1, -1, 3, 4, 5, 6, 7, -1]
    omega.select_channels([1, 0, 4, 3, 9])
    assert omega.refinement().parents == [-1, -1, 0, 1, 2]


@pytest.mark.parametrize("options", [{}, {"dead_zone": False}])
def test_the_size_of_a_refinement_is_the_squared_distance_of_its_first_two_levels(options: dict[str, object]) -> None:
    omega = quantizer(**options)
    symbols = torch.full((1, 14, 1, 1), 7)
    with torch.no_grad():
        zero = omega.latent(symbols)
        for channel, size in enumerate(omega.refinement().sizes):
            one = symbols.clone()
            one[:, channel] = 8
            assert float((omega.latent(one) - zero).square().sum()) == pytest.approx(size, rel=1e-4)


def test_without_dead_zones_symbols_refine_nothing() -> None:
    told = quantizer(dead_zone=False).refinement()
    assert told.parents == [-1] * 14
    assert (told.levels == torch.arange(16) - 7).all()


def test_missing_symbols_leave_out_the_last_stages_of_a_position() -> None:
    latent, omega = torch.randn(2, 6, 5, 4), quantizer()
    symbols = omega.symbols(latent)
    kept = torch.randint(0, 15, (2, 1, 5, 4))
    partly = torch.where(torch.arange(14)[:, None, None] < kept, symbols, -1)
    with torch.no_grad():
        found = omega.latent(partly)
        for n in range(15):
            here = (kept == n).expand_as(found)
            torch.testing.assert_close(found[here], omega.latent(symbols[:, :n])[here])


def test_a_forward_pass_has_the_same_symbols_and_latent() -> None:
    latent, omega = torch.randn(2, 6, 5, 4), quantizer()
    quantized = omega(latent)
    assert torch.equal(quantized.symbols, omega.symbols(latent))
    torch.testing.assert_close(quantized.latent, omega.latent(quantized.symbols))


@pytest.mark.parametrize(
    "options",
    [{"rank": None}, {"stages": [1.0]}, {"finer": 3.0}, {"alphabet": 5}, {"stages": [6, 5, 3]}],
    ids=["full", "one stage", "other steps", "few symbols", "shrinking"],
)
def test_dead_zones_that_cannot_be_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ComponentError, match="dead zones need a rank, two or more stages"):
        quantizer(**options)


@pytest.mark.parametrize("steps", [[0.1, 1.0], [1.0, 1.0], [1.0, 0.0], [1.0], [4.0, 2.0, 1.0]])
def test_relaxed_steps_have_the_coarser_first(steps: list[float]) -> None:
    with pytest.raises(ComponentError, match="two steps above 0, the coarser first"):
        quantizer(relaxed_steps=steps)


@pytest.mark.parametrize(("stages", "channels"), [([1, 1, 1], 11), ([1, 1, 1, 1, 1], 22)])
def test_stages_of_equal_sizes_do_not_shrink_where_they_are_rounded(stages: list[float], channels: int) -> None:
    omega = quantizer(stages=stages, channels=channels, latent_channels=5)
    latent = torch.rand(1, 5, 30, 30) * 0.8 - 0.4
    symbols = omega.symbols(latent)
    lower, upper = omega.cells(symbols)
    inside = (latent >= lower - 1e-5) & (latent <= upper + 1e-5)
    assert inside.all()
    sizes = torch.bincount(omega.stage).tolist()
    assert sizes == sorted(sizes)


def test_a_stage_has_at_most_as_many_channels_as_the_latent() -> None:
    with pytest.raises(ComponentError, match="at most 6 channels"):
        quantizer(stages=[1, 1], channels=14)


def test_a_channel_without_the_one_that_it_was_made_to_refine_has_no_cells() -> None:
    for dropped in ([0, 3], [1, 9], [3]):
        omega = quantizer()
        omega.select_channels([c for c in range(14) if c not in dropped])
        loaded = quantizer(channels=omega.channels)
        loaded.load_state_dict(omega.state_dict())
        for each in (omega, loaded):
            with pytest.raises(ComponentError, match="channels are missing that others refine"):
                each.cells(torch.zeros(1, omega.channels, 1, 1, dtype=torch.int64))
