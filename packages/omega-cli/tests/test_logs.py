"""What of the logs is printed, and how."""

import io
import logging
import sys
import threading
from collections.abc import Iterator

import pytest
from tqdm import tqdm

from omega_cli.logs import PACKAGES, Shown, collected_logs, log_again, print_logs, printed_logs, show, shown
from omega_core.errors import OmegaError


@pytest.fixture
def printing() -> Iterator[None]:
    with printed_logs():
        yield


def say_all() -> None:
    logging.getLogger("omega_core.codec").info("what\nit does")
    logging.getLogger("omega_train.progress").info("how far")
    logging.getLogger("omega_quant").warning("a warning")
    logging.getLogger("another").info("what another does")
    logging.getLogger("another").warning("another warning")
    logging.getLogger("another").error("an error\x1b[2J")


WARNINGS = ["warning: a warning", "warning: another warning", "error: an error\\u001b[2J"]


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ({"quiet": True, "verbose": False}, WARNINGS),
        ({"quiet": False, "verbose": False}, ["how far", *WARNINGS]),
        ({"quiet": False, "verbose": True}, ["what", "it does", "how far", *WARNINGS]),
    ],
)
def test_options_say_what_is_printed(
    printing: None, options: dict[str, bool], lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    show(**options)
    say_all()
    assert capsys.readouterr() == ("", "".join(f"{line}\n" for line in lines))


def test_another_process_prints_the_same(printing: None, capsys: pytest.CaptureFixture[str]) -> None:
    show(quiet=True, verbose=False)
    chosen = shown()
    assert chosen is Shown.WARNINGS
    show(quiet=False, verbose=True)
    print_logs(chosen)
    say_all()
    assert capsys.readouterr().err.splitlines() == WARNINGS


@pytest.mark.parametrize("chosen", Shown)
def test_lines_that_another_process_collects_are_those_that_it_would_print(
    chosen: Shown, capsys: pytest.CaptureFixture[str]
) -> None:
    with collected_logs(chosen) as lines:
        say_all()
        beside = threading.Thread(target=say_all)  # of which the process does something else
        beside.start()
        beside.join()
    assert capsys.readouterr().err == ""
    with printed_logs():
        show(quiet=chosen is Shown.WARNINGS, verbose=chosen is Shown.ALL)
        log_again(lines)
        again = capsys.readouterr()
        say_all()
        assert again == capsys.readouterr()


def test_both_options_are_an_error(printing: None) -> None:
    with pytest.raises(OmegaError, match="use one of them"):
        show(quiet=True, verbose=True)


def test_afterwards_loggers_are_what_they_were() -> None:
    def state() -> list[object]:
        loggers = [logging.getLogger(name) for name in ("", *PACKAGES)]
        return [(logger.level, list(logger.handlers)) for logger in loggers]

    before = state()
    with printed_logs():
        show(quiet=False, verbose=True)
        assert state() != before
    assert state() == before


def test_a_line_is_not_printed_into_a_bar(printing: None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with tqdm(total=2) as bar:
        bar.update()
        logging.getLogger("omega_core").warning("a warning")
    before, _, after = terminal.getvalue().partition("warning: a warning\n")
    assert before.endswith("\r"), "the bar is cleared"
    assert "1/2" in after, "and drawn again"
