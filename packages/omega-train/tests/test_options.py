"""What recipes can ask for beside the published training."""

import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import omega_core
from omega_core.codec.model_file import read_model
from omega_core.errors import ComponentError, TrainingError
from omega_train import train
from omega_train.callbacks import validation
from omega_train.callbacks.average import WeightAverage
from omega_train.channel_order import sort_channels
from omega_train.data.batches import Batch
from omega_train.model_writing import save
from omega_train.phases import Phase
from omega_train.rate_sampling import draw_rates
from omega_train.recipe import Recipe
from omega_train.task import CodecTask, symbol_counts
from omega_train.trainer import LightningTrainer, lightning_trainer
from omega_train.validation import Validation, recount, validate

CPU = {"accelerator": "cpu", "devices": "1"}
ALL = {
    "schedule": "cosine",
    "warmup": 3,
    "rate_warmup": 0.25,
    "quantizer_learning_rate": 1e-4,
    "gradient_clip": 1.0,
    "ema": 0.9,
    "decoder_share": 0.25,
    "reset_dead_every": 4,
    "sort_channels": True,
    "quantizer_options": {"temperature_growth": 3.0},
}
Make = Callable[..., Recipe]


@pytest.fixture
def batch() -> Batch:
    pixels = torch.randint(0, 256, (6, 1, 28, 28), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    return Batch(pixels, torch.arange(6), 0)


def rows(folder: Path, split: str) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["split"] == split]


class Pictures:
    def __init__(self, batch: Batch) -> None:
        self.pixels = batch.pixels.numpy()

    def __len__(self) -> int:
        return len(self.pixels)

    def load(self, index: int, seed: int) -> object:
        return self.pixels[index]


