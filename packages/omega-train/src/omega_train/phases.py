"""The phases of training, in this order, and what each phase trains; a recipe has the share of the steps of each.

relaxed     transforms, and gains and steps of a scalar quantizer at any rate, with noise and rounding
            (`Quantizer.relaxed`, `Prior.interval_bits`); at its end `omega_train.fit_quantizer` fits the quantizer
joint       the whole codec, with the gradients of its quantizer (`Quantizer.forward`)
decoder     synthesis, the quantizer's table or corrections, and the prior, on the symbols that files hold
            (`ImageCodec.with_frozen_symbols`)
prior       the prior alone, on all symbols of files; steps are shorter, because the synthesis is not computed
"""

from dataclasses import dataclass
from enum import Enum
from itertools import count

from omega_core.errors import RecipeError
from omega_train.recipe import Recipe


class Phase(Enum):
    """The part of training to which a step belongs."""

    RELAXED = "relaxed"
    JOINT = "joint"
    DECODER = "decoder"
    PRIOR = "prior"


@dataclass(frozen=True)
class Phases:
    """The boundaries of the phases of a run.

    steps: the number of steps of the run. joint_from, decoder_from, prior_from: the first step of each phase.
    """

    steps: int
    joint_from: int
    decoder_from: int
    prior_from: int

    @classmethod
    def of(cls, recipe: Recipe, steps: int) -> "Phases":
        """The phases of a recipe in a run of `steps` steps.

        Raises RecipeError if a phase of it has no steps. A decoder phase without a relaxed one may have none, because
        it only refines what the joint phase trains: so a trial can have any number of steps.
        """
        phases = cls._planned(recipe, steps)
        for phase, share in phases._without_steps(recipe):
            enough = next(more for more in count(steps + 1) if not cls._planned(recipe, more)._without_steps(recipe))
            raise RecipeError(
                f"{steps} steps are too few for the {phase.value} phase, whose share is {share}: use {enough} or more."
            )
        return phases

    @classmethod
    def _planned(cls, recipe: Recipe, steps: int) -> "Phases":
        return cls(
            steps,
            round(steps * recipe.relaxed_share),
            round(steps * (1 - recipe.decoder_share - recipe.prior_share)),
            round(steps * (1 - recipe.prior_share)),
        )

    def _without_steps(self, recipe: Recipe) -> list[tuple[Phase, float]]:
        """The phases of a recipe that have no steps but need some, with their shares."""
        lengths = {
            Phase.RELAXED: (recipe.relaxed_share, self.joint_from),
            Phase.DECODER: (recipe.decoder_share, self.prior_from - self.decoder_from),
            Phase.PRIOR: (recipe.prior_share, self.steps - self.prior_from),
        }
        return [
            (phase, share)
            for phase, (share, length) in lengths.items()
            if (recipe.relaxed_share or phase is Phase.PRIOR) and share and not length
        ]

    def at(self, step: int) -> Phase:
        """The phase of a step, which counts from 0."""
        if step < self.joint_from:
            return Phase.RELAXED
        if step >= self.prior_from:
            return Phase.PRIOR
        return Phase.DECODER if step >= self.decoder_from else Phase.JOINT

    def schedule(self, step: int) -> tuple[int, int]:
        """The first step, and the one after the last, of the schedule of learning rates that a step belongs to.

        The relaxed and the prior phase have schedules of their own; the joint and the decoder phase share one.
        """
        last = min(step, self.steps - 1)
        first = max(each for each in (0, self.joint_from, self.prior_from) if each <= last)
        return first, min(each for each in (self.joint_from, self.prior_from, self.steps) if each > first)
