"""Training in phases: relaxed, joint, decoder, prior."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from omega_core.codec.loading import load_model
from omega_core.codec.model_file import read_model
from omega_core.contracts.prior import Prior
from omega_core.errors import ComponentError, RecipeError, TrainingError
from omega_train import export_run, train
from omega_train.callbacks.best import BestModel
from omega_train.data.arrays import ArrayImages
from omega_train.data.batches import Batch
from omega_train.data.glyphs import glyphs
from omega_train.phases import Phase, Phases
from omega_train.quantizer_fitting import _entropies, _fineness_of, _joint_counts, fit_quantizer, parents_first
from omega_train.rate_sampling import draw_rates, draw_shares
from omega_train.recipe import Recipe, load_recipe, recipe_names
from omega_train.task import CodecTask
from omega_train.validation import validate

CPU = {"accelerator": "cpu", "devices": "1"}
Make = Callable[..., Recipe]


@pytest.fixture(scope="module")
def phased(tiny: Make) -> Make:
    """A recipe with a relaxed and a decoder phase."""

    def make(**settings: object) -> Recipe:
        values: dict[str, object] = {
            "channels": 10,
            "latent_channels": 4,
            "alphabet": 16,
            "lambda_min": 0.8,
            "lambda_max": 0.999,
            "prior": "context",
            "relaxed_share": 0.5,
            "decoder_share": 0.25,
            "ema": 0.5,
            "quantizer_options": {
                "start": "scalar",
                "rank": 1,
                "stages": [2, 4, 4],
                "finer": 2.0,
                "dead_zone": True,
                "relaxed_steps": [0.5, 0.05],
            },
        }
        return tiny(**{**values, **settings})

    return make


@pytest.fixture(scope="module")
def model(phased: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of a run of that recipe, in its folder."""
    return train(phased(), tmp_path_factory.mktemp("phased") / "run", **CPU)


def images(count: int = 12) -> ArrayImages:
    coarse = np.random.default_rng(0).integers(0, 256, (count, 1, 7, 7)).astype(np.uint8)
    return ArrayImages(np.ascontiguousarray(coarse.repeat(4, 2).repeat(4, 3)))


def step_of(task: CodecTask, step: int) -> torch.Tensor:
    pixels = torch.from_numpy(images().pixels)
    loss: torch.Tensor = task.training_step(Batch(pixels, torch.arange(len(pixels)), step), 0)
    return loss


