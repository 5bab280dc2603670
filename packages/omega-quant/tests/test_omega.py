"""Ω is compared with its literal definition: one-hot tensors, and `hard + soft - soft.detach()`."""

import pytest
import torch

from omega_core.errors import ComponentError
from omega_quant import OmegaQuantizer
from omega_quant.dense_reference import dense_one_hot_max

B, D, C, S, H, W = 5, 6, 4, 8, 3, 2
KEPT = torch.tensor([2, 0, C, 1, 3])
STARTS = ("random", "scalar")


@pytest.fixture
def make():
    """make(start, dtype=float64): a quantizer whose parameters are not those of a special start."""

    def quantizer(start, dtype=torch.float64, channels=C, **options):
        torch.manual_seed(1)
        omega = OmegaQuantizer(latent_channels=D, channels=channels, alphabet=S, start=start, **options)
        with torch.no_grad():
            for parameter in omega.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        return omega.to(dtype)

    return quantizer


def dense(omega, latent, lengths_CTS, kept):
    """Ω as its paper defines it."""
    rectify = torch.relu if omega.rectified else lambda x: x
    z = rectify(latent).flatten(2).transpose(1, 2)
    parameters = omega.weight, omega.bias, omega.log_temperature.exp(), omega.table
    y, bits, chosen = dense_one_hot_max(z, *parameters, lengths_CTS, kept)
    dequantized = rectify(y + omega.table_bias).transpose(1, 2).unflatten(2, latent.shape[2:])
    return dequantized, bits, chosen.unflatten(2, latent.shape[2:])


def gradients(latent_hat, bits, inputs, normal):
    """Those of a loss in which every output has a weight of its own."""
    weights = normal(*latent_hat.shape, seed=8, dtype=latent_hat.dtype), normal(len(bits), seed=9, dtype=bits.dtype)
    loss = (latent_hat * weights[0]).sum() + (bits * weights[1]).sum()
    return torch.autograd.grad(loss, inputs)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("per_position", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
@pytest.mark.parametrize(
    ("kept", "size"),
    [
        (KEPT, (H, W)),
        (torch.tensor([C]), (H, W)),
        (torch.tensor([2]), (H, W)),
        (torch.tensor([1, 0, C - 1]), (H, W)),
        (KEPT, (1, 1)),
        (torch.tensor([C]), (1, 1)),
    ],
)
def test_values_and_all_gradients_are_those_of_the_dense_definition(
    make, table_prior, normal, start, per_position, dtype, tolerance, kept, size
):
    omega = make(start, dtype)
    latent = normal(len(kept), D, *size, seed=2, dtype=dtype).requires_grad_()
    tables = size[0] * size[1] if per_position else 1
    prior = table_prior(normal(C, tables, S, seed=3, dtype=dtype).square())
    inputs = {"latent": latent, "lengths": prior.lengths, **dict(omega.named_parameters())}

    expected_latent, expected_bits, chosen = dense(omega, latent, prior.lengths, kept)
    expected = gradients(expected_latent, expected_bits, list(inputs.values()), normal)
    found = omega(latent, prior, kept)
    actual = gradients(found.latent, found.bits, list(inputs.values()), normal)

    mask = torch.arange(C) < kept[:, None]
    assert torch.equal(found.symbols[mask], chosen[mask])
    assert found.latent.dtype == found.bits.dtype == dtype
    pairs = zip(("y_hat", "bits", *inputs), (found.latent, found.bits, *actual), strict=True)
    for (name, ours), theirs in zip(pairs, (expected_latent, expected_bits, *expected), strict=True):
        assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max(), name
        assert theirs.abs().max() > 0, f"{name}: nothing was compared"


def test_the_rate_alone_and_the_latent_alone_have_gradients(make, table_prior, normal):
    omega = make("random")
    latent = normal(B, D, H, W, dtype=torch.float64).requires_grad_()
    prior = table_prior(normal(C, 1, S, dtype=torch.float64).square())
    expected_latent, expected_bits, _ = dense(omega, latent, prior.lengths, KEPT)
    found = omega(latent, prior, KEPT)
    for ours, theirs in ((found.latent, expected_latent), (found.bits, expected_bits)):
        (actual,), (expected,) = (
            torch.autograd.grad(x.square().sum(), latent, retain_graph=True) for x in (ours, theirs)
        )
        torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-12)


