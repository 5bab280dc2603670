"""The cores of a container; signal handlers: when they run, and what they raise."""

import signal
import sys
import time
import weakref
from pathlib import Path

import pytest

from omega_core import processes
from omega_core.processes import deferred_signals, kept_signal_handlers, raise_from_handler


@pytest.mark.parametrize(
    ("files", "threads"),
    [
        ({}, 0),
        ({"cpu.max": "max 100000\n"}, 0),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "800000 100000\n"}, 0),
        ({"cpu.max": "1000000 100000\n"}, 0),
        ({"cpu.max": "not a quota of this kind\n"}, 0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "300000\n"}, 0),
    ],
)
def test_threads_are_limited_by_the_quota_of_a_container(
    files: dict[str, str], threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(processes, "_CONTROL_GROUP", tmp_path)
    monkeypatch.setattr(processes, "bound_cores", lambda: 8)
    assert processes.thread_limit() == threads
    assert processes.available_cores() == (threads or 8)


class Stop(BaseException):
    """What the handlers of these tests raise."""


def stop(*_: object) -> None:
    raise_from_handler(Stop())


def test_handlers_run_at_the_end_of_a_context_that_defers_signals() -> None:
    done = []

    def signalled() -> None:
        with deferred_signals([signal.SIGTERM]):
            signal.raise_signal(signal.SIGTERM)
            done.append("what is within")

    with kept_signal_handlers():
        signal.signal(signal.SIGTERM, stop)
        with pytest.raises(Stop):
            signalled()
        assert signal.getsignal(signal.SIGTERM) is stop
    assert done == ["what is within"]


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="needs SIGALRM")
def test_an_exception_that_python_drops_is_raised_again() -> None:
    class Referent:
        pass

    def signalled() -> None:
        referent = Referent()
        reference = weakref.ref(referent, lambda _: signal.raise_signal(signal.SIGTERM))
        del referent  # Python drops the exception of the callback
        assert reference() is None
        time.sleep(5)

    hook, alarm = sys.unraisablehook, signal.getsignal(signal.SIGALRM)
    with kept_signal_handlers():
        signal.signal(signal.SIGTERM, stop)
        with pytest.raises(Stop):
            signalled()
    assert (sys.unraisablehook, signal.getsignal(signal.SIGALRM)) == (hook, alarm)
