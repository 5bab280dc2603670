"""What a run logs, for the program that runs it and for the file."""

import io
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from omega_train import train
from omega_train.log import Log, log, progress_log, shows_progress
from omega_train.recipe import Recipe

CPU = {"accelerator": "cpu", "devices": "1"}


@pytest.fixture
def level() -> Iterator[Callable[[int], None]]:
    """Sets the level of the logger of the package, as a program does."""
    yield log.setLevel
    log.setLevel(logging.NOTSET)


def say_all() -> None:
    log.debug("a detail")
    log.info("what")
    progress_log.info("how far")
    logging.getLogger("omega_train.callbacks.anything").warning("a warning")


def lines(path: Path) -> list[str]:
    return [line.split(" ", 2)[2] for line in path.read_text().splitlines()]


def test_the_file_has_all_and_the_program_what_it_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, level: Callable[[int], None]
) -> None:
    for asked, given in ((logging.NOTSET, ["a warning"]), (logging.INFO, ["what", "how far", "a warning"])):
        level(asked)
        caplog.clear()
        with Log(tmp_path / f"{asked}.log"):
            say_all()
        assert lines(tmp_path / f"{asked}.log") == ["what", "how far", "a warning"]
        assert caplog.messages == given


def test_levels_are_afterwards_what_they_were(tmp_path: Path, level: Callable[[int], None]) -> None:
    for before in (logging.NOTSET, logging.ERROR):
        level(before)
        with Log(tmp_path / "a.log"):
            assert log.isEnabledFor(logging.INFO)
        assert (log.level, log.propagate, log.handlers) == (before, True, [])
        assert not log.isEnabledFor(logging.INFO)


def test_progress_is_shown_where_the_program_shows_information(tmp_path: Path, level: Callable[[int], None]) -> None:
    for asked, shown in (
        (logging.NOTSET, False),
        (logging.WARNING, False),
        (logging.INFO, True),
        (logging.DEBUG, True),
    ):
        level(asked)
        assert shows_progress() == shown
        with Log(tmp_path / "a.log"):
            assert shows_progress() == shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("asked", [logging.NOTSET, logging.INFO])
def test_a_run_prints_nothing_unless_the_program_asks_for_it(
    tiny: Callable[..., Recipe],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    level: Callable[[int], None],
    asked: int,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    level(asked)
    train(tiny(steps=2), tmp_path, **CPU)
    assert capsys.readouterr().out == ""
    assert ("2/2" in terminal.getvalue()) == (asked == logging.INFO), "a bar"
    if asked == logging.NOTSET:
        assert terminal.getvalue() == ""
    said = lines(tmp_path / "train.log")
    assert said[:2] == [
        "80 training pictures and 20 for validation; 1 × cpu in 32-true; 0 reading processes each",
        "step 0 of 2",
    ]
    assert "step 2: checkpoint" in said