def test_symbols_have_no_gradient(make, normal):
    assert not make("random")(normal(B, D, H, W, dtype=torch.float64).requires_grad_()).symbols.requires_grad


def test_a_code_length_table_without_gradient_stays_without(make, table_prior, normal):
    omega, prior = make("random"), table_prior(torch.ones(C, 1, S, dtype=torch.float64)).requires_grad_(False)
    omega(normal(B, D, H, W, dtype=torch.float64), prior).bits.sum().backward()
    assert prior.lengths.grad is None


@pytest.mark.parametrize("start", STARTS)
def test_all_channels_are_kept_where_nothing_is_said(make, table_prior, normal, start):
    omega, latent = make(start), normal(B, D, H, W, dtype=torch.float64)
    prior = table_prior(normal(C, 1, S, dtype=torch.float64).square())
    everything = omega(latent, prior, torch.full((B,), C))
    silent = omega(latent, prior)
    assert torch.equal(silent.latent, everything.latent)
    assert torch.equal(silent.bits, everything.bits)
    assert torch.equal(silent.symbols, everything.symbols)


def test_without_a_prior_there_are_no_bits_but_the_same_latent(make, table_prior, normal):
    omega, latent = make("random"), normal(B, D, H, W, dtype=torch.float64).requires_grad_()
    prior = table_prior(normal(C, 1, S, dtype=torch.float64).square())
    found = omega(latent, None, KEPT)
    assert found.bits.tolist() == [0.0] * B
    assert torch.equal(found.latent, omega(latent, prior, KEPT).latent)
    found.latent.sum().backward()
    assert latent.grad.abs().max() > 0


def test_a_sample_that_keeps_no_channel_costs_nothing_and_is_the_bias(make, table_prior, normal):
    omega = make("random")
    prior = table_prior(normal(C, 1, S, dtype=torch.float64).square())
    found = omega(normal(B, D, H, W, dtype=torch.float64), prior, KEPT)
    (nothing,) = (KEPT == 0).nonzero()[0].tolist()
    assert found.bits[nothing] == 0
    assert torch.equal(found.latent[nothing], omega.table_bias.relu()[:, None, None].expand(D, H, W))


def test_a_sample_does_not_depend_on_its_batch(make, table_prior, normal):
    omega, latent = make("random"), normal(B, D, H, W, dtype=torch.float64)
    prior = table_prior(normal(C, 1, S, dtype=torch.float64).square())
    together = omega(latent, prior, KEPT)
    for i in range(B):
        alone = omega(latent[i : i + 1], prior, KEPT[i : i + 1])
        torch.testing.assert_close(alone.latent[0], together.latent[i])
        torch.testing.assert_close(alone.bits[0], together.bits[i])
        assert torch.equal(alone.symbols[0], together.symbols[i])


@pytest.mark.parametrize("start", STARTS)
def test_coding_agrees_with_evaluation(make, normal, start):
    omega, latent = make(start).eval(), normal(B, D, H, W, dtype=torch.float64)
    found, symbols = omega(latent), omega.symbols(latent)
    assert symbols.dtype == torch.int64
    assert symbols.shape == (B, C, H, W)
    assert torch.equal(symbols, found.symbols)
    torch.testing.assert_close(omega.latent(symbols), found.latent)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("n", range(C + 1))
