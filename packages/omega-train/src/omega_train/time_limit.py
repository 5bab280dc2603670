"""The number of steps of a run that ends at a given time."""

import time

import torch

from omega_train.distributed import all_reduce_max

UNTIMED = 5
"""The number of first steps that are not timed: compilation and the allocation of memory slow them down."""
_LEAST = 5  # minimum number of steps over which a speed is measured
_FAR = 1_000_000  # steps planned while the speed is unknown: schedules stay at their start


class TimeLimit:
    """Plans the number of steps from their speed, again after each step, so that schedules end at the time limit.

    end: the time by which the last step has to be done, in seconds of `time.monotonic`.
    """

    def __init__(self, end: float) -> None:
        self.end = end
        self.first, self.planned = 0, _FAR
        self.since: tuple[int, float] | None = None

    def agree(self, device: torch.device) -> None:
        """Take the earliest end of all processes of a run, which start one after the other. All have to call this.

        device: the device of the process.
        """
        now = time.monotonic()
        [late] = all_reduce_max([now - self.end], device)
        self.end = now - late

    def start(self, step: int) -> int:
        """Begin at a step, from 0; return the planned number of steps as `steps` does, but at least one more step."""
        self.first, self.planned, self.since = step, step + _FAR, None
        return max(step + 1, self.steps(step))

    def steps(self, step: int) -> int:
        """The planned number of steps of the run, after `step` of them; `step` once the time is up.

        Time between steps, such as the time of a validation, counts as time of the steps.
        """
        now = time.monotonic()
        if step == self.first + UNTIMED:
            self.since = (step, now)
        if now >= self.end or step >= self.planned:  # schedules have ended
            return step
        seconds = self._seconds(step, now)
        self.planned = step + (_FAR if seconds is None else int((self.end - now) / seconds))
        return self.planned

    def _seconds(self, step: int, now: float) -> float | None:
        """The seconds that a step takes, or None while they are unknown."""
        if self.since is None or step < self.since[0] + _LEAST:
            return None
        return max(1e-9, now - self.since[1]) / (step - self.since[0])
