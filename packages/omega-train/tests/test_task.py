"""The loss and its parts, against the formulas written out."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from omega_core.contracts import Quantized
from omega_core.errors import ComponentError
from omega_train import validation
from omega_train.data.batches import Batch
from omega_train.rate_sampling import draw_rates
from omega_train.recipe import Recipe
from omega_train.task import CodecTask
from omega_train.validation import recount, validate


@pytest.fixture
def task(tiny: Callable[..., Recipe]) -> CodecTask:
    torch.manual_seed(0)
    return CodecTask(tiny())


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (6, 1, 28, 28), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


class Pictures:
    def __init__(self, pixels: torch.Tensor) -> None:
        self.pixels = pixels.numpy()

    def __len__(self) -> int:
        return len(self.pixels)

    def load(self, index: int, seed: int) -> object:
        return self.pixels[index]


PHOTOS = {"dataset": "folder", "quantizer_options": {"start": "scalar"}}


def dense(quantizer: torch.nn.Module, y: torch.Tensor, n: int) -> torch.Tensor:
    """Ω as the paper defines it: one-hot vectors of the nearest activations of n channels, times the table."""
    rectify = torch.relu if quantizer.rectified else torch.nn.Identity()
    activations = torch.einsum("csd,dhw->cshw", quantizer.weight, rectify(y)) + quantizer.bias[:, :, None, None]
    hot = torch.nn.functional.one_hot(activations.abs().argmin(dim=1), quantizer.alphabet).float()
    hot[n:] = 0
    y_hat = torch.einsum("chws,csd->dhw", hot, quantizer.table) + quantizer.table_bias[:, None, None]
    return rectify(y_hat)


@pytest.mark.parametrize(
    ("settings", "deviation"),
    [
        ({"architecture": "openimages", "architecture_options": {"width": 4}, **PHOTOS}, (0.229, 0.224, 0.225)),
        ({"architecture": "compact", **PHOTOS}, (0.5, 0.5, 0.5)),
    ],
    ids=["openimages", "compact"],
)
@torch.no_grad()
def test_the_loss_of_photos_is_that_of_the_dense_definition(
    tiny: Callable[..., Recipe], settings: dict[str, object], deviation: tuple[float, ...]
) -> None:
    torch.manual_seed(0)
    task = CodecTask(tiny(**settings))
    pixels = torch.randint(0, 256, (4, 3, 32, 48), dtype=torch.uint8)
    batch = Batch(pixels, torch.arange(4), 0)
    rates = draw_rates(task.recipe, batch)
    expected = 0.0
    for picture, n, lambda_ in zip(pixels, rates.kept.tolist(), rates.lambda_.tolist(), strict=True):
        x = picture[None] / 255
        y_hat = dense(task.quantizer, task.architecture.analysis(x)[0], n)
        x_hat = task.architecture.synthesis_with_fineness(
            y_hat[None], 32, 48, torch.tensor([n / task.quantizer.channels])
        )
        mse = ((x - x_hat) / torch.tensor(deviation)[:, None, None]).square().mean()
        expected += float(lambda_ * mse + (1 - lambda_) * n * 6 * math.log2(8) / (32 * 48)) / 4
    assert float(task.training_step(batch, 0)) == pytest.approx(expected, rel=1e-5)


@torch.no_grad()
def test_the_loss_is_that_of_the_paper(task: CodecTask, images: torch.Tensor) -> None:
    batch = Batch(images, torch.arange(6), 0)
    rates = draw_rates(task.recipe, batch)
    expected = 0.0
    for pixels, n, lambda_ in zip(images, rates.kept.tolist(), rates.lambda_.tolist(), strict=True):
        x = pixels[None] / 255
        symbols = task.quantizer.symbols(task.architecture.analysis(x))[:, :n]
        x_hat = task.architecture.synthesis(task.quantizer.latent(symbols), 28, 28)
        mse = ((x - x_hat) / 0.5).square().mean()
        expected += float(lambda_ * mse + (1 - lambda_) * n * 9 * math.log2(8) / 784) / 6
    assert float(task.training_step(batch, 0)) == pytest.approx(expected, rel=1e-5)


def test_a_step_shows_the_prior_the_symbols_that_were_kept(task: CodecTask, images: torch.Tensor) -> None:
    batch = Batch(images, torch.arange(6), 0)
    task.training_step(batch, 0)
    assert float(task.prior.seen.counts.sum()) == 9 * int(draw_rates(task.recipe, batch).kept.sum())


def test_validation_scores_each_count_with_its_own_lambda(task: CodecTask, images: torch.Tensor) -> None:
    found = validate(task, Pictures(images))
    scores = found.scores
    assert [score.channels for score in scores] == [1, 2, 3]
    assert [score.lambda_ for score in scores] == pytest.approx([0.95 + 0.049 * i / 3 for i in (1, 2, 3)])
    for score in scores:
        assert score.loss == pytest.approx(score.lambda_ * score.mse + (1 - score.lambda_) * score.bpp)
        assert score.bpp == pytest.approx(score.channels * 9 * 3 / 784, rel=1e-5)
    assert found.loss == pytest.approx(sum(p * s.loss for p, s in zip((1 / 9, 3 / 9, 5 / 9), scores, strict=True)))
    assert task.training


@torch.no_grad()
def test_the_bits_of_channels_are_those_the_quantizer_reports(task: CodecTask, images: torch.Tensor) -> None:
    recount(task, Pictures(images))
    task.eval()
    latent = task.architecture.analysis(images / 255)
    bits = task.codec.channel_bits(task.quantizer.symbols(latent))
    for n in range(4):
        reported = task.quantizer(latent, task.prior, torch.full((6,), n)).bits
        assert torch.allclose(bits[:, :n].sum(dim=1), reported.to(bits), rtol=1e-5)


def test_recounting_gives_the_frequencies_of_the_whole_set(task: CodecTask, images: torch.Tensor) -> None:
    task.training_step(Batch(images, torch.arange(6), 0), 0)
    recount(task, Pictures(images))
    symbols = task.quantizer.symbols(task.architecture.analysis(images / 255)).flatten(2)
    expected = torch.stack([(symbols == s).sum(dim=0) for s in range(8)], dim=-1)
    assert torch.equal(task.prior.seen.counts, expected.double())


def test_matrices_are_decayed_and_temperatures_are_not(task: CodecTask) -> None:
    decayed, free = task.configure_optimizers().param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (1e-5, 0)
    assert any(p is task.quantizer.log_temperature for p in free["params"])
    assert any(p is task.quantizer.table for p in decayed["params"])


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"quantizer": "omga"}, "Did you mean 'omega'"),
        ({"quantizer": "integer", "latent_channels": 3}, "such as factorized"),
        ({"quantizer": "integer"}, "set latent-channels to 3"),
        ({"quantizer_options": {"stat": "scalar"}}, "Did you mean 'start'"),
        ({"quantizer_options": {"start": "cold"}}, "'random' or 'scalar'"),
        ({"prior": "stati"}, "Did you mean 'static'"),
    ],
)
def test_parts_that_do_not_fit_are_named(
    tiny: Callable[..., Recipe], settings: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ComponentError) as caught:
        CodecTask(tiny(**settings))
    assert complaint in str(caught.value)


def test_a_penalty_is_added_to_the_loss(tiny: Callable[..., Recipe]) -> None:
    task = CodecTask(tiny())
    batch = Batch(torch.zeros(4, 1, 28, 28, dtype=torch.uint8), torch.arange(4), 0)
    plain = float(task.training_step(batch, 0).detach())
    forward = task.quantizer.forward

    def with_penalty(*arguments: Any) -> Quantized:
        made = forward(*arguments)
        return replace(made, penalty=torch.arange(4.0))

    task.quantizer.forward = with_penalty  # type: ignore[method-assign]
    task.prior.seen.clear()  # type: ignore[union-attr]
    assert float(task.training_step(batch, 0).detach()) == pytest.approx(plain + 1.5)


def test_a_process_without_a_picture_takes_part_in_counting(
    task: CodecTask, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    observed = []
    monkeypatch.setattr(validation, "rank", lambda: 1)
    monkeypatch.setattr(validation, "world_size", lambda: 2)
    monkeypatch.setattr(type(task.prior), "observe", lambda _, symbols, __: observed.append(symbols.shape))
    recount(task, Pictures(images), most=1)
    assert observed == [(0, 3, 3, 3)]