def test_any_prefix_of_the_channels_dequantizes_as_if_so_many_were_kept(make, normal, start, n):
    omega, latent = make(start).eval(), normal(B, D, H, W, dtype=torch.float64)
    prefix = omega.symbols(latent)[:, :n]
    torch.testing.assert_close(omega.latent(prefix), omega(latent, None, torch.full((B,), n)).latent)


@pytest.mark.parametrize("start", STARTS)
def test_missing_symbols_are_as_channels_that_are_not_there_and_move_no_table(make, normal, start):
    omega, latent = make(start).eval(), normal(B, D, H, W, dtype=torch.float64)
    symbols = omega.symbols(latent)
    prefix = omega.latent(symbols[:, : C - 2])
    symbols[:, C - 2 :] = -1
    found = omega.latent(symbols)
    torch.testing.assert_close(found, prefix)
    (gradient,) = torch.autograd.grad(found.square().sum(), omega.table)
    assert gradient[: C - 2].any()
    assert not gradient[C - 2 :].any()


@pytest.mark.parametrize("shape", [(2, D + 1, H, W), (D, H, W)])
def test_a_latent_of_another_shape_is_an_error_that_shows_both(make, shape):
    omega = make("random")
    for quantize in (omega, omega.symbols):
        with pytest.raises(ValueError, match=rf"\(B, {D}, h, w\), not \({shape[0]}, {shape[1]}"):
            quantize(torch.zeros(shape, dtype=torch.float64))


def test_a_scalar_start_with_as_many_channels_rounds_to_the_nearest_level(normal):
    omega = OmegaQuantizer(latent_channels=D, channels=D, alphabet=S, start="scalar")
    latent = 4 * normal(3, D, H, W)
    expected = latent.round().clamp(-(S // 2 - 1), S // 2)
    assert torch.equal(omega(latent).latent, expected)
    assert torch.equal(omega.symbols(latent), expected.long() + S // 2 - 1)
    assert (omega.rectified, OmegaQuantizer(latent_channels=D, channels=D, alphabet=S).rectified) == (False, True)


@pytest.mark.parametrize("channels", [2, D, 9])
def test_a_scalar_start_has_orthogonal_directions_of_length_one(channels):
    omega = OmegaQuantizer(latent_channels=D, channels=channels, alphabet=S, start="scalar")
    directions = omega.weight[:, 0]
    gram = directions @ directions.T if channels <= D else directions.T @ directions
    torch.testing.assert_close(gram, torch.eye(min(channels, D)))


@pytest.mark.parametrize(("start", "expected"), [("random", 100.0), ("scalar", 2.0)])
def test_the_temperature_starts_where_the_start_wants_it(start, expected):
    for given, temperature in ((None, expected), (7.0, 7.0)):
        omega = OmegaQuantizer(latent_channels=D, channels=C, alphabet=S, start=start, temperature=given)
        torch.testing.assert_close(omega.log_temperature.exp(), torch.full((C,), temperature))


def test_the_temperature_stays_positive_however_it_is_pushed_down(make, normal):
    omega = make("random", torch.float32, temperature=0.01)
    for _ in range(20):
        loss = omega(normal(B, D, H, W)).latent.sum() + 2 * omega.log_temperature.sum()
        (gradient,) = torch.autograd.grad(loss, omega.log_temperature)
        omega.log_temperature.data.sub_(gradient)
        assert (omega.log_temperature.exp() > 0).all()


def test_under_mixed_precision_it_still_computes_in_float32(make, table_prior, normal):
    omega, prior = make("random", torch.float32), table_prior(normal(C, 1, S).square())
    latent, kept = normal(50 * B, D, H, W).bfloat16(), KEPT.repeat(50)
    plain = omega(latent.float(), prior, kept)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = omega(latent, prior, kept)
    assert mixed.latent.dtype == mixed.bits.dtype == torch.float32
    assert torch.equal(mixed.symbols, plain.symbols)
    assert torch.equal(mixed.latent, plain.latent)
    assert torch.equal(mixed.bits, plain.bits)


@pytest.mark.parametrize("start", STARTS)
def test_a_state_dict_carries_it_over(make, normal, start):
    omega, latent = make(start), normal(B, D, H, W, dtype=torch.float64)
    other = OmegaQuantizer(latent_channels=D, channels=C, alphabet=S, start=start).double()
    assert not torch.equal(other(latent).latent, omega(latent).latent)
    other.load_state_dict(omega.state_dict())
    assert torch.equal(other(latent).latent, omega(latent).latent)
    assert set(omega.state_dict()) == {"weight", "bias", "table", "table_bias", "log_temperature"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "vector"}, "'random' or 'scalar', not 'vector'"),
        ({"latent_channels": 0}, "not 0, 4 and 8"),
        ({"channels": 0}, "not 6, 0 and 8"),
        ({"alphabet": 1}, "not 6, 4 and 1"),
        ({"temperature": 0.0}, "above 0, not 0.0"),
        ({"temperature": float("nan")}, "above 0, not nan"),
        ({"temperature_growth": 0.0}, "above 0, not 100.0 and 0.0"),
    ],
)
def test_options_that_make_no_sense_are_named(options, message):
    with pytest.raises(ComponentError, match=message):
        OmegaQuantizer(**{"latent_channels": D, "channels": C, "alphabet": S, **options})


