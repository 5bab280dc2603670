"""Progress of many jobs where there is no terminal; in one there is a bar of tqdm."""

import io
import sys

import pytest

from omega_cli import progress
from omega_cli.progress import Progress, arrival, duration


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in its only entry."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_every_few_seconds_says_how_much_is_left(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(40, "picture") as shown:
        for _ in range(40):
            clock[0] += 4
            shown.advance()
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[:2] == ["3 of 40 pictures, about 2 min left", "6 of 40 pictures, about 2 min left"]
    assert lines[-1] == "39 of 40 pictures, about 4 s left"
    assert len(lines) == 13


def test_what_takes_little_time_and_what_is_quiet_is_silent(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress(5, "picture") as shown:
        for _ in range(5):
            clock[0] += 1
            shown.advance()
    with Progress(5, "picture", quiet=True) as shown:
        for _ in range(5):
            clock[0] += 100
            shown.advance()
    assert capsys.readouterr() == ("", "")


def test_what_arrives_is_counted_in_megabytes_where_its_size_is_known(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with arrival() as watch:
        for part in range(31):
            clock[0] += 4
            watch(part * 2_000_000, 60_500_000)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "5 of 60 megabytes, about 2 min left"
    assert all(" of 60 megabytes" in line for line in lines)
    with arrival() as watch:
        watch(0, None)
        clock[0] += 100
        watch(50_000_000, None)
    with arrival(quiet=True) as watch:
        watch(0, 60_500_000)
        clock[0] += 100
        watch(50_000_000, 60_500_000)
    assert capsys.readouterr().err == ""


def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress(2, "picture") as shown:
        shown.advance()
        shown.advance()
    assert "2/2" in sys.stderr.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (99.0, "99 s"), (140.0, "2 min"), (5940.0, "99 min"), (12000.0, "3 h 20 min")]
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text
