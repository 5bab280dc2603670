"""The phases of training, one after the other; a recipe says what share of the steps each takes.

relaxed     transforms, and gains and steps of a scalar quantizer at any rate, with noise and rounding
            (`Quantizer.relaxed`, `Prior.interval_bits`); at its end `omega_train.fit_quantizer` fits the quantizer
joint       the whole codec, with the gradients of its quantizer (`Quantizer.forward`)
decoder     synthesis and tables, on the symbols that files hold (`ImageCodec.with_frozen_symbols`)
"""

from dataclasses import dataclass
from enum import Enum

from omega_core.errors import RecipeError
from omega_train.recipe import Recipe


class Phase(Enum):
    """What is trained at a step."""

    RELAXED = "relaxed"
    JOINT = "joint"
    DECODER = "decoder"


@dataclass(frozen=True)
class Phases:
    """When each phase begins: steps before `joint_from` are relaxed, steps from `decoder_from` on decoder steps.

    Raises RecipeError where a phase that a recipe asks for has no steps.
    """

    steps: int
    joint_from: int
    decoder_from: int

    @classmethod
    def of(cls, recipe: Recipe, steps: int) -> "Phases":
        """Those of a recipe in a run of so many steps."""
        phases = cls(steps, round(steps * recipe.relaxed_share), round(steps * (1 - recipe.decoder_share)))
        lengths = {
            Phase.RELAXED: (recipe.relaxed_share, phases.joint_from),
            Phase.DECODER: (recipe.decoder_share, steps - phases.decoder_from),
        }
        for phase, (share, length) in lengths.items():
            if recipe.relaxed_share and share and not length:
                raise RecipeError(
                    f"{steps} steps leave none for the {phase.value} phase, whose share is {share}: take more."
                )
        return phases

    def at(self, step: int) -> Phase:
        """The phase of a step."""
        if step < self.joint_from:
            return Phase.RELAXED
        return Phase.DECODER if step >= self.decoder_from else Phase.JOINT

    def progress(self, step: int) -> float:
        """The share of its phase, or of all that comes after the relaxed phase, that is done at a step."""
        first, end = (0, self.joint_from) if step < self.joint_from else (self.joint_from, self.steps)
        return min(1.0, (step - first) / max(1, end - first))
