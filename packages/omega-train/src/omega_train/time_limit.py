"""How many steps a run has, where it is told how long it may take."""

import time

UNTIMED = 5
"""The first steps, which take longer: code is compiled, memory is found."""
_LEAST = 5  # that a speed is measured over
_FAR = 1_000_000  # steps in all while the speed is not known: schedules stay where they begin


class TimeLimit:
    """Finds how many steps there is time for, anew after each of them, so that schedules end when the time does.

    end: when the last step has to be done, on the clock of `time.monotonic`.
    """

    def __init__(self, end: float) -> None:
        self.end = end
        self.first, self.planned = 0, _FAR
        self.since: tuple[int, float] | None = None

    def start(self, step: int) -> int:
        """Training goes on from a step; returns what `steps` does, but leaves room for one."""
        self.first, self.planned, self.since = step, step + _FAR, None
        return max(step + 1, self.steps(step))

    def steps(self, step: int) -> int:
        """How many steps there will be in all, where so many are done: no more than these once the time is up.

        What happens between steps, such as validation, counts as they do.
        """
        now = time.monotonic()
        if step == self.first + UNTIMED:
            self.since = (step, now)
        if now >= self.end or step >= self.planned:  # schedules have come to their end: no step more
            return step
        seconds = self._seconds(step, now)
        self.planned = step + (_FAR if seconds is None else int((self.end - now) / seconds))
        return self.planned

    def _seconds(self, step: int, now: float) -> float | None:
        """How long a step takes, or None while that is not known."""
        if self.since is None or step < self.since[0] + _LEAST:
            return None
        return max(1e-9, now - self.since[1]) / (step - self.since[0])
