"""What one-hot max costs in memory, and its corner cases. Its values are tested in test_omega.py."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from omega_quant import block_plan, straight_through
from omega_quant.dense_reference import dense_one_hot_max
from omega_quant.straight_through import nearest, one_hot_max

N, P, D, C, S = 3, 40, 4, 16, 32


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation returned."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.untyped_storage().nbytes() // tensor.element_size())
        return result


@pytest.fixture
def arguments(normal):
    return [
        normal(N, P, D, seed=1),
        normal(C, S, D, seed=2),
        normal(C, S, seed=3),
        torch.full((C,), 5.0),
        normal(C, S, D, seed=4),
        normal(C, P, S, seed=5).square(),
        torch.tensor([C, 3, C]),
    ]


def test_nothing_is_ever_as_large_as_a_value_for_every_symbol_of_every_channel(arguments, monkeypatch):
    monkeypatch.setattr(block_plan, "BLOCK", {"cpu": 2 * P * S})
    monkeypatch.setattr(block_plan, "WIDTH", S)
    saved = []
    inputs = [x.requires_grad_() for x in arguments[:5]]
    hooks = torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x.numel()) or x, lambda x: x)
    with Largest() as largest, hooks:
        latent, bits, _ = one_hot_max(*arguments)
        (latent.sum() + bits.sum()).backward()
    assert all(x.grad is not None for x in inputs)
    # four blocks, parameters and symbols: nothing else
    bound = max(4 * 2 * P * S, C * P * S, N * P * C)
    assert bound < N * P * C * S
    assert 0 < max(saved) <= bound
    assert largest.elements <= bound


@pytest.mark.parametrize("tables", [1, P])
@pytest.mark.parametrize("kept", [(C, 3, C), (2, 0, 7), (0, 0, 0), (C, C, C)])
@pytest.mark.parametrize(("block", "width"), [(1, 1), (7 * S, 3 * S), (64 * S, S), (1 << 20, 5 * S)])
@pytest.mark.parametrize("stored", [0, 100 * S, 1 << 20])
def test_how_work_is_cut_into_blocks_changes_nothing(arguments, monkeypatch, tables, kept, block, width, stored):
    monkeypatch.setattr(straight_through, "MANY_LATENT_CHANNELS", 1)
    inputs = [x.double().requires_grad_() for x in arguments[:6]]
    inputs[5] = inputs[5][:, :tables].detach().requires_grad_()
    results = []
    for cut in ((N * P * C * S, C * S, 0, C * S * D), (block, width, stored, 3 * S * D)):
        monkeypatch.setattr(block_plan, "BLOCK", {"cpu": cut[0]})
        monkeypatch.setattr(block_plan, "WIDTH", cut[1])
        monkeypatch.setattr(straight_through, "STORED_ACTIVATIONS", cut[2])
        monkeypatch.setattr(straight_through, "TABLE_BLOCK", cut[3])
        latent, bits, symbols = one_hot_max(*inputs, torch.tensor(kept))
        loss = (latent * latent.cos()).sum() + (bits * torch.arange(1, 4)).sum()
        results.append([latent, bits, symbols, *torch.autograd.grad(loss, inputs)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_of_equally_near_symbols_the_first_wins():
    weight, bias = torch.zeros(1, 3, 1), torch.tensor([[2.0, -1.0, 1.0]])
    table = torch.arange(3.0).reshape(1, 3, 1)
    lengths = torch.tensor([[[1.0, 2.0, 3.0]]])
    latent, bits, symbols = one_hot_max(
        torch.zeros(1, 2, 1), weight, bias, torch.ones(1), table, lengths, torch.tensor([1])
    )
    assert symbols.tolist() == [[[1, 1]]]
    assert latent.tolist() == [[[1.0], [1.0]]]
    assert bits.tolist() == [4.0]


def test_channels_that_are_not_kept_have_symbol_0(arguments):
    _, _, symbols = one_hot_max(*arguments)
    assert (symbols[1, 3:] == 0).all()
    assert (symbols[[0, 2], 3:] > 0).any()


@pytest.mark.parametrize(("asked", "meant"), [(C + 5, C), (-1, 0)])
def test_more_channels_than_there_are_mean_all_and_fewer_than_none_mean_none(arguments, asked, meant):
    results = []
    for kept in (asked, meant):
        arguments[6] = torch.tensor([C, kept, 1])
        results.append(one_hot_max(*arguments))
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("most", [0, 2])
def test_channels_that_no_sample_keeps_have_no_gradient(arguments, most):
    inputs = [x.requires_grad_() for x in arguments[:6]]
    arguments[6] = torch.tensor([most, 0, most])
    latent, bits, symbols = one_hot_max(*arguments)
    gradients = torch.autograd.grad(latent.square().sum() + bits.sum(), inputs)
    assert (bits > 0).tolist() == [most > 0, False, most > 0]
    assert (latent != 0).any().item() == (most > 0)
    assert (symbols[:, most:] == 0).all()
    for gradient in gradients[1:]:
        assert (gradient[most:] == 0).all()
        assert all(channel.abs().max() > 0 for channel in gradient[:most])
    assert (gradients[0].abs().amax(dim=(1, 2)) > 0).tolist() == [most > 0, False, most > 0]


def test_a_second_backward_pass_finds_what_the_first_one_found(arguments, monkeypatch):
    monkeypatch.setattr(straight_through, "MANY_LATENT_CHANNELS", 1)
    inputs = [x.requires_grad_() for x in arguments[:6]]
    latent, bits, _ = one_hot_max(*arguments)
    loss = latent.square().sum() + bits.sum()
    first = torch.autograd.grad(loss, inputs, retain_graph=True)
    for one, other in zip(first, torch.autograd.grad(loss, inputs), strict=True):
        assert torch.equal(one, other)


def test_nothing_in_nothing_out(arguments):
    inputs = [arguments[0][:0].requires_grad_(), *arguments[1:6], arguments[6][:0]]
    latent, bits, symbols = one_hot_max(*inputs)
    assert latent.shape == (0, P, D)
    assert bits.shape == (0,)
    assert symbols.shape == (0, C, P)
    (latent.sum() + bits.sum()).backward()
    assert inputs[0].grad.shape == (0, P, D)


@pytest.mark.parametrize("block", [S, 7 * S, 1 << 20])
@pytest.mark.parametrize("stored", [0, 1 << 20])
def test_activations_that_are_0_or_equal_are_as_in_the_definition(arguments, monkeypatch, block, stored):
    """The first of equal ones is chosen, and nothing goes back through the distance of an activation that is 0."""
    monkeypatch.setattr(block_plan, "BLOCK", {"cpu": block})
    monkeypatch.setattr(straight_through, "MANY_LATENT_CHANNELS", 1)
    monkeypatch.setattr(straight_through, "STORED_ACTIVATIONS", stored)
    inputs = [x.double() for x in arguments[:6]]
    inputs[0][1, : P // 2] = 0
    inputs[2][:5, 7:9] = 0  # one after the other, so that both are the nearest
    inputs[1][3:8, 11], inputs[2][3:8, 11] = inputs[1][3:8, 20], inputs[2][3:8, 20]
    kept = torch.full((N,), C)
    results = []
    for way in (one_hot_max, dense_one_hot_max):
        given = [x.requires_grad_() for x in inputs]
        latent, bits, symbols = way(*given, kept)
        loss = (latent * latent.cos()).sum() + (bits * torch.arange(1, 4)).sum()
        results.append([latent, bits, symbols, *torch.autograd.grad(loss, given)])
    assert (results[0][2][1, :5, : P // 2] == 7).all()
    assert (results[0][2] == 11).any()
    assert not (results[0][2] == 20)[:, 3:8].any()
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_symbols_are_whole_numbers_in_every_precision(precision):
    """16 bits do not hold all numbers up to 4,095."""
    wanted = [0, 1, 257, 1023, 2049, 4095]
    z = -torch.eye(6, dtype=precision)
    weight = torch.eye(6, dtype=precision)[None, [wanted.index(s) if s in wanted else 5 for s in range(4096)]]
    bias = torch.tensor([[1.0 if s in wanted else 3.0 for s in range(4096)]], dtype=precision)
    assert nearest(z, weight, bias)[:, 0].tolist() == wanted


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_symbols_are_the_same_where_the_caller_computes_with_shorter_numbers(normal, dtype):
    z, weight, bias = normal(50, D, seed=1), normal(3, 700, D, seed=2), normal(3, 700, seed=3)
    wanted = nearest(z, weight, bias)
    given = z[None], weight, bias, torch.ones(3), normal(3, 700, D, seed=4), torch.ones(3, 1, 700), torch.tensor([3])
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(nearest(z, weight, bias), wanted)
        assert torch.equal(one_hot_max(*given)[2][0].T, wanted)


@pytest.mark.parametrize("stored", [0, 100 * S])
def test_what_is_compiled_computes_the_same(arguments, monkeypatch, stored):
    monkeypatch.setattr(block_plan, "BLOCK", {"cpu": 2 * P * S})
    monkeypatch.setattr(straight_through, "MANY_LATENT_CHANNELS", 1)
    monkeypatch.setattr(straight_through, "STORED_ACTIVATIONS", stored)
    inputs = [x.double().requires_grad_() for x in arguments[:6]]
    results = []
    for compiled in (False, True):
        latent, bits, symbols = one_hot_max(*inputs, arguments[6], compiled=compiled)
        loss = (latent * latent.cos()).sum() + (bits * torch.arange(1, 4)).sum()
        results.append([latent, bits, symbols, *torch.autograd.grad(loss, inputs)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
