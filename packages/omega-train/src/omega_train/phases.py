"""The phases of training, in this order; a recipe has the share of the steps of each.

relaxed     transforms, and gains and steps of a scalar quantizer at any rate, with noise and rounding
            (`Quantizer.relaxed`, `Prior.interval_bits`); at its end `omega_train.fit_quantizer` fits the quantizer
joint       the whole codec, with the gradients of its quantizer (`Quantizer.forward`)
decoder     synthesis, the quantizer's table or corrections, and the prior, on the symbols that files hold
            (`ImageCodec.with_frozen_symbols`)
"""

from dataclasses import dataclass
from enum import Enum

from omega_core.errors import RecipeError
from omega_train.recipe import Recipe


class Phase(Enum):
    """The part of training to which a step belongs."""

    RELAXED = "relaxed"
    JOINT = "joint"
    DECODER = "decoder"


@dataclass(frozen=True)
class Phases:
    """Where phases begin: steps before `joint_from` are relaxed, steps from `decoder_from` on decoder steps.

    steps: the number of steps of the run.
    """

    steps: int
    joint_from: int
    decoder_from: int

    @classmethod
    def of(cls, recipe: Recipe, steps: int) -> "Phases":
        """The phases of a recipe in a run of `steps` steps. Raises RecipeError if a phase of it has no steps."""
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
        """The phase of a step, which counts from 0."""
        if step < self.joint_from:
            return Phase.RELAXED
        return Phase.DECODER if step >= self.decoder_from else Phase.JOINT

    def progress(self, step: int) -> float:
        """The share, from 0 to 1, that is done at a step of the relaxed phase, or of the phases after it."""
        first, end = (0, self.joint_from) if step < self.joint_from else (self.joint_from, self.steps)
        return min(1.0, (step - first) / max(1, end - first))
