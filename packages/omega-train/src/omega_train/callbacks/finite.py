"""Losses that are no numbers."""

import math

from omega_core.errors import TrainingError
from omega_train.data.batches import Batch


def check_finite(loss: float, where: str, batch: Batch) -> None:
    """Raise TrainingError for a loss that is not a number, before anything is saved.

    where: at which step, for people. batch: that of the step.
    """
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss is {loss} at {where}, samples {batch.samples.tolist()}. Try a lower learning-rate, or"
            " gradient-clip; the last good checkpoint is kept."
        )
