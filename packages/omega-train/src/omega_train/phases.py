"""The phases of training, one after the other; a recipe says what share of the steps each takes.

relaxed     transforms, and gains and steps of a scalar quantizer at any rate, through noise and rounding
            (`Quantizer.relaxed`, `Prior.interval_bits`); at its end the quantizer is fitted (`omega_train.fitting`)
soft        all of the codec, through the gradients of its quantizer (`Quantizer.forward`)
hard        what follows the symbols alone, on those that files will hold: tables and synthesis
"""

from dataclasses import dataclass
from enum import Enum

from omega_core.errors import RecipeError
from omega_train.recipe import Recipe


class Phase(Enum):
    """What is trained at a step."""

    RELAXED = "relaxed"
    SOFT = "soft"
    HARD = "hard"


@dataclass(frozen=True)
class Phases:
    """When each phase begins: steps before `soft_from` are relaxed, those from `hard_from` on hard, of `steps` in all.

    Raises RecipeError where a phase that a recipe asks for has no steps.
    """

    steps: int
    soft_from: int
    hard_from: int

    @classmethod
    def of(cls, recipe: Recipe, steps: int) -> "Phases":
        """Those of a recipe in a run of so many steps."""
        phases = cls(steps, round(steps * recipe.relaxed_share), round(steps * (1 - recipe.hard_share)))
        lengths = {
            Phase.RELAXED: (recipe.relaxed_share, phases.soft_from),
            Phase.HARD: (recipe.hard_share, steps - phases.hard_from),
        }
        for phase, (share, length) in lengths.items():
            if recipe.relaxed_share and share and not length:
                raise RecipeError(
                    f"{steps} steps leave none for the {phase.value} phase, whose share is {share}: take more."
                )
        return phases

    def at(self, step: int) -> Phase:
        """The phase of a step."""
        if step < self.soft_from:
            return Phase.RELAXED
        return Phase.HARD if step >= self.hard_from else Phase.SOFT

    def progress(self, step: int) -> float:
        """The share of its phase, or of all that comes after the relaxed phase, that is done at a step."""
        first, end = (0, self.soft_from) if step < self.soft_from else (self.soft_from, self.steps)
        return min(1.0, (step - first) / max(1, end - first))
