"""What several tests of whole jobs do."""

import time
from collections.abc import Callable
from typing import Any

import pytest

Killed = Callable[[list[object], Callable[[], bool], float], bool]


@pytest.fixture(scope="session")
def killed(start_omega: Callable[..., Any]) -> Killed:
    """Kills a command of `omega` some seconds after it has begun to do something."""

    def kill(command: list[object], begun: Callable[[], bool], wait: float) -> bool:
        """Return whether the command was killed `wait` seconds after `begun()`, rather than having ended before."""
        process, output = start_omega(*command)
        while not begun() and process.poll() is None:
            time.sleep(0.002)
        time.sleep(wait)
        process.kill()
        with output:
            said = output.read()  # until its workers have ended too
        process.wait(60)
        assert process.returncode in (0, -9), said
        assert "Traceback" not in said
        return bool(process.returncode == -9)

    return kill
