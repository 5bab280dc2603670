"""Several processes that train together, on the CPU."""

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only

import omega_core
from omega_core.codec.model_file import read_model
from omega_core.errors import TrainingError
from omega_core.processes import launch_rank, launch_size, share
from omega_train import train
from omega_train.callbacks.signals import Interrupted, StoppedAtOnce, StopSignals
from omega_train.job_environment import local_processes, requeue, stop_signals
from omega_train.recipe import Recipe, load_recipe
from omega_train.trainer import LightningTrainer, lightning_trainer

SCRIPT = Path(__file__).with_name("together.py")
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
VARIANTS = ("omega", "integer", "muon", "phases")
"""Runs that `together.py` knows; each of its processes trains them all, as it takes longer to start than a run does."""


@pytest.fixture(autouse=True)
def rank_of_lightning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restores the rank that Lightning keeps for the whole process: only rank 0 warns."""
    monkeypatch.setattr(rank_zero_only, "rank", rank_zero_only.rank)


def run(
    folder: Path, *names: str, batch: int, steps: int = 8, together: bool, killed: int = -1, devices: str = "auto"
) -> tuple[int, str]:
    """Train runs in one process, or in two, and return the exit status and the output."""
    arguments = [SCRIPT, folder, batch, steps, ",".join(names), killed, devices]
    command = [sys.executable, *(TORCHRUN if together else []), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240
    )
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def all_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """The folders of the same runs in one process and in two with half the batch each, and what the two printed.

    After these runs, the two processes begin others that end with errors: for the last, the second is killed.
    """
    folder = tmp_path_factory.mktemp("together")
    status, said = run(folder / "one", *VARIANTS, batch=16, together=False)
    assert status == 0, said
    status, said = run(folder / "two", *VARIANTS, "other-pictures", "killed", batch=8, together=True, killed=6)
    assert status != 0, said
    assert all((folder / "two" / name / "seen-1.pt").exists() for name in VARIANTS), said
    return folder / "one", folder / "two", said


@pytest.fixture(params=VARIANTS)
def runs(request: pytest.FixtureRequest, all_runs: tuple[Path, Path, str]) -> tuple[Path, Path]:
    """The folders of a run in one process and in two."""
    return all_runs[0] / request.param, all_runs[1] / request.param


def test_two_processes_have_the_gradient_of_one_with_twice_the_batch(runs: tuple[Path, Path]) -> None:
    one, two = (torch.load(folder / "gradient.pt", weights_only=True) for folder in runs)
    assert one.keys() == two.keys()
    for name, gradient in one.items():
        assert torch.allclose(gradient, two[name], rtol=1e-5, atol=1e-5 * float(gradient.abs().max())), name


def test_two_processes_see_disjoint_shares_of_the_batches_of_one(runs: tuple[Path, Path]) -> None:
    one, two = runs
    whole = torch.load(one / "seen-0.pt", weights_only=True)
    halves = [torch.load(two / f"seen-{process}.pt", weights_only=True) for process in (0, 1)]
    for (step, samples), (_, first), (_, second) in zip(whole, *halves, strict=True):
        assert sorted(samples) == sorted([*first, *second]), step
        assert not set(first) & set(second)


def test_what_two_processes_measure_and_count_is_what_one_does(runs: tuple[Path, Path]) -> None:
    tables = []
    for folder in runs:
        with (folder / "metrics.csv").open() as file:
            tables.append([row for row in csv.DictReader(file) if row["split"] != "model"])
    assert [row["split"] for row in tables[0]] == [row["split"] for row in tables[1]]
    assert {row["split"] for row in tables[0]} == {"train", "validation"}
    for one, two in zip(*tables, strict=True):
        for column in ("loss", "mse", "bpp", "psnr", "dead_symbols"):
            if one[column]:
                assert float(one[column]) == pytest.approx(float(two[column]), rel=2e-3), column
    models = [omega_core.load_model(folder / "model.safetensors") for folder in runs]
    assert models[0].channels == models[1].channels
    counts = [
        torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]["codec.prior.seen.counts"] for folder in runs
    ]
    assert float(counts[0].sum()) == pytest.approx(float(counts[1].sum()), rel=1e-9)
    tables = [
        {name: array for name, array in read_model(folder / "model.safetensors").arrays.items() if "prior" in name}
        for folder in runs
    ]
    assert tables[0].keys() == tables[1].keys() != set()
    for name, array in tables[0].items():
        # of 2**16 counts of a channel; other rounding may put a picture's symbol next to where it was
        assert np.abs(array.astype(np.int64) - tables[1][name].astype(np.int64)).max() < 2**16 / 50, name


def test_processes_that_find_different_pictures_do_not_train(all_runs: tuple[Path, Path, str]) -> None:
    _, folder, said = all_runs
    each = "process 1 of this run found 82 training pictures and process 0 81, or not the same ones"
    assert said.count(each) == 2
    assert not (folder / "other-pictures" / "last.ckpt").exists()


def test_the_first_process_alone_writes(all_runs: tuple[Path, Path, str]) -> None:
    _, folder, said = all_runs
    assert said.count("step 0 of 8") == len((*VARIANTS, "killed"))
    for name in VARIANTS:
        assert (folder / name / "train.log").read_text().count("step 0 of 8") == 1


@pytest.mark.parametrize("runs", ["omega"], indirect=True)
def test_processes_that_lightning_starts_do_what_those_of_torchrun_do(runs: tuple[Path, Path], tmp_path: Path) -> None:
    status, said = run(tmp_path, "omega", batch=8, together=False, devices="2")
    assert status == 0, said
    one, two = (
        torch.load(folder / "last.ckpt", weights_only=True)["state_dict"] for folder in (runs[1], tmp_path / "omega")
    )
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], msg=name)


def test_a_killed_process_ends_the_job_with_an_error_and_two_go_on_with_what_two_began(
    all_runs: tuple[Path, Path, str],
) -> None:
    _, runs, _ = all_runs
    folder = runs / "killed"
    assert not (folder / "seen-0.pt").exists()
    recipe = load_recipe(str(folder / "recipe.toml"))
    with pytest.raises(TrainingError, match="this run had 2 processes and has 1 now"):
        train(recipe, folder, resume=True, accelerator="cpu", devices="1")
    status, said = run(runs, "killed", batch=8, together=True)
    assert status == 0, said
    paths = (runs / "omega" / "last.ckpt", folder / "last.ckpt")
    once, resumed = (torch.load(path, weights_only=True)["state_dict"] for path in paths)
    for name, tensor in once.items():
        assert torch.equal(tensor, resumed[name]), name


def test_several_machines_need_something_that_starts_processes_on_each(tiny: Callable[..., Recipe]) -> None:
    with pytest.raises(TrainingError, match="2 machines need torchrun or srun"):
        lightning_trainer(tiny(), accelerator="cpu", devices="1", nodes=2, precision="32-true")


@pytest.mark.parametrize(
    ("environment", "count", "number"),
    [
        ({}, 1, 0),
        ({"WORLD_SIZE": "4", "RANK": "2", "LOCAL_RANK": "0"}, 4, 2),
        ({"SLURM_STEP_NUM_TASKS": "3", "SLURM_PROCID": "1"}, 3, 1),
        ({"SLURM_NTASKS": "3", "SLURM_PROCID": "0"}, 1, 0),
        ({"WORLD_SIZE": "2", "LOCAL_RANK": "1"}, 2, 1),
        ({"WORLD_SIZE": "2", "LOCAL_RANK": "1", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, 2, 1),
        ({"WORLD_SIZE": "many"}, 1, 0),
    ],
    ids=["alone", "torchrun", "srun", "the batch script of SLURM", "Lightning", "Lightning in SLURM", "nonsense"],
)
def test_a_process_finds_out_which_it_is(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], count: int, number: int
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (launch_size(), launch_rank()) == (count, number)
    assert list(share(range(10))) == list(range(number, 10, count))


def test_processes_that_others_start_say_how_many_devices_there_are(
    monkeypatch: pytest.MonkeyPatch, tiny: Callable[..., Recipe]
) -> None:
    assert local_processes() is None
    monkeypatch.setenv("WORLD_SIZE", "6")
    assert local_processes() is None
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert local_processes() == 3
    with pytest.raises(TrainingError, match="6 processes were started, 3 on each machine: leave out --devices"):
        lightning_trainer(tiny(), accelerator="cpu", devices="2", nodes=1, precision="32-true")


def test_processes_that_would_each_train_alone_are_refused(
    monkeypatch: pytest.MonkeyPatch, tiny: Callable[..., Recipe]
) -> None:
    """Some managers of clusters set these variables, but not LOCAL_WORLD_SIZE."""
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match="2 processes were started, but not as torchrun or srun start them"):
        lightning_trainer(tiny(), accelerator="cpu", devices="auto", nodes=1, precision="32-true")


def test_settings_of_slurm_that_lightning_refuses_are_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, tiny: Callable[..., Recipe]
) -> None:
    for variable in ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"):
        monkeypatch.setenv(variable, "2")
    monkeypatch.setenv("SLURM_STEP_NUM_NODES", "1")
    with pytest.raises(TrainingError, match="cannot train with these settings: You set `--ntasks=2`"):
        lightning_trainer(tiny(), accelerator="cpu", devices="auto", nodes=1, precision="32-true")


@pytest.mark.parametrize("name", ["batch", "interactive"])
def test_processes_of_srun_are_recognized_in_any_job(
    monkeypatch: pytest.MonkeyPatch, tiny: Callable[..., Recipe], name: str
) -> None:
    for variable, value in {
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_NUM_NODES": "1",
        "SLURM_NTASKS": "2",
        "SLURM_PROCID": "1",
        "SLURM_LOCALID": "1",
        "SLURM_NODEID": "0",
        "SLURM_JOB_ID": "41",
        "SLURM_JOB_NAME": name,
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_JOB_NODELIST": "here",
    }.items():
        monkeypatch.setenv(variable, value)
    made = lightning_trainer(tiny(), accelerator="cpu", devices="auto", nodes=1, precision="32-true")
    assert (made.world_size, made.global_rank) == (2, 1)
    assert made.strategy.launcher is None or not made.strategy.launcher.is_interactive_compatible
    assert made.strategy.cluster_environment.creates_processes_externally


def test_a_repeated_sigterm_counts_once_and_a_later_one_stops_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    signals, now = StopSignals(), [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    signals._on_signal(signal.SIGTERM, None)
    signals._on_signal(signal.SIGTERM, None)
    assert signals.received == signal.SIGTERM
    now[0] += 3
    with pytest.raises(StoppedAtOnce):
        signals._on_signal(signal.SIGTERM, None)
    signals = StopSignals()
    signals._on_signal(signal.SIGINT, None)
    with pytest.raises(StoppedAtOnce):
        signals._on_signal(signal.SIGINT, None)


def test_a_signal_that_another_process_receives_at_the_end_stops_all(
    monkeypatch: pytest.MonkeyPatch, tiny: Callable[..., Recipe], tmp_path: Path
) -> None:
    monkeypatch.setattr("omega_train.callbacks.signals.all_reduce_max", lambda *_: [float(signal.SIGTERM)])
    with pytest.raises(Interrupted, match="stopped at once by SIGTERM") as caught:
        train(tiny(), tmp_path / "run", accelerator="cpu", devices="1")
    assert caught.value.status == 128 + signal.SIGTERM
    assert (tmp_path / "run" / "last.ckpt").exists()


def test_after_an_error_the_processes_that_lightning_started_are_killed(
    monkeypatch: pytest.MonkeyPatch, tiny: Callable[..., Recipe], tmp_path: Path
) -> None:
    made = LightningTrainer(recipe=tiny(), accelerator="cpu", devices="1")
    left = list[bool]()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    processes = [child]
    monkeypatch.setattr(made.trainer.strategy, "_launcher", SimpleNamespace(procs=processes))
    monkeypatch.setattr("omega_train.trainer.leave", lambda: left.append(True))
    message = "[../gloo/pair.cc:525] Connection closed by peer [127.0.0.1]:1234"
    monkeypatch.setattr(made.trainer, "fit", Mock(side_effect=RuntimeError(message)))
    with pytest.raises(TrainingError, match="another process of this run has ended"):
        made.train(tmp_path)
    assert (child.returncode, left) == (-signal.SIGKILL, [True])
    assert processes == [], "which Lightning watches, to kill this process if one of them fails"


def test_a_job_whose_time_is_up_is_put_back_into_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert signal.SIGUSR1 not in stop_signals()
    assert requeue(signal.SIGUSR1) == ""
    monkeypatch.setenv("SLURM_JOB_ID", "41")
    assert signal.SIGUSR1 in stop_signals()
    assert requeue(signal.SIGTERM) == ""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "could not be requeued" in requeue(signal.SIGUSR1)
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    scontrol.chmod(0o755)
    assert requeue(signal.SIGUSR1) == " Its job 41 was requeued."
    assert (tmp_path / "asked").read_text() == "requeue 41\n"
