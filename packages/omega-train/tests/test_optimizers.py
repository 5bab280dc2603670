"""The optimizers that recipes can ask for."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from omega_core.errors import RecipeError
from omega_train import optimizers, train
from omega_train.callbacks.signals import Interrupted
from omega_train.data.batches import Batch
from omega_train.optimizers import Muon, build_optimizer, matrices_of, orthogonal
from omega_train.recipe import Recipe, load_recipe
from omega_train.task import CodecTask

CPU = {"accelerator": "cpu", "devices": "1"}
Make = Callable[..., Recipe]


class Net(nn.Module):
    """One of each kind of layer; `quantizer` stands for what is never a matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.pointwise = nn.Conv2d(64, 48, 1)
        self.dense = nn.Conv2d(32, 40, 3)
        self.transposed = nn.ConvTranspose2d(48, 32, 3)
        self.linear = nn.Linear(32, 64)
        self.depthwise = nn.Conv2d(64, 64, 7, groups=64)
        self.colors = nn.Conv2d(3, 64, 5)
        self.gray = nn.ConvTranspose2d(64, 1, 2)
        self.quantizer = nn.Linear(32, 64)
        self.gains = nn.Parameter(torch.ones(64, 64))


def with_gradients(seed: int = 0) -> Net:
    torch.manual_seed(seed)
    net = Net().to(memory_format=torch.channels_last)
    for parameter in net.parameters():
        parameter.grad = torch.randn_like(parameter)
    return net


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Newton–Schulz steps in float32, as on processors without bfloat16."""
    monkeypatch.setattr(optimizers, "quick_precision", lambda _: torch.float32)


def test_weights_of_linear_layers_and_dense_convolutions_are_matrices() -> None:
    names = ["dense.weight", "linear.weight", "pointwise.weight", "transposed.weight"]
    assert sorted(matrices_of(Net())) == names


@pytest.mark.parametrize("shape", [(40, 40), (32, 288), (64, 100)])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_newton_schulz_steps_bring_all_singular_values_near_one(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], precision: torch.dtype
) -> None:
    monkeypatch.setattr(optimizers, "quick_precision", lambda _: precision)
    stack = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0)) * torch.tensor([1e-4, 1, 1e3]).view(
        3, 1, 1
    )
    values = torch.linalg.svdvals(orthogonal(stack))
    rank = 3 * min(shape)
    assert ((values > 0.6) & (values < 1.3)).sum() >= 0.9 * rank  # the least of a square matrix may need more steps
    assert float(values.max()) < 1.3


@pytest.mark.usefixtures("exact")
def test_matrices_step_along_the_orthogonal_part_of_their_momentum() -> None:
    """Against each matrix alone, by its definition in float64."""
    net, rate, decay = with_gradients(), 0.02, 0.5
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    gradients = {name: p.grad.double() for name, p in net.named_parameters()}
    recipe = Recipe(name="a", steps=1, optimizer="muon", matrix_learning_rate=rate, weight_decay=decay)
    optimizer = build_optimizer(recipe, net)
    for _ in range(2):
        optimizer.step()
    parameters = dict(net.named_parameters())
    for name in matrices_of(net):
        momentum, weight = torch.zeros_like(gradients[name]), before[name].double()
        for _ in range(2):
            momentum = 0.95 * momentum + 0.05 * gradients[name]
            x = (0.95 * momentum + 0.05 * gradients[name]).flatten(1)
            x = x / x.norm()
            for _ in range(5):
                square = x @ x.T
                x = 3.4445 * x - 4.7750 * square @ x + 2.0315 * square @ square @ x
            scale = max(1.0, x.shape[0] / x.shape[1]) ** 0.5
            weight = (1 - rate * decay) * weight - rate * scale * x.reshape(weight.shape)
        assert torch.allclose(parameters[name].double(), weight, atol=1e-4), name


@pytest.mark.usefixtures("exact")
def test_torch_has_the_same_steps_for_a_linear_layer() -> None:
    theirs = pytest.importorskip("torch.optim", reason="torch has no Muon").__dict__.get("Muon")
    if theirs is None:
        pytest.skip("torch has no Muon")
    ours, other = with_gradients(), with_gradients()
    groups = [{"params": [ours.linear.weight], "lr": 0.1, "weight_decay": 0.25, "matrices": True}]
    pair = [Muon(groups), theirs([other.linear.weight], lr=0.1, weight_decay=0.25)]
    for _ in range(3):
        for optimizer in pair:
            optimizer.step()
    assert torch.allclose(ours.linear.weight, other.linear.weight, atol=5e-3)  # theirs is in bfloat16


def test_what_is_no_matrix_takes_the_steps_of_adam() -> None:
    nets = [with_gradients(), with_gradients()]
    settings = {"name": "a", "steps": 1, "quantizer_learning_rate": 0.125, "weight_decay": 0.25}
    pair = [
        build_optimizer(Recipe(optimizer=name, **settings), net)
        for name, net in zip(("muon", "adam"), nets, strict=True)
    ]
    assert type(pair[1]) is torch.optim.Adam
    for _ in range(3):
        for optimizer in pair:
            optimizer.step()
    matrices, others = set(matrices_of(nets[0])), dict(nets[1].named_parameters())
    for name, parameter in nets[0].named_parameters():
        assert torch.equal(parameter, others[name]) == (name not in matrices), name


def test_matrices_have_a_learning_rate_of_their_own() -> None:
    net = Net()
    recipe = Recipe(name="a", steps=1, optimizer="muon", learning_rate=0.5, quantizer_learning_rate=0.125)
    optimizer = build_optimizer(recipe, net)
    of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    matrices = set(matrices_of(net))
    assert len(of) == len(list(net.parameters()))
    for name, parameter in net.named_parameters():
        rate = 0.01 if name in matrices else 0.125 if name.startswith("quantizer.") else 0.5
        assert (of[id(parameter)]["lr"], of[id(parameter)]["matrices"]) == (rate, name in matrices), name
    assert optimizer.param_groups[0]["lr"] == 0.5  # which is recorded


def test_weights_without_gradients_stay_as_they_are() -> None:
    net = with_gradients()
    net.dense.weight.grad = net.gains.grad = None
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    build_optimizer(Recipe(name="a", steps=1, optimizer="muon"), net).step()
    same = {name for name, p in net.named_parameters() if torch.equal(p, before[name])}
    assert same == {"dense.weight", "gains"}


def test_gradients_that_are_zeros_move_nothing() -> None:
    net = with_gradients()
    for parameter in net.parameters():
        parameter.grad.zero_()
    before = [p.detach().clone() for p in net.parameters()]
    build_optimizer(Recipe(name="a", steps=1, optimizer="muon", weight_decay=0.0), net).step()
    assert all(torch.equal(p, old) for p, old in zip(net.parameters(), before, strict=True))


WIDE = {"optimizer": "muon", "architecture_options": {"width": 64}}  # so that some of its weights are matrices


def test_a_run_with_muon_goes_on_exactly_where_it_was_stopped(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny(schedule="cosine", warmup=2, gradient_clip=1.0, decoder_share=0.25, ema=0.9, **WIDE)
    assert len(list(matrices_of(CodecTask(recipe)))) >= 2
    train(recipe, tmp_path / "whole", **CPU)
    original = CodecTask.training_step

    def training_step(self: CodecTask, batch: Batch, index: int) -> torch.Tensor:
        if batch.step == 4:
            signal.raise_signal(signal.SIGTERM)
        return original(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(CodecTask, "training_step", training_step)
        with pytest.raises(Interrupted):
            train(recipe, tmp_path / "parts", **CPU)
    train(recipe, tmp_path / "parts", resume=True, **CPU)
    whole, parted = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=True)["state_dict"] for name in ("whole", "parts")
    )
    assert all(torch.equal(whole[name], parted[name]) for name in whole)


def test_schedules_change_the_learning_rates_of_matrices_and_others_alike(tiny: Make) -> None:
    task = CodecTask(tiny(schedule="cosine", matrix_learning_rate=0.5, learning_rate=1.0, steps=4, **WIDE))
    schedule = task.configure_optimizers()["lr_scheduler"]["scheduler"]
    for _ in range(2):
        schedule.optimizer.step()
        schedule.step()
    rates = {group["matrices"]: group["lr"] for group in schedule.optimizer.param_groups}
    assert rates == {False: pytest.approx(0.5), True: pytest.approx(0.25)}


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        ({"optimizer": "sgd"}, "optimizer is one of adam, muon, not 'sgd'"),
        ({"matrix-learning-rate": 0.1}, "matrix-learning-rate is for the optimizer muon, not for adam"),
        ({"optimizer": "muon", "matrix-learning-rate": 0.0}, "matrix-learning-rate has to be above 0, not 0.0"),
    ],
)
def test_an_optimizer_that_cannot_be_is_named(overrides: dict[str, object], complaint: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("mnist-omega-8", overrides)
    assert complaint in str(caught.value)