def trained(task: CodecTask) -> set[str]:
    return {name for name, p in task.codec.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


def test_phases_follow_each_other(phased: Make) -> None:
    phases = Phases.of(phased(prior_share=0.125), 16)
    assert [phases.at(step) for step in (0, 7, 8, 9, 10, 13, 14, 15)] == [
        *(Phase.RELAXED, Phase.RELAXED),
        *(Phase.JOINT, Phase.JOINT),
        *(Phase.DECODER, Phase.DECODER),
        *(Phase.PRIOR, Phase.PRIOR),
    ]


def test_relaxed_and_prior_phase_have_schedules_of_their_own(phased: Make) -> None:
    phases = Phases.of(phased(prior_share=0.125), 16)
    assert [phases.schedule(step) for step in (0, 7, 8, 13, 14, 16)] == [
        *((0, 8), (0, 8)),
        *((8, 14), (8, 14)),
        *((14, 16), (14, 16)),
    ]
    task = CodecTask(phased(prior_share=0.125, schedule="cosine"))
    task.steps = 16
    factors = [task._learning_rate_factor(step) for step in (0, 4, 8, 11, 14, 15)]
    assert factors == pytest.approx([1.0, 0.5, 1.0, 0.5, 1.0, 0.5])


def test_a_prior_step_trains_the_prior_alone_on_all_symbols_of_files(phased: Make) -> None:
    task = CodecTask(phased(prior_share=0.25, decoder_share=0.0))
    fit_quantizer(task, images())
    task.recipe = phased(prior_share=1.0, relaxed_share=0.0, decoder_share=0.0)
    step_of(task, 0).backward()
    names = trained(task)
    assert names
    assert all(name.startswith("prior.net.") for name in names)
    loss = float(step_of(task, 1).detach())
    with torch.no_grad():
        symbols = task.codec.encode_symbols(torch.from_numpy(images().pixels) / 255)
        bits = task.codec.channel_bits(symbols).sum() / images().pixels.size
    assert loss == pytest.approx(float(bits), rel=1e-5)


def test_the_prior_of_a_model_is_adapted_to_other_pictures(phased: Make, model: Path, tmp_path: Path) -> None:
    """Files have fewer bytes, and the pixels that they had."""
    shares = {"prior_share": 1.0, "relaxed_share": 0.0, "decoder_share": 0.0}
    recipe = phased(**shares, steps=30, learning_rate=0.01, dataset_options={"training": 40, "validation": 20})
    adapted = train(recipe, tmp_path / "adapted", init=str(model), **CPU)
    before, after = load_model(model), load_model(adapted)
    pixels = glyphs(8, seed=3)[:, 0]
    sizes = [sum(len(one.compress(each)) for each in pixels) for one in (before, after)]
    assert sizes[1] < 0.99 * sizes[0]
    for each in pixels:
        np.testing.assert_array_equal(*(one.decompress_picture(one.compress(each)).pixels for one in (before, after)))


def test_prior_steps_go_on_from_the_average(phased: Make, tmp_path: Path) -> None:
    train(phased(decoder_share=0.25, prior_share=0.25, ema=0.9), tmp_path / "run", **CPU)
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    [average] = [each["average"] for each in state["callbacks"].values() if "average" in each]
    for name, weights in average.items():
        torch.testing.assert_close(weights, state["state_dict"][name], rtol=1e-5, atol=1e-7, msg=name)


def test_the_best_model_is_one_of_the_last_phase(phased: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if its loss is not the least."""
    offered, offer = [], BestModel.offer

    def rising(best: BestModel, task: CodecTask, loss: float) -> bool:
        offered.append(loss)
        return offer(best, task, float(len(offered)))

    monkeypatch.setattr(BestModel, "offer", rising)
    train(phased(decoder_share=0.25, prior_share=0.25, validate_every=1), tmp_path / "run", **CPU)
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    [best] = [each for each in state["callbacks"].values() if "weights" in each]
    assert len(offered) == 12
    assert best["loss"] == 10.0  # of the first step of the prior phase


def test_a_prior_without_parameters_is_not_trained(phased: Make) -> None:
    with pytest.raises(ComponentError, match="the prior static has no parameters, which prior-share would train"):
        CodecTask(phased(prior="static", prior_options={}, prior_share=0.25))


def test_a_relaxed_step_trains_transforms_and_what_is_relaxed_alone(phased: Make) -> None:
    task = CodecTask(phased())
    step_of(task, 0).backward()
    names = trained(task)
    assert any(name.startswith("architecture.encoder") for name in names)
    assert any(name.startswith("architecture.decoder") for name in names)
    assert {"quantizer.relaxation.log_gain", "quantizer.relaxation.log_step", "prior.relaxation.log_scale"} <= names
    assert all("relaxation" in name for name in names if not name.startswith("architecture."))


def test_the_loss_of_a_relaxed_step_is_balanced_over_rates(phased: Make) -> None:
    task = CodecTask(phased()).eval()  # without noise
    pixels = torch.from_numpy(images().pixels)
    batch = Batch(pixels, torch.arange(len(pixels)), 0)
    rates = draw_rates(task.recipe, batch)
    torch.testing.assert_close(rates.fineness, draw_shares(task.recipe, batch).float())
    expected = 0.0
    with torch.no_grad():
        for i, fineness in enumerate(rates.fineness):
            odds = (0.8 / 0.2) ** (1 - fineness) * (0.999 / 0.001) ** fineness
            middle = ((0.8 / 0.2) * (0.999 / 0.001)) ** 0.5
            image = pixels[i : i + 1] / 255
            gain, step = task.quantizer.relaxation(fineness[None])
            latent = task.architecture.analysis(image)
            whole = (latent * gain).round()
            bits = task.prior.interval_bits(whole / gain, 0.5 / gain, whole / gain, fineness[None]).sum()
            mse = ((task.architecture.synthesis(whole * step, 28, 28) - image) / 0.5).square().mean()
            expected += float((odds * mse + bits / 784) * (odds / middle) ** -0.35) / len(pixels)
    assert float(step_of(task, 0).detach()) == pytest.approx(expected, rel=1e-4)


def test_a_fitted_quantizer_goes_on_from_the_relaxed_one(phased: Make) -> None:
    """All its stages together are a dead-zone quantizer whose steps were relaxed to."""
    torch.manual_seed(0)
    task = CodecTask(phased())
    with torch.no_grad():
        task.quantizer.relaxation.log_gain.uniform_(-0.2, 0.2)
        task.quantizer.relaxation.log_step.uniform_(-0.2, 0.2)
    assert not task.fitted
    said = fit_quantizer(task, images())
    assert task.fitted
    assert said.startswith("quantizer fitted: 10 channels, ")
    latent = task.architecture.analysis(torch.from_numpy(images().pixels) / 255)
    gain, step = task.quantizer.relaxation(torch.ones(len(latent)))
    places = latent * gain / 0.6
    wanted = torch.where(places.abs() < 1, 0.0, places.sign() * (places.abs().floor() + 0.5)) * 0.6 * step
    torch.testing.assert_close(task.quantizer.latent(task.quantizer.symbols(latent)), wanted, rtol=1e-4, atol=1e-5)


def test_channels_are_put_in_an_order_and_prefixes_measured_when_the_quantizer_is_fitted(phased: Make) -> None:
    torch.manual_seed(0)
    task = CodecTask(phased())
    fit_quantizer(task, images())
    rates = task.prefix_rates
    assert len(rates) == 11
    assert rates[0] == 0
    assert bool((rates.diff() >= 0).all())
    fineness = task.quantizer.fineness(torch.arange(11))
    assert float(fineness[-1]) == 1.0
    assert bool((fineness.diff() >= -1e-6).all())


def test_channels_that_follow_from_others_take_no_bits() -> None:
    """Not even less than none, as rounding would have it: shares of the bits are raised to a power."""
    random = torch.Generator().manual_seed(0)
    counts = torch.zeros(40, 3, 40, 5)  # (C, sides, C, S): each side of a channel has one symbol
    counts[:, range(3), :, range(3)] = torch.randint(1, 1000, (3, 40, 40), generator=random).float()
    bits = _entropies(counts)
    assert bits[0] > 0
    assert (bits[1:] >= 0).all()
    assert bits[1:].max() < 1e-12


@pytest.mark.parametrize(("exponent", "below_half"), [(1.0, 0.5), (0.5, 0.25), (2.0, 0.71)])
def test_after_that_prefixes_are_drawn_by_their_share_of_the_bits(
    phased: Make, exponent: float, below_half: float
) -> None:
    task = CodecTask(phased(draw_exponent=exponent))
    task.set_prefix_rates(torch.arange(11) ** 2)
    kept = task._draw_rates(Batch(torch.zeros(2000, 1, 28, 28, dtype=torch.uint8), torch.arange(2000), 0)).kept
    reached = task.prefix_rates[kept] / task.prefix_rates[-1]
    assert float((reached <= 0.5).float().mean()) == pytest.approx(below_half, abs=0.1)


def test_a_decoder_step_after_it_trains_corrections_and_synthesis_alone(phased: Make) -> None:
    task = CodecTask(phased())
    task.steps = 12
    fit_quantizer(task, images())
    step_of(task, 11).backward()
    names = trained(task)
    assert {name for name in names if name.startswith("quantizer.")} == {"quantizer.correction"}
    assert not any("relaxation" in name or name.startswith("architecture.encoder") for name in names)


def test_the_relaxed_phase_is_validated_by_its_own_rates(phased: Make) -> None:
    task = CodecTask(phased())
    found = validate(task, images())
    assert len(found.scores) == 8
    rates = [score.bpp for score in found.scores]
    assert rates == sorted(rates)
    assert found.loss == pytest.approx(np.mean([score.loss for score in found.scores]))


def test_prefixes_are_validated_in_the_order_of_coding(phased: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    task = CodecTask(phased())
    fit_quantizer(task, images())
    in_order, latent = type(task.prior).coding_order, task.quantizer.latent
    channels = list[list[int]]()  # of each prefix that is decoded, those of which there are symbols

    def observed(symbols: Tensor) -> Tensor:
        channels.append((symbols >= 0).any(dim=(0, 2, 3)).nonzero().flatten().tolist())
        return latent(symbols)

    monkeypatch.setattr(task.quantizer, "latent", observed)
    *_, last = validate(task, images()).scores
    assert min(channels, key=len) == [0]
    channels.clear()

    def backwards(prior: Prior, symbols: Tensor) -> tuple[Tensor, Tensor]:
        bits, places = in_order(prior, symbols)
        return bits, places.flip(1)

    monkeypatch.setattr(type(task.prior), "coding_order", backwards)
    others = validate(task, images()).scores
    assert min(channels, key=len) == [9], "only what is the first one now is there"
    assert (last.psnr, last.bpp) == pytest.approx((others[-1].psnr, others[-1].bpp))


def test_a_run_in_phases_ends_with_a_model_that_codes(model: Path) -> None:
    log = (model.parent / "train.log").read_text()
    assert "step 6 of 12: quantizer fitted: 10 channels" in log
    loaded = load_model(model)
    picture = images().pixels[0, 0]
    assert loaded.decompress(loaded.compress(picture)).size == (28, 28)
    assert loaded.compress(picture, channels=2) == loaded.encode(picture).file(2)


def test_a_model_keeps_what_further_training_needs(phased: Make, model: Path, tmp_path: Path) -> None:
    arrays = read_model(model).arrays
    wanted = {"relaxation.quantizer.log_gain", "relaxation.prior.log_scale"}
    assert wanted <= set(arrays)
    train(phased(learning_rate=1e-9, seed=3, steps=4), tmp_path / "further", init=model, **CPU)
    again = torch.load(tmp_path / "further" / "last.ckpt", weights_only=True)["state_dict"]
    gain = arrays["relaxation.quantizer.log_gain"]
    np.testing.assert_allclose(again["codec.quantizer.relaxation.log_gain"].numpy(), gain, atol=1e-6)


def test_a_run_that_is_relaxed_to_its_end_leaves_a_model_too(phased: Make, tmp_path: Path) -> None:
    recipe = phased(relaxed_share=1.0, decoder_share=0.0)
    phases = Phases.of(recipe, 12)
    assert {phases.at(step) for step in range(12)} == {Phase.RELAXED}
    path = train(recipe, tmp_path / "run", **CPU, counted=7)
    assert "quantizer fitted: 10 channels" in (tmp_path / "run" / "train.log").read_text()
    model = load_model(path)
    assert model.decompress(model.compress(images().pixels[0, 0])).size == (28, 28)
    train(phased(steps=14, relaxed_share=1.0, decoder_share=0.0), tmp_path / "run", **CPU, resume=True)
    assert load_model(path).fingerprint != model.fingerprint


def test_symbols_that_are_all_the_same_after_the_relaxed_phase_are_named(phased: Make, tmp_path: Path) -> None:
    recipe = phased(relaxed_share=1.0, decoder_share=0.0)
    recipe.quantizer_options["relaxed_steps"] = [1e6, 1e5]
    with pytest.raises(TrainingError, match="each channel has the same symbol everywhere"):
        train(recipe, tmp_path / "run", **CPU)


PHASED = [name for name in recipe_names() if load_recipe(name).relaxed_share]


@pytest.mark.parametrize("name", PHASED)
def test_a_shipped_recipe_goes_through_its_phases(name: str) -> None:
    torch.manual_seed(0)
    task = CodecTask(load_recipe(name))
    task.steps = 20
    coarse = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8)).astype(np.uint8)
    photos = ArrayImages(np.ascontiguousarray(coarse.repeat(8, 2).repeat(8, 3)))
    batch = Batch(torch.from_numpy(photos.pixels), torch.arange(2), 1)
    task.training_step(batch, 0).backward()
    assert any("relaxation" in name for name in trained(task))
    fit_quantizer(task, photos)
    assert 0 < float(task.prefix_rates[-1]) < 24
    for step, name in ((task.phases.decoder_from, "quantizer.correction"), (task.steps - 1, "prior.net.")):
        task.zero_grad()
        batch.step = step
        loss = task.training_step(batch, 0)
        loss.backward()
        assert bool(loss.isfinite())
        assert any(each.startswith(name) for each in trained(task))


def test_recipes_for_photos_in_phases_weigh_rate_and_pixels_alike() -> None:
    """At the lowest rate, whatever images are normalized with before their error is taken."""
    pixels = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    weights = []
    for recipe in (load_recipe("compact-omega"), load_recipe("openimages-omega-480-phases")):
        error = CodecTask(recipe).distortion(pixels, pixels + 0.1)
        weights.append([float(each / (1 - each) * error) for each in (recipe.lambda_min, recipe.lambda_max)])
    (ours, most_of_ours), (published, most_of_published) = weights
    assert ours == pytest.approx(published, rel=0.02)
    assert published < most_of_published < most_of_ours  # which goes on to higher rates


def test_stopped_in_every_phase_a_run_goes_on_exactly(phased: Make, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    phased = partial(phased, decoder_share=1 / 6, prior_share=1 / 6)
    whole = train(phased(), tmp_path / "whole", **CPU)
    step_before, stops = CodecTask.training_step, [3, 7, 9, 11]
    phases = Phases.of(phased(), 12)
    assert [phases.at(stop) for stop in stops] == [Phase.RELAXED, Phase.JOINT, Phase.DECODER, Phase.PRIOR]

    def step(self: CodecTask, batch: Batch, index: int) -> torch.Tensor:
        if stops and batch.step == stops[0]:
            del stops[0]
            raise Stop
        return step_before(self, batch, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CodecTask, "training_step", step)
        while stops:
            with pytest.raises(Stop):
                train(phased(validate_every=1), tmp_path / "parts", resume=(tmp_path / "parts").exists(), **CPU)
    resumed = train(phased(validate_every=1), tmp_path / "parts", resume=True, **CPU)
    one, other = (torch.load(each.parent / "last.ckpt", weights_only=True)["state_dict"] for each in (whole, resumed))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one if not name.startswith("codec.prior.seen"))


def test_a_run_in_its_relaxed_phase_can_be_made_a_model_of(phased: Make, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def step(self: CodecTask, batch: Batch, index: int) -> torch.Tensor:
        if batch.step == 3:
            raise Stop
        return step_before(self, batch, index)

    step_before = CodecTask.training_step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CodecTask, "training_step", step)
        with pytest.raises(Stop):
            train(phased(validate_every=1), tmp_path / "run", **CPU)
    path = export_run(tmp_path / "run", tmp_path / "now.safetensors")
    model = load_model(path)
    assert model.decompress(model.compress(images().pixels[0, 0])).size == (28, 28)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"relaxed_share": 0.6, "decoder_share": 0.5}, "add up to 1.1, which is more than 1"),
        ({"relaxed_share": 0.6, "prior_share": 0.2}, "add up to 1.05, which is more than 1"),
        ({"prior_share": -0.1}, "prior-share is a share from 0 to 1, not -0.1"),
        ({"channels_min": 10, "lambda_min": 0.999}, "relaxed-share requires a range of channels"),
        ({"lambda_max": 1.0}, "lambda has to be above 0 and below 1"),
        ({"sort_channels": True}, "leave out sort-channels"),
    ],
)
def test_phases_that_cannot_be_are_refused(phased: Make, settings: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        phased(**settings)


@pytest.mark.parametrize("phase", ["decoder", "prior"])
def test_a_phase_that_no_steps_are_left_for_is_named(phased: Make, tmp_path: Path, phase: str) -> None:
    with pytest.raises(
        RecipeError, match=rf"2 steps are too few for the {phase} phase, whose share is 0\.1: use 5 or more"
    ):
        train(phased(steps=2, **{"decoder_share": 0.0, f"{phase}_share": 0.1}), tmp_path / "run", **CPU)
    assert not (tmp_path / "run" / "last.ckpt").exists()


def test_a_decoder_phase_may_have_no_steps_where_no_relaxed_phase_is(phased: Make) -> None:
    recipe = phased(relaxed_share=0.0, decoder_share=0.1)
    assert Phases.of(recipe, 4).at(3) is Phase.JOINT
    assert Phases.of(recipe, 5).at(4) is Phase.DECODER


def test_a_quantizer_without_a_relaxed_phase_takes_its_steps_as_always(phased: Make, tmp_path: Path) -> None:
    recipe = phased(quantizer="integer", prior="factorized", channels=4, quantizer_options={}, prior_options={})
    path = train(recipe, tmp_path / "run", **CPU)
    assert load_model(path).channels == 4


def test_a_form_of_omega_that_contains_no_scalar_quantizers_is_refused(phased: Make) -> None:
    with pytest.raises(ComponentError, match="needs the start 'scalar'"):
        CodecTask(phased(quantizer_options={"start": "random"}))


@pytest.mark.parametrize(
    ("order", "parents", "wanted"),
    [
        ([2, 1, 0], [-1, 0, 1], [0, 1, 2]),
        ([1, 0, 3, 2], [-1, 0, -1, 2], [0, 2, 1, 3]),
        ([3, 0, 1, 2], [-1, -1, -1, 0], [0, 3, 1, 2]),
        ([2, 0, 1], [-1, 0, -1], [2, 0, 1]),
    ],
)
def test_channels_come_after_their_parents(order: list[int], parents: list[int], wanted: list[int]) -> None:
    assert parents_first(order, parents) == wanted


def test_the_fineness_of_errors_rises_to_1_where_those_of_the_relaxed_quantizer_do_not_fall() -> None:
    errors = np.array([8.0, 3.0, 1.0, 0.6])
    found = _fineness_of(errors, np.array([9.0, 2.0, 4.0, 0.5]))
    assert (found == _fineness_of(errors, np.array([9.0, 2.0, 2.0, 0.5]))).all()
    assert (np.diff(found) > 0).all()
    assert found[-1] == 1.0


def test_channels_that_tell_nothing_of_each_other_take_all_their_bits() -> None:
    symbols = torch.cartesian_prod(torch.arange(4), torch.arange(4)).T.reshape(1, 2, 4, 4)
    assert _entropies(_joint_counts(symbols, torch.tensor([1, 1]), 4)).tolist() == pytest.approx([2.0, 2.0])
