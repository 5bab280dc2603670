"""What handlers of signals have in common."""

import signal
import sys
from types import FrameType
from typing import NoReturn

_AGAIN_AFTER = 0.01  # seconds


def raise_from_handler(problem: BaseException) -> NoReturn:
    """Raise an exception from the handler of a signal, on systems with SIGALRM again for as long as Python drops it.

    It drops exceptions that are raised in callbacks of weak references and in finalizers: a signal may come while one
    of them runs.
    """
    show = sys.unraisablehook

    def raise_later(dropped: "sys.UnraisableHookArgs") -> None:  # what the hook itself raises is dropped, too
        if dropped.exc_value is problem:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_AFTER)
        else:
            show(dropped)

    def raise_again(_number: int, _frame: FrameType | None) -> None:
        raise problem

    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, raise_again)
        sys.unraisablehook = raise_later
    raise problem
