"""Training for minutes instead of steps."""

import csv
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from omega_core.errors import TrainingError
from omega_train import time_limit, train, trainer
from omega_train.recipe import Recipe
from omega_train.time_limit import UNTIMED, TimeLimit

CPU = {"accelerator": "cpu", "devices": "1"}
Make = Callable[..., Recipe]


class Clock:
    """A clock that moves by so many seconds when it is looked at, and when it is told to."""

    now = 0.0
    moves = 0.0

    def monotonic(self) -> float:
        self.now += self.moves
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time_limit, "time", made)
    monkeypatch.setattr(trainer, "time", made)
    return made


def done(timing: TimeLimit, clock: Clock, seconds: Callable[[int], float]) -> list[int]:
    """How many steps were planned after each one, until they were done."""
    planned = [timing.start(0)]
    while planned[-1] > len(planned) - 1:
        clock.now += seconds(len(planned))
        planned.append(timing.steps(len(planned)))
    return planned


def test_there_are_as_many_steps_as_there_is_time_for(clock: Clock) -> None:
    planned = done(TimeLimit(100.0), clock, lambda step: 10.0 if step == 1 else 0.5)
    assert planned[2 * UNTIMED :] == [181] * (182 - 2 * UNTIMED)
    assert clock.now == pytest.approx(100, abs=0.5)


def test_processes_take_the_earliest_end_of_all(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    clock.now = 30.0
    timing = TimeLimit(100.0)
    timing.agree(torch.device("cpu"))
    assert timing.end == 100.0
    monkeypatch.setattr(time_limit, "all_reduce_max", lambda values, _: [max(*values, -50.0)])
    timing.agree(torch.device("cpu"))
    assert timing.end == 80.0, "another process has 50 seconds left"


def test_where_steps_come_to_take_longer_there_are_fewer_of_them(clock: Clock) -> None:
    planned = done(TimeLimit(100.0), clock, lambda step: 0.5 if step < 100 else 1.0)
    assert planned[50] == 200
    assert planned[-1] == len(planned) - 1 == pytest.approx(150, abs=3)
    assert clock.now <= 101


def test_time_that_is_up_before_the_first_step_leaves_room_for_one(clock: Clock) -> None:
    assert done(TimeLimit(-1.0), clock, lambda _: 0.5) == [1, 1]


def test_a_run_of_minutes_ends_with_them_and_with_its_schedule(tiny: Make, clock: Clock, tmp_path: Path) -> None:
    clock.moves = 1.0  # with each step
    train(tiny(steps=1, schedule="cosine", validate_every=1000), tmp_path / "run", **CPU, minutes=1.0)
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    last = int(rows[-1]["step"])
    assert last == pytest.approx(60, abs=3)
    rates = {int(row["step"]): float(row["learning_rate"]) for row in rows if row["learning_rate"]}
    assert set(rates) == {20, 40}
    for step, rate in rates.items():
        assert rate == pytest.approx(3e-3 * (0.5 + 0.5 * math.cos(math.pi * step / last)), rel=0.1)


@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        ({"decoder_share": 0.1}, {"minutes": 1.0}, "set the shares of phases to 0 or 1"),
        ({}, {"minutes": 0.0}, "minutes have to be above 0"),
        ({}, {"counted": 0}, "counted has to be at least 1, not 0"),
    ],
)
def test_what_cannot_be_is_refused(
    tiny: Make, tmp_path: Path, settings: dict[str, object], options: dict[str, float], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        train(tiny(**settings), tmp_path / "run", **CPU, **options)
