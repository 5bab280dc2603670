"""What one-hot max of factors costs in memory, and its corner cases. Its values are tested in test_factored.py."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from omega_quant import block_plan, factored
from omega_quant.factored import factored_nearest, factored_one_hot_max

N, P, D, C, S, K = 3, 40, 4, 16, 32, 2


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
        normal(C, K, D, seed=2),
        normal(C, S, K, seed=3),
        normal(C, S, seed=4),
        torch.full((C,), 5.0),
        normal(C, K, D, seed=5),
        normal(C, S, K, seed=6),
        normal(C, P, S, seed=7).square(),
        torch.tensor([C, 3, C]),
    ]


def test_nothing_is_ever_as_large_as_a_value_for_every_symbol_of_every_channel(arguments, monkeypatch):
    monkeypatch.setattr(block_plan, "BLOCK", {"cpu": 2 * P * S})
    monkeypatch.setattr(block_plan, "WIDTH", S)
    saved = []
    inputs = [x.requires_grad_() for x in arguments[:7]]
    hooks = torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x.numel()) or x, lambda x: x)
    with Largest() as largest, hooks:
        latent, bits, _ = factored_one_hot_max(*arguments)
        (latent.sum() + bits.sum()).backward()
    assert all(x.grad is not None for x in inputs)
    # four blocks, code lengths, and K numbers for every symbol that is chosen: nothing else
    bound = max(4 * 2 * P * S, C * P * S, K * N * P * C)
    assert bound < N * P * C * S
    assert 0 < max(saved) <= bound
    assert largest.elements <= bound


@pytest.mark.parametrize("tables", [1, P])
@pytest.mark.parametrize("kept", [(C, 3, C), (2, 0, 7), (0, 0, 0), (C, C, C)])
@pytest.mark.parametrize(("block", "width", "looked_up"), [(1, 1, 1), (7 * S, 3 * S, 3 * K * P), (64 * S, S, 1 << 20)])
def test_how_work_is_cut_into_blocks_changes_nothing(arguments, monkeypatch, tables, kept, block, width, looked_up):
    inputs = [x.double().requires_grad_() for x in arguments[:8]]
    inputs[7] = inputs[7][:, :tables].detach().requires_grad_()
    results = []
    for cut in ((N * P * C * S, C * S, 1 << 20), (block, width, looked_up)):
        monkeypatch.setattr(block_plan, "BLOCK", {"cpu": cut[0]})
        monkeypatch.setattr(block_plan, "WIDTH", cut[1])
        monkeypatch.setattr(factored, "POINT_BLOCK", cut[2])
        latent, bits, symbols = factored_one_hot_max(*inputs, torch.tensor(kept))
        loss = (latent * latent.cos()).sum() + (bits * torch.arange(1, 4)).sum()
        results.append([latent, bits, symbols, *torch.autograd.grad(loss, inputs)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("most", [0, 2])
def test_channels_that_no_sample_keeps_have_no_gradient(arguments, most):
    inputs = [x.requires_grad_() for x in arguments[:8]]
    arguments[8] = torch.tensor([most, 0, most])
    latent, bits, symbols = factored_one_hot_max(*arguments)
    gradients = torch.autograd.grad(latent.square().sum() + bits.sum(), inputs)
    assert (bits > 0).tolist() == [most > 0, False, most > 0]
    assert (symbols[:, most:] == 0).all()
    for gradient in gradients[1:]:
        assert (gradient[most:] == 0).all()
        assert all(channel.abs().max() > 0 for channel in gradient[:most])
    assert (gradients[0].abs().amax(dim=(1, 2)) > 0).tolist() == [most > 0, False, most > 0]


@pytest.mark.parametrize("without", range(8))
def test_what_needs_no_gradient_gets_none_and_the_others_are_the_same(arguments, without):
    results = []
    for frozen in (None, without):
        inputs = [x.clone().requires_grad_(i != frozen) for i, x in enumerate(arguments[:8])]
        latent, bits, _ = factored_one_hot_max(*inputs, arguments[8])
        (latent.square().sum() + bits.sum()).backward()
        results.append([x.grad for i, x in enumerate(inputs) if i != without])
        assert frozen is None or inputs[without].grad is None
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_of_equally_near_symbols_the_first_wins():
    slope, bias = torch.zeros(1, 3, 1), torch.tensor([[2.0, -1.0, 1.0]])
    assert factored_nearest(torch.zeros(2, 1), torch.ones(1, 1, 1), slope, bias).tolist() == [[1, 1]]


def test_nothing_in_nothing_out(arguments):
    inputs = [arguments[0][:0].requires_grad_(), *arguments[1:8], arguments[8][:0]]
    latent, bits, symbols = factored_one_hot_max(*inputs)
    assert (latent.shape, bits.shape, symbols.shape) == ((0, P, D), (0,), (0, C, P))
    (latent.sum() + bits.sum()).backward()
    assert inputs[0].grad.shape == (0, P, D)


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_symbols_are_whole_numbers_in_every_precision(precision):
    """16 bits do not hold all numbers up to 4,095."""
    wanted = [0, 1, 257, 1023, 2049, 4095]
    z = -torch.eye(6, dtype=precision)
    slope = torch.eye(6, dtype=precision)[None, [wanted.index(s) if s in wanted else 5 for s in range(4096)]]
    bias = torch.tensor([[1.0 if s in wanted else 3.0 for s in range(4096)]], dtype=precision)
    assert factored_nearest(z, torch.eye(6, dtype=precision)[None], slope, bias)[0].tolist() == wanted


def test_what_is_compiled_computes_the_same(arguments, monkeypatch):
    monkeypatch.setattr(block_plan, "BLOCK", {"cpu": 2 * P * S})
    inputs = [x.double().requires_grad_() for x in arguments[:8]]
    results = []
    for compiled in (False, True):
        latent, bits, symbols = factored_one_hot_max(*inputs, arguments[8], compiled=compiled)
        loss = (latent * latent.cos()).sum() + (bits * torch.arange(1, 4)).sum()
        results.append([latent, bits, symbols, *torch.autograd.grad(loss, inputs)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_what_is_no_number_has_a_symbol_too():
    z, slope, bias = torch.full((2, 1), torch.nan), torch.ones(1, 3, 1), torch.zeros(1, 3)
    assert factored_nearest(z, torch.ones(1, 1, 1), slope, bias).tolist() == [[0, 0]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_short_numbers_have_symbols_beyond_those_that_they_hold(dtype):
    z, direction, slope = torch.zeros(2, 1), torch.ones(1, 1, 1), torch.zeros(1, 3000, 1)
    bias = torch.ones(1, 3000)
    bias[0, 2999] = 0
    found = factored_nearest(*(each.to(dtype) for each in (z, direction, slope, bias)))
    assert found.tolist() == [[2999, 2999]]
