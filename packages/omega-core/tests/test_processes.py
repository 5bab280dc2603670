"""Signal handlers: when they run, and what they raise."""

import signal
import sys
import time
import weakref

import pytest

from omega_core.processes import deferred_signals, kept_signal_handlers, raise_from_handler


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
