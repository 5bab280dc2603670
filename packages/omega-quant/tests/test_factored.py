"""Ω in the factored form is compared with the definition of the full one, given the products of the factors."""

import copy

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from omega_core.architectures.mnist import MnistArchitecture
from omega_core.codec.complexity import costs
from omega_core.codec.image_codec import ImageCodec
from omega_core.errors import ComponentError
from omega_quant import OmegaQuantizer
from omega_quant.dense_reference import dense_one_hot_max

B, D, C, S, H, W = 5, 6, 9, 8, 3, 2
STAGES = {"stages": [1.0, 2.0], "start": "scalar"}
FORMS = ({"start": "random"}, {"start": "scalar"}, STAGES)
ORDERS = (list(range(C)), [0, 5, 1, 4, 2, 3, 6, 7, 8], [7, 0, 6])
RANKS = (1, 3, D)


@pytest.fixture
def make():
    """make(rank, **options): a quantizer of float64 whose parameters are not those of a special start."""

    def quantizer(rank=2, dtype=torch.float64, **options):
        torch.manual_seed(1)
        omega = OmegaQuantizer(latent_channels=D, channels=C, alphabet=S, rank=rank, **options).double()
        with torch.no_grad():
            for parameter in omega.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        return omega.to(dtype)

    return quantizer


def scalar(channels=D, **options):
    """A quantizer as it starts."""
    torch.manual_seed(0)
    return OmegaQuantizer(**{"latent_channels": D, "channels": channels, "alphabet": S, "start": "scalar", **options})


def dense(omega, latent, lengths_CTS, kept):
    """One sample after the other: stages see everything that those before say, on their grid, kept or not."""
    rectify = torch.relu if omega.rectified else lambda x: x
    stage = omega.stage if omega.stage_count > 1 else torch.zeros(omega.channels, dtype=torch.int64)
    weight_CSD = torch.einsum("csk,ckd->csd", omega.slope, omega.direction)
    table_CSD = torch.einsum("csk,ckd->csd", omega.table_point, omega.table_direction)
    latents, bits = [], []
    for sample, n in zip(latent, kept.tolist(), strict=True):
        rest = rectify(sample.flatten(1).T[None])
        y, cost = torch.zeros_like(rest), rest.new_zeros(1)
        for number in range(omega.stage_count):
            members = (stage == number).nonzero()[:, 0]
            given = weight_CSD[members], omega.bias[members], omega.log_temperature.exp()[members], table_CSD[members]
            own = dense_one_hot_max(rest, *given, lengths_CTS[members], (members < n).sum()[None])
            whole, _, chosen = dense_one_hot_max(rest, *given, lengths_CTS[members], torch.tensor([len(members)]))
            y, cost = y + own[0], cost + own[1]
            if omega.stage_count > 1:
                rest = rest - (whole + (on_the_grid(omega, members, chosen[0]) - whole).detach())
        latents.append(rectify(y + omega.table_bias)[0].T.unflatten(1, latent.shape[2:]))
        bits.append(cost)
    return torch.stack(latents), torch.cat(bits)