def test_temperatures_grow_in_the_course_of_training(make):
    omega = make("random", temperature_growth=4.0)
    learned = omega.log_temperature.exp()
    for progress, factor in ((0.0, 1.0), (0.5, 2.0), (1.0, 4.0)):
        omega.progress = progress
        assert torch.allclose(omega.temperature(), factor * learned)


def test_channels_are_selected_with_all_that_is_theirs(make, normal):
    omega, whole = make("random"), make("random")
    latent = normal(B, D, H, W)
    omega.select_channels([3, 1])
    symbols = omega.symbols(latent)
    assert omega.channels == 2
    assert torch.equal(symbols, whole.symbols(latent)[:, [3, 1]])
    hot = sum(whole.table[c][symbols[:, i]] for i, c in enumerate((3, 1))).movedim(-1, 1)
    assert torch.allclose(omega.latent(symbols), torch.relu(hot + whole.table_bias[:, None, None]))
    assert torch.equal(omega.temperature(), whole.temperature()[[3, 1]])


def test_reset_symbols_follow_from_the_seed_and_lie_by_those_that_are_chosen(make):
    counts = torch.tensor([[0, 9, 0, 1, 0, 0, 0, 0], [1] * S, [0] * S, [0, 0, 0, 0, 0, 0, 0, 5]])
    one, same, other, before = (make("random") for _ in range(4))
    assert (
        one.reset_dead_symbols(counts, seed=1)
        == same.reset_dead_symbols(counts, seed=1)
        == other.reset_dead_symbols(counts, seed=2)
        == 6 + 7
    )
    assert torch.equal(one.weight, same.weight)
    assert not torch.equal(one.weight, other.weight)
    assert torch.equal(one.weight[1:3], before.weight[1:3])
    near = (one.table[3, :7] - before.table[3, 7]).norm(dim=1)
    assert (near > 0).all()
    assert near.max() < 0.2 * before.table[3].std() * D**0.5


def test_autocast_changes_neither_symbols_nor_gradients() -> None:
    torch.manual_seed(0)
    quantizer = OmegaQuantizer(latent_channels=16, channels=4, alphabet=64)
    latent = torch.randn(4, 16, 3, 3, requires_grad=True)
    quantizer(latent).latent.square().sum().backward()
    plain, latent.grad = latent.grad, None
    symbols = quantizer.symbols(latent)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(quantizer.symbols(latent), symbols)
        quantizer(latent).latent.square().sum().backward()
    assert torch.equal(latent.grad, plain)
