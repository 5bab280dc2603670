"""Quantizers under checkpointing, export, tracing, compilation, copying and other types, as in other programs."""

import copy
import pickle
import warnings

import pytest
import torch
from torch.export import Dim, export
from torch.utils.checkpoint import checkpoint

from omega_quant import IdentityQuantizer, IntegerQuantizer, OmegaQuantizer

D = 8
MAKE = {
    "full": lambda: OmegaQuantizer(latent_channels=D, channels=6, alphabet=16),
    "rank": lambda: OmegaQuantizer(latent_channels=D, channels=6, alphabet=16, rank=2),
    "stages": lambda: OmegaQuantizer(latent_channels=D, channels=12, alphabet=10, start="scalar", stages=[1, 2]),
    "dead zone": lambda: OmegaQuantizer(
        latent_channels=D, channels=12, alphabet=10, start="scalar", stages=[1, 2], rank=1, finer=2.0, dead_zone=True
    ),
    "integer": lambda: IntegerQuantizer(latent_channels=D, channels=D, alphabet=16),
    "identity": lambda: IdentityQuantizer(latent_channels=D, channels=D, alphabet=16),
}


@pytest.fixture(params=MAKE)
def quantizer(request):
    torch.manual_seed(0)
    made = MAKE[request.param]()
    if request.param == "dead zone":
        made.select_channels([2, 9, 0, 5, 7, 1])
    return made.eval()


def latents(batch, height, width):
    return 3 * torch.randn(batch, D, height, width)


class Method(torch.nn.Module):
    def __init__(self, quantizer, name):
        super().__init__()
        self.quantizer, self.name = quantizer, name

    def forward(self, given):
        found = getattr(self.quantizer, self.name)(given)
        return (found.latent, found.bits, found.symbols) if self.name == "forward" else found


def same(found, wanted):
    found, wanted = (each if isinstance(each, tuple) else (each,) for each in (found, wanted))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["symbols", "latent", "forward"])
def test_an_exported_quantizer_takes_any_batch_and_size(quantizer, name):
    one, other = latents(4, 3, 5), latents(2, 7, 4)
    if name == "latent":
        one, other = quantizer.symbols(one), quantizer.symbols(other)
    method = Method(quantizer, name)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch.export, about its own code
        exported = export(method, (one,), dynamic_shapes=({0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO},)).module()
        same(exported(other), method(other))


@pytest.mark.parametrize("name", ["symbols", "latent"])
def test_a_traced_quantizer_takes_any_batch_and_size(quantizer, name):
    if isinstance(quantizer, IdentityQuantizer):
        pytest.skip("torch.jit cannot trace a view of another type")
    one, other = latents(4, 3, 5), latents(2, 7, 4)
    if name == "latent":
        one, other = quantizer.symbols(one), quantizer.symbols(other)
    method = Method(quantizer, name)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated, and tracing warns of shape checks
        same(torch.jit.trace(method, (one,), check_trace=False)(other), method(other))


def gradients(quantizer, latent, dequantized=None):
    quantizer.zero_grad()
    latent = latent.clone().requires_grad_()
    found = quantizer(latent).latent if dequantized is None else dequantized(latent)
    (found * torch.linspace(-1, 1, latent.shape[3])).sum().backward()
    return [latent.grad, *(parameter.grad for parameter in quantizer.parameters() if parameter.grad is not None)]


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_changes_no_gradient(quantizer, reentrant):
    latent = latents(3, 4, 5)
    wanted = [each.clone() for each in gradients(quantizer, latent)]
    found = gradients(
        quantizer, latent, lambda z: checkpoint(lambda z: quantizer(z).latent, z, use_reentrant=reentrant)
    )
    same(tuple(found), tuple(wanted))


def test_dynamo_changes_neither_values_nor_gradients(quantizer):
    latent = latents(3, 4, 5)
    wanted = [each.clone() for each in gradients(quantizer, latent)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch._dynamo, about graph breaks
        compiled = torch.compile(quantizer, backend="eager")
        found = gradients(quantizer, latent, lambda z: compiled(z).latent)
    same(tuple(found), tuple(wanted))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
def test_copies_and_pickles_quantize_alike(quantizer, duplicate):
    latent = latents(2, 4, 5)
    same(Method(duplicate(quantizer), "forward")(latent), Method(quantizer, "forward")(latent))


def test_a_loaded_state_brings_the_stages_of_its_channels():
    one, other = (MAKE["dead zone"]() for _ in range(2))
    order = [2, 9, 0, 5, 7, 1, 3, 4, 6, 8, 10, 11]
    one.select_channels(order)
    other.load_state_dict(one.state_dict())
    latent = latents(2, 4, 5)
    same(other.symbols(latent), one.symbols(latent))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_latents_of_other_types_are_quantized(quantizer, dtype):
    latent = latents(2, 4, 5).to(dtype)
    wanted = quantizer.symbols(latent.float())
    assert (quantizer.symbols(latent) == wanted).float().mean() > 0.99


def test_inference_mode_changes_nothing(quantizer):
    latent = latents(2, 4, 5)
    with torch.inference_mode():
        found = Method(quantizer, "forward")(latent)
    same(tuple(each.clone() for each in found), Method(quantizer, "forward")(latent))


@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize("temperature", [1.0, 100.0, 10_000.0])
def test_no_gradient_is_computed_with_subnormal_numbers(monkeypatch, rank, temperature):
    torch.manual_seed(0)
    quantizer = OmegaQuantizer(latent_channels=D, channels=6, alphabet=64, rank=rank, temperature=temperature)
    seen = []
    softmax = torch.softmax

    def watched(logits, *arguments, **others):
        found = softmax(logits, *arguments, **others)
        seen.append(found.clone())
        return found

    monkeypatch.setattr(torch, "softmax", watched)
    gradients(quantizer, latents(3, 4, 5))
    soft = torch.cat([each.flatten() for each in seen])
    assert len(soft)
    assert not ((soft > 0) & (soft < torch.finfo(torch.float32).tiny)).any()