def on_the_grid(omega, members, chosen_CP):
    """What later stages see subtracted of one sample: (P, D)."""
    total = 0.0
    for c, symbols in zip(members.tolist(), chosen_CP, strict=True):
        for k, direction in enumerate(omega.direction[c]):
            total = total + omega.grid[c, symbols, k][:, None] * direction / direction.dot(direction)
    return total


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("per_position", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
@pytest.mark.parametrize(
    ("order", "kept", "size"),
    [
        (ORDERS[0], [2, 0, C, 1, 7], (H, W)),
        (ORDERS[0], [C], (H, W)),
        (ORDERS[0], [4, 0, C - 1], (1, 1)),
        (ORDERS[1], [2, 0, C, C - 1, 1], (H, W)),
        (ORDERS[2], [3, 1, 2], (H, W)),
    ],
)
def test_values_and_all_gradients_are_those_of_the_definition(
    make, table_prior, normal, rank, form, per_position, dtype, tolerance, order, kept, size
):
    """Both are compared with the definition in float64, as sums in float32 err by what the processor makes of them."""
    omega = make(rank, dtype, **form)
    omega.select_channels(order)
    kept = torch.tensor(kept)
    latent = (2 * normal(len(kept), D, *size, seed=2, dtype=dtype)).requires_grad_()
    tables = size[0] * size[1] if per_position else 1
    prior = table_prior(normal(len(order), tables, S, seed=3, dtype=dtype).square())
    weights = normal(*latent.shape, seed=8, dtype=dtype), normal(len(kept), seed=9, dtype=dtype)

    def with_gradients(quantizer, latent, lengths, y, bits):
        inputs = {"latent": latent, "lengths": lengths, **dict(quantizer.named_parameters())}
        loss = (y * weights[0].to(y)).sum() + (bits * weights[1].to(y)).sum()
        return {"y_hat": y, "bits": bits} | dict(
            zip(inputs, torch.autograd.grad(loss, list(inputs.values())), strict=True)
        )

    def by_definition(quantizer, latent, lengths):
        return with_gradients(quantizer, latent, lengths, *dense(quantizer, latent, lengths, kept))

    quantized = omega(latent, prior, kept)
    assert quantized.latent.dtype == quantized.bits.dtype == dtype
    found = with_gradients(omega, latent, prior.lengths, quantized.latent, quantized.bits)
    defined = by_definition(omega, latent, prior.lengths)
    doubled = (each.detach().double().requires_grad_() for each in (latent, prior.lengths))
    exact = by_definition(copy.deepcopy(omega).double(), *doubled)
    for name, wanted in exact.items():
        error, of_definition = ((each[name] - wanted).abs().max() for each in (found, defined))
        assert error <= tolerance * wanted.abs().max() + of_definition, name
        assert wanted.abs().max() > 0, f"{name}: nothing was compared"


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("order", ORDERS)
def test_coding_agrees_with_training_for_any_prefix(make, normal, rank, form, order):
    omega, latent = make(rank, **form), 2 * normal(B, D, H, W, dtype=torch.float64)
    omega.select_channels(order)
    symbols = omega.symbols(latent)
    assert symbols.dtype == torch.int64
    assert symbols.shape == (B, len(order), H, W)
    for n in range(len(order) + 1):
        found = omega(latent, None, torch.full((B,), n))
        assert torch.equal(found.symbols[:, :n], symbols[:, :n])
        torch.testing.assert_close(found.latent, omega.latent(symbols[:, :n]))


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize(
    "options",
    [{"channels": 4}, {"channels": D}, {"channels": 9}, {"channels": 2 * D, "stages": [1, 1]}, {"stages": [1, 2]}],
)
def test_a_scalar_start_is_that_of_the_full_form(normal, rank, options):
    full, factored = scalar(**options), scalar(**options, rank=rank)
    with torch.no_grad():  # where directions are any orthogonal ones, there are others in each form
        factored.direction[:, 0] = factored.table_direction[:, 0] = full.weight[:, 0] / factored.slope[:, :1, 0]
    latent = 4 * normal(3, D, H, W)
    symbols = full.symbols(latent)
    assert torch.equal(factored.symbols(latent), symbols)
    torch.testing.assert_close(factored.latent(symbols), full.latent(symbols))


@pytest.mark.parametrize("channels", [2, D, 9])
def test_a_scalar_start_has_orthogonal_directions(channels):
    omega = scalar(channels, rank=2)
    first = omega.direction[:, 0]
    gram = first @ first.T if channels <= D else first.T @ first
    torch.testing.assert_close(gram, torch.eye(min(channels, D)))
    if channels <= D:
        both = omega.direction @ omega.direction.transpose(1, 2)
        torch.testing.assert_close(both, torch.eye(2).expand(channels, 2, 2))


def test_a_stage_with_fewer_channels_starts_with_the_first_latents():
    omega = scalar(9, stages=[1, 2], rank=1)
    assert omega.stage.tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert torch.equal(omega.direction[:, 0], torch.eye(D)[[0, 1, 2, 0, 1, 2, 3, 4, 5]])


@pytest.mark.parametrize("finer", [3, 5])
@pytest.mark.parametrize("seed", range(5))
def test_the_digits_of_all_stages_are_one_uniform_quantizer_of_the_finest_step(finer, seed):
    omega = scalar(3 * D, stages=[1, 1, 1], finer=finer, rank=1).double()
    lowest = -(S // 2 - 1)
    random = torch.Generator().manual_seed(seed)
    inside = S * torch.rand(20, D, H, W, generator=random, dtype=torch.float64) + lowest - 0.5
    inside[:10] = (finer**2 * inside[:10]).round() / finer**2 + 0.49 / finer**2  # close to the bounds of cells
    digits = (omega.symbols(inside) + lowest).unflatten(1, (3, D))
    steps = torch.tensor([finer**2, finer, 1])[:, None, None, None]
    assert torch.equal((steps * digits).sum(dim=1), (finer**2 * inside).round().long())
    half = finer // 2
    assert digits[:, 1:].abs().max() == half
    torch.testing.assert_close(omega.latent(omega.symbols(inside)), (finer**2 * inside).round() / finer**2)


def test_symbols_do_not_depend_on_what_decodes_them(make, normal):
    omega, latent = make(**STAGES), 2 * normal(B, D, H, W, dtype=torch.float64)
    symbols, before = omega.symbols(latent), omega.latent(omega.symbols(latent))
    with torch.no_grad():
        for parameter in (omega.table_point, omega.table_direction, omega.table_bias):
            parameter.add_(torch.randn_like(parameter))
    assert torch.equal(omega.symbols(latent), symbols)
    assert torch.equal(omega(latent).symbols, symbols)
    assert not torch.allclose(omega.latent(symbols), before)


def test_the_latent_of_symbols_has_a_gradient_to_the_table_alone(make, normal):
    omega, latent = make(**STAGES), 2 * normal(B, D, H, W, dtype=torch.float64)
    omega.latent(omega.symbols(latent)).square().sum().backward()
    trained = {name for name, parameter in omega.named_parameters() if parameter.grad is not None}
    assert trained == {"table_direction", "table_point", "table_bias"}


def test_the_grid_is_no_parameter_and_only_there_for_stages(make):
    assert "grid" in make(**STAGES).state_dict()
    assert "grid" not in dict(make(**STAGES).named_parameters())
    for start in ("random", "scalar"):
        assert set(make(start=start).state_dict()) == {
            *("direction", "slope", "bias", "table_direction", "table_point", "table_bias", "log_temperature"),
            "prefix_fineness",
        }


@pytest.mark.parametrize("order", ORDERS)
def test_a_model_with_fewer_channels_is_made_anew_and_loaded(make, normal, order):
    omega, latent = make(**STAGES), 2 * normal(B, D, H, W, dtype=torch.float64)
    omega.select_channels(order)
    again = OmegaQuantizer(latent_channels=D, channels=len(order), alphabet=S, rank=2, **STAGES).double()
    again.load_state_dict(omega.state_dict())
    assert torch.equal(again.symbols(latent), omega.symbols(latent))
    assert torch.equal(again(latent).latent, omega(latent).latent)


def test_reset_symbols_lie_by_those_that_are_chosen_and_later_stages_see_the_same_subtracted(make):
    omega, before = make(**STAGES), make(**STAGES)
    counts = torch.ones(C, S)
    counts[2, 1:] = 0
    assert omega.reset_dead_symbols(counts, seed=1) == S - 1
    for name in ("slope", "bias", "table_point"):
        now, then = getattr(omega, name)[2], getattr(before, name)[2]
        assert (now[1:] - then[0]).abs().max() < 0.2 * then.std()
        assert not torch.equal(now[1], now[2])
    assert torch.equal(omega.grid[2], before.grid[2, :1].expand(S, -1))
    untouched = [c for c in range(C) if c != 2]
    assert torch.equal(omega.slope[untouched], before.slope[untouched])


def test_a_random_start_has_products_as_large_as_the_weights_of_the_full_form():
    torch.manual_seed(0)
    sizes = {"latent_channels": 64, "channels": 100, "alphabet": 32}
    full = OmegaQuantizer(**sizes)
    for rank in (1, 4):
        factored = OmegaQuantizer(**sizes, rank=rank)
        weight = torch.einsum("csk,ckd->csd", factored.slope, factored.direction)
        table = torch.einsum("csk,ckd->csd", factored.table_point, factored.table_direction)
        assert weight.std().item() == pytest.approx(full.weight.std().item(), rel=0.1)
        assert table.std().item() == pytest.approx(full.table.std().item(), rel=0.1)


@pytest.mark.parametrize("form", FORMS)
def test_autocast_changes_neither_symbols_nor_gradients(make, normal, form):
    omega, results = make(dtype=torch.float32, **form), []
    for enabled in (False, True):
        latent = (2 * normal(B, D, H, W)).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            found = omega(latent)
            found.latent.square().sum().backward()
            results.append([found.symbols, omega.symbols(latent), found.latent, latent.grad])
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("rank", [1, 4])
@pytest.mark.parametrize("options", [{}, STAGES])
def test_its_products_and_numbers_are_counted(rank, options):
    d, c, s = 32, 12, 16
    omega = OmegaQuantizer(latent_channels=d, channels=c, alphabet=s, rank=rank, **options)
    for directions in (omega.direction, omega.table_direction):  # along no latent, as after training
        torch.nn.init.normal_(directions)
    (cost,) = (x for x in costs(ImageCodec(MnistArchitecture(latent_channels=d), omega)) if x.part == "quantizer")
    products = 2 * c * rank * d + (c * s * (rank + 1) if rank > 1 else 0)  # of rank 1, thresholds are compared
    if options:
        products += c // 3 * rank * d  # for what the second stage sees
    assert cost.kmac_per_pixel == pytest.approx(9 * products / 784 / 1000)
    assert cost.parameters == 2 * c * rank * (d + s) + c * s + c + d


@pytest.mark.parametrize("options", [{}, {"dead_zone": True, "finer": 2.0, "stages": [4, 5]}])
def test_channels_along_latents_take_no_products_and_give_the_same(normal, options):
    aligned, latent = (
        scalar(C, **{**STAGES, "rank": 1, **options}).double(),
        2 * normal(B, D, H, W, dtype=torch.float64),
    )
    if aligned.dead_zone:
        torch.nn.init.uniform_(aligned.correction, -0.3, 0.3)
    turned = copy.deepcopy(aligned)
    with torch.no_grad():  # by so little that nothing changes but the way of computing
        turned.direction[:, 0, 0] += 1e-14
        turned.table_direction[:, 0, 0] += 1e-14
        assert torch.equal(aligned.symbols(latent), turned.symbols(latent))
        symbols = aligned.symbols(latent)
        symbols[torch.rand(symbols.shape) < 0.3] = -1
        torch.testing.assert_close(aligned.latent(symbols), turned.latent(symbols))
        with FlopCounterMode(display=False) as counter:
            aligned.latent(aligned.symbols(latent))
    assert counter.get_total_flops() == 0


@pytest.mark.parametrize(("rank", "most", "sizes"), [(0, 6, (D, S)), (-1, 6, (D, S)), (7, 6, (D, S)), (5, 4, (D, 4))])
def test_a_rank_that_cannot_be_is_refused(rank, most, sizes):
    with pytest.raises(ComponentError, match=rf"from 1 to {most}, .* not {rank}\."):
        OmegaQuantizer(latent_channels=sizes[0], channels=C, alphabet=sizes[1], rank=rank)


def test_what_decodes_has_gradients_where_directions_are_along_latents():
    omega = scalar(rank=1)
    omega.latent(torch.randint(0, S, (B, D, H, W))).square().sum().backward()
    assert omega.table_direction.grad.any()
    assert omega.table_point.grad.any()