def test_the_learning_rate_rises_and_falls_along_a_cosine(tiny: Make) -> None:
    task = CodecTask(tiny(schedule="cosine", warmup=3, learning_rate=1.0))
    schedule = task.configure_optimizers()["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(12):
        rates.append(schedule.get_last_lr()[0])
        schedule.optimizer.step()
        schedule.step()
    cosine = [0.5 + 0.5 * math.cos(math.pi * step / 12) for step in range(12)]
    assert rates == pytest.approx([c * min(1, (step + 1) / 4) for step, c in enumerate(cosine)])


def test_the_rate_comes_to_count(tiny: Make, batch: Batch) -> None:
    task = CodecTask(tiny(rate_warmup=0.5))
    assert [task.rate_factor(step) for step in (0, 3, 6, 11)] == [0.0, 0.5, 1.0, 1.0]
    rates = draw_rates(task.recipe, batch)
    with torch.no_grad():
        loss = task.training_step(batch, 0)
        image = batch.pixels / 255
        quantized = task.quantizer(task.architecture.analysis(image), task.prior, rates.kept)
        mse = task.distortion(task.architecture.synthesis(quantized.latent, 28, 28), image)
    assert float(quantized.bits.min()) > 0
    assert float(loss) == pytest.approx(float((rates.lambda_ * mse).mean()), rel=1e-5)


def test_the_quantizer_can_have_a_learning_rate_of_its_own(tiny: Make) -> None:
    task = CodecTask(tiny(learning_rate=0.5, quantizer_learning_rate=0.125, weight_decay=0.25))
    of = {id(p): group for group in task.configure_optimizers().param_groups for p in group["params"]}
    assert len(of) == len(list(task.parameters()))
    for name, parameter in task.codec.named_parameters():
        assert of[id(parameter)]["lr"] == (0.125 if name.startswith("quantizer.") else 0.5)
        assert of[id(parameter)]["weight_decay"] == (0.25 if parameter.ndim > 1 else 0.0)


def test_gradients_are_clipped_by_their_norm(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    norms = []

    def seen(task: CodecTask) -> None:
        gradients = [p.grad for p in task.parameters() if p.grad is not None]
        norms.append(float(torch.linalg.vector_norm(torch.stack([g.norm() for g in gradients]))))

    monkeypatch.setattr(CodecTask, "on_train_batch_end", lambda task, *_: seen(task))
    train(tiny(gradient_clip=0.01, steps=4), tmp_path / "run", **CPU)
    assert norms == pytest.approx([0.01] * 4, rel=0.01)


def test_decoder_steps_train_what_follows_the_symbols_alone(tiny: Make, batch: Batch) -> None:
    task = CodecTask(tiny(decoder_share=0.25))
    assert [task.phase(step) for step in (8, 9, 11)] == [Phase.JOINT, Phase.DECODER, Phase.DECODER]
    batch.step = 9
    task.training_step(batch, 0).backward()
    trained = {name for name, p in task.codec.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert {"quantizer.table", "quantizer.table_bias", "architecture.decoder.0.weight"} <= trained
    assert not any(name.startswith(("architecture.encoder", "quantizer.weight", "quantizer.bias")) for name in trained)


@pytest.mark.parametrize("parts", [{}, {"quantizer": "integer", "prior": "factorized", "latent_channels": 3}])
def test_the_loss_of_a_decoder_step_is_that_of_files(tiny: Make, batch: Batch, parts: dict[str, object]) -> None:
    task = CodecTask(tiny(decoder_share=0.5, **parts))
    batch.step = 11
    loss = float(task.training_step(batch, 0).detach())
    rates = draw_rates(task.recipe, batch)
    task.eval()
    if task.prior.observes and not parts:
        task.prior.recount()  # what it had seen before: nothing
    expected = 0.0
    with torch.no_grad():
        for i, (n, lambda_) in enumerate(zip(rates.kept.tolist(), rates.lambda_.tolist(), strict=True)):
            image = batch.pixels[i : i + 1] / 255
            quantized = task.quantizer(task.architecture.analysis(image), task.prior, torch.tensor([n]))
            mse = (task.architecture.synthesis(quantized.latent, 28, 28) - image).square().mean() / 0.25
            expected += float(lambda_ * mse + (1 - lambda_) * quantized.bits / 784) / 6
    assert loss == pytest.approx(expected, rel=1e-4)


def test_the_average_of_weights_follows_them(tiny: Make) -> None:
    task = CodecTask(tiny())
    average = WeightAverage(task, 0.5)
    values = [1.0, 3.0, 7.0]
    for value in values:
        torch.nn.init.constant_(task.quantizer.table, value)
        average.update()
    expected = 1.0
    for steps, value in zip((2, 3), values[1:], strict=True):
        decay = min(0.5, steps / (steps + 10))
        expected = decay * expected + (1 - decay) * value
    with average.applied():
        assert float(task.quantizer.table[0, 0, 0].detach()) == pytest.approx(expected)
    assert float(task.quantizer.table[0, 0, 0].detach()) == 7.0


def test_the_model_of_a_run_with_an_average_is_the_average(tiny: Make, tmp_path: Path) -> None:
    train(tiny(ema=0.99), tmp_path / "run", **CPU)
    checkpoint = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    [average] = [state["average"] for state in checkpoint["callbacks"].values() if "average" in state]
    model = read_model(tmp_path / "run" / "model.safetensors").arrays
    for name, weights in average.items():
        assert (model[name.removeprefix("codec.")] == weights.numpy()).all()
    assert (model["quantizer.table"] != checkpoint["state_dict"]["codec.quantizer.table"].numpy()).any()


def test_symbols_that_nothing_chose_are_woken(tiny: Make, batch: Batch) -> None:
    task = CodecTask(tiny(alphabet=64, reset_dead_every=5))
    with torch.no_grad():
        task.training_step(batch, 0)
    rates = draw_rates(task.recipe, batch)
    image = batch.pixels / 255
    symbols = task.quantizer.symbols(task.architecture.analysis(image))
    assert torch.equal(task.chosen, symbol_counts(symbols, rates.kept, 64))
    dead = task.chosen == 0
    before = [p.clone() for p in (task.quantizer.weight, task.quantizer.table)]
    assert task.reset_dead_symbols(5) == int(dead.sum())
    for old, new in zip(before, (task.quantizer.weight, task.quantizer.table), strict=True):
        assert torch.equal((old != new).any(dim=2), dead)
    assert int(task.chosen.sum()) == 0
    again = task.quantizer.symbols(task.architecture.analysis(image))
    used, now = (symbol_counts(each, rates.kept, 64) for each in (symbols, again))
    assert int((now > 0).sum()) > 1.2 * int((used > 0).sum())


def test_channels_that_are_not_worth_their_bits_are_dropped_and_the_rest_sorted(tiny: Make, batch: Batch) -> None:
    """Channels that were exchanged by hand, of which one carries nothing but costs bits, come back in order."""
    recipe = tiny(latent_channels=8, channels=4, alphabet=16, lambda_min=0.95, steps=60, reset_dead_every=None)
    torch.manual_seed(0)
    task = CodecTask(recipe)
    pictures = Pictures(batch)
    [optimizer] = [task.configure_optimizers()]
    for step in range(60):
        optimizer.zero_grad()
        task.training_step(Batch(batch.pixels, batch.samples, step), 0).backward()
        optimizer.step()
    with torch.no_grad():
        task.quantizer.table[2] = 0.0
        task.quantizer.table[[1, 3]] *= 0.1  # so that the first one brings most, however training went
        task.quantizer.log_temperature.copy_(torch.tensor([0.0, 1.0, 2.0, 3.0]))  # to tell them apart by
    recount(task, pictures)
    before = validate(task, pictures)
    task.quantizer.select_channels([2, 1, 0, 3])
    task.prior.select_channels([2, 1, 0, 3])
    worse = validate(task, pictures)
    said = sort_channels(task, pictures)
    assert "of 4 channels dropped, sorted" in said
    kept = task.quantizer.log_temperature.detach().round().tolist()
    assert 2.0 not in kept
    assert kept[0] == 0.0
    assert validate(task, pictures).loss < worse.loss
    assert len(kept) == task.quantizer.channels == task.prior.code_lengths(3, 3).shape[0]
    assert before.loss < worse.loss


def test_channels_stay_in_the_order_that_a_prior_was_trained_for(tiny: Make, batch: Batch) -> None:
    """`ContextPrior.select_channels` would discard its network."""
    torch.manual_seed(0)
    task = CodecTask(tiny(alphabet=16, prior="context"))
    with torch.no_grad():
        task.quantizer.table[0] = 0.0  # the first channel takes bits for nothing
    pictures = Pictures(batch)
    recount(task, pictures)
    task.prior.train().channel_bits(task.codec.encode_symbols(batch.pixels / 255))
    assert task.prior.knows_channels
    state = {name: values.clone() for name, values in task.state_dict().items()}
    assert "in the order that the prior context was trained for" in sort_channels(task, pictures)
    assert all(torch.equal(values, state[name]) for name, values in task.state_dict().items())


def test_weights_of_half_precision_take_half_and_have_tables_of_their_own_symbols(
    tiny: Make, batch: Batch, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    paths = [tmp_path / f"{half}.safetensors" for half in (False, True)]
    for path, half in zip(paths, (False, True), strict=True):
        task = CodecTask(tiny(alphabet=16, half_precision=half))
        with torch.no_grad():
            task.quantizer.table_bias[0] = 1e-5  # which 16 bits hold, though not as precisely
        save(task, path, Pictures(batch))
    arrays = read_model(paths[1]).arrays
    kinds = {name.partition(".")[0]: array.dtype for name, array in arrays.items()}
    assert kinds == {"architecture": np.float16, "quantizer": np.float16, "prior": np.int32}
    weights = [
        sum(a.nbytes for name, a in read_model(path).arrays.items() if not name.startswith("prior")) for path in paths
    ]
    assert weights[0] == 2 * weights[1]
    written = torch.from_numpy(arrays["quantizer.table_bias"]).float()
    assert torch.equal(written, task.quantizer.table_bias)  # with which the prior was counted
    assert written[0] > 0
    model = omega_core.load_model(paths[1])
    symbols = np.stack([model.file_codec.symbols(pixels) for pixels in batch.pixels.numpy()])
    counts = (symbols.reshape(len(symbols), -1, 1) == np.arange(16)).sum(0) + 1
    found = np.diff(arrays["prior.cumulative"][arrays["prior.rows"].reshape(-1)]) / 2**16
    np.testing.assert_allclose(found, counts / counts.sum(1, keepdims=True), atol=1e-4)


def test_stages_that_lost_a_channel_have_tables_of_what_they_then_hold(
    tiny: Make, batch: Batch, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    options = {"start": "scalar", "stages": [1, 1]}
    settings = {"channels": 8, "channels_min": 0, "latent_channels": 4, "lambda_min": 0.9, "lambda_max": 0.99}
    task = CodecTask(tiny(alphabet=16, sort_channels=True, quantizer_options=options, **settings))
    with torch.no_grad():
        task.quantizer.table[0] = 0.4  # whatever the symbol: brings nothing, but moves what the second stage sees
        task.quantizer.weight *= 9  # for symbols of all kinds
    path = save(task, tmp_path / "model.safetensors", Pictures(batch))
    assert task.quantizer.channels < 8
    assert task.quantizer.stage.tolist().count(0) < 4
    arrays = read_model(path).arrays
    model = omega_core.load_model(path)
    symbols = np.stack([model.file_codec.symbols(pixels) for pixels in batch.pixels.numpy()])
    counts = (symbols.reshape(*symbols.shape[:2], -1, 1) == np.arange(16)).sum(0) + 1
    found = np.diff(arrays["prior.cumulative"][arrays["prior.rows"].reshape(-1)]) / 2**16
    expected = (counts / counts.sum(2, keepdims=True)).reshape(found.shape)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_weights_that_half_precision_cannot_hold_are_named(tiny: Make, batch: Batch, tmp_path: Path) -> None:
    task = CodecTask(tiny(half_precision=True))
    with torch.no_grad():
        task.quantizer.table[0] = 1e6
    with pytest.raises(TrainingError, match="too large for 16 bits"):
        save(task, tmp_path / "model.safetensors", Pictures(batch))
    assert not (tmp_path / "model.safetensors").exists()


def test_a_model_of_fewer_channels_than_its_recipe_works(tiny: Make, tmp_path: Path) -> None:
    recipe = tiny(channels=6, alphabet=16, steps=20, sort_channels=True, lambda_min=0.5, lambda_max=0.5001)
    path = train(recipe, tmp_path / "run", **CPU)
    model = omega_core.load_model(path)
    assert model.channels < 6
    assert "of 6 channels dropped" in (tmp_path / "run" / "train.log").read_text()
    train(recipe, tmp_path / "run", resume=True, **CPU)  # nothing is left to do
    assert omega_core.load_model(path).fingerprint == model.fingerprint
    pixels = torch.zeros(28, 28, dtype=torch.uint8).numpy()
    assert model.decompress(model.compress(pixels, channels=model.channels)).size == (28, 28)


def test_a_model_of_one_rate_loses_channels_that_are_not_worth_their_bits_too(tiny: Make, batch: Batch) -> None:
    task = CodecTask(tiny(channels=4, channels_min=4, lambda_min=0.9, lambda_max=0.9, alphabet=16))
    with torch.no_grad():
        task.quantizer.table[1] = 0.0
    pictures = Pictures(batch)
    recount(task, pictures)
    sort_channels(task, pictures)
    assert task.quantizer.channels < 4


def test_the_model_has_the_prior_of_its_best_step(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its density is learned, and not counted at the end: the tables are those of the step of the weights."""
    losses = iter([2.0, 1.0, 3.0])
    monkeypatch.setattr(validation, "validate", lambda *_: Validation(next(losses), [], 0.0, 0.0))
    settings = {"quantizer": "integer", "prior": "factorized", "latent_channels": 3, "learning_rate": 0.1}
    recipe = tiny(validate_every=4, steps=12, prior_options={"counted": False}, **settings)
    tables = []
    original = validation.export

    def export(task: CodecTask, path: Path) -> str:
        tables.append({name: array.copy() for name, array in task.prior.freeze().arrays().items()})
        return original(task, path)

    monkeypatch.setattr(validation, "export", export)
    arrays = read_model(train(recipe, tmp_path / "run", **CPU)).arrays
    assert all((arrays[f"prior.{name}"] == table).all() for name, table in tables[1].items())
    assert any((arrays[f"prior.{name}"] != table).any() for name, table in tables[0].items())


def test_decoder_steps_go_on_from_the_average(tiny: Make, tmp_path: Path) -> None:
    """What comes before the symbols stays what it was in the average: files have the symbols of those steps."""
    train(tiny(ema=0.9, decoder_share=0.5), tmp_path / "run", **CPU)
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    [average] = [each["average"] for each in state["callbacks"].values() if "average" in each]
    for name, weights in average.items():
        after = name.startswith(("codec.architecture.decoder", "codec.quantizer.table"))
        assert torch.allclose(weights, state["state_dict"][name], rtol=1e-5, atol=1e-7) != after, name


def test_a_run_is_resumed_with_as_many_pictures_as_it_had(tiny: Make, tmp_path: Path) -> None:
    train(tiny(steps=2), tmp_path / "run", **CPU)
    recipe = tmp_path / "run" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("training = 80", "training = 160"))
    more = tiny(steps=4, dataset_options={"training": 160, "validation": 20})
    with pytest.raises(TrainingError, match="80 training pictures before, 160 now"):
        train(more, tmp_path / "run", resume=True, **CPU)


def test_decoder_steps_keep_the_precision(tiny: Make, tmp_path: Path) -> None:
    recipe = tiny(quantizer="integer", prior="factorized", latent_channels=3, decoder_share=0.5, steps=4)
    train(recipe, tmp_path / "run", **CPU, precision="64-true")


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"sort_channels": True}, "which sort-channels needs"),
        ({"reset_dead_every": 3}, "which reset-dead-every needs"),
    ],
)
def test_what_a_quantizer_cannot_do_is_said_at_the_start(
    tiny: Make, settings: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ComponentError, match=complaint):
        CodecTask(tiny(quantizer="integer", prior="factorized", latent_channels=3, **settings))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (
            {"quantizer": "identity", "latent_channels": 3},
            "identity has no alphabet of symbols, which relaxed-share needs",
        ),
        (
            {"quantizer_options": {"start": "scalar"}, "prior": "factorized"},
            "the prior factorized has no `interval_bits`",
        ),
    ],
)
def test_what_has_no_relaxed_phase_is_said_at_the_start(
    tiny: Make, settings: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ComponentError, match=complaint):
        CodecTask(tiny(relaxed_share=0.5, channels_min=0, lambda_min=0.8, **settings))


def test_the_log_has_what_tells_how_a_run_goes(tiny: Make, tmp_path: Path) -> None:
    train(tiny(steps=40, validate_every=20, **ALL), tmp_path / "run", **CPU)
    learning = [float(row["learning_rate"]) for row in rows(tmp_path / "run", "train")]
    temperatures = [float(row["temperature"]) for row in rows(tmp_path / "run", "train")]
    assert learning[0] > learning[1] >= 0
    assert temperatures[1] > 1.4 * temperatures[0] > 100
    summary = [row for row in rows(tmp_path / "run", "validation") if not row["channels"]]
    assert [row["step"] for row in summary] == ["20", "40"]
    for row in summary:
        assert 0 <= float(row["dead_channels"]) <= float(row["dead_symbols"]) <= 1


def test_mixed_precision_keeps_distances_and_rate_in_float32(tiny: Make, tmp_path: Path) -> None:
    seen = {}
    original = CodecTask.training_step

    def training_step(self: CodecTask, batch: Batch, index: int) -> torch.Tensor:
        def look(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: object) -> None:
            seen.update(latent=inputs[0].dtype, bits=output.bits.dtype, restored=output.latent.dtype)

        hook = self.quantizer.register_forward_hook(look)
        convolved = self.architecture.encoder[0].register_forward_hook(lambda *a: seen.update(convolved=a[2].dtype))
        loss = original(self, batch, index)
        hook.remove()
        convolved.remove()
        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CodecTask, "training_step", training_step)
        train(tiny(steps=2), tmp_path / "run", **CPU, precision="bf16-mixed")
    assert seen.pop("convolved") == torch.bfloat16
    assert set(seen.values()) == {torch.float32}


@pytest.mark.parametrize("precision", ["bf16-true", "16-true"])
def test_a_precision_without_float32_is_refused(tiny: Make, precision: str) -> None:
    with pytest.raises(TrainingError, match="use bf16-mixed"):
        lightning_trainer(tiny(), accelerator="cpu", devices="1", nodes=1, precision=precision)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_the_machine_lacks_is_one_clear_error(tiny: Make) -> None:
    for settings in ({"accelerator": "gpu", "precision": "32-true"}, {"accelerator": "cpu", "precision": "16-mixed"}):
        with pytest.raises(TrainingError, match="cannot train with these settings"):
            LightningTrainer(recipe=tiny(), **settings)


def test_compiled_transforms_train_as_others(tiny: Make, tmp_path: Path) -> None:
    recipe = tiny(steps=3)
    train(recipe, tmp_path / "plain", **CPU)
    train(recipe, tmp_path / "compiled", **CPU, compiled=True)
    weights = [
        torch.load(tmp_path / name / "last.ckpt", weights_only=True)["state_dict"] for name in ("plain", "compiled")
    ]
    for name, weight in weights[0].items():
        assert torch.allclose(weight, weights[1][name], rtol=1e-3, atol=1e-4), name


def test_a_machine_that_cannot_compile_is_one_clear_error(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    torch.compiler.reset()
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, "no-such-compiler"))
    with pytest.raises(TrainingError, match=r"torch\.compile does not work here; leave out --compile"):
        train(tiny(steps=3, channels=2), tmp_path / "run", **CPU, compiled=True)
