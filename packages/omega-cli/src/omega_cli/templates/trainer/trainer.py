"""A trainer to start from: a plain loop on the CPU.

It has no validation, no resuming and no mixed precision. Of a recipe, it ignores the schedule of the learning rate, the
optimizer, averaging of the weights and resetting of dead symbols.
"""

from pathlib import Path

import torch
from omega_core.contracts import Dataset
from omega_core.errors import TrainingError
from omega_core.plugins.registry import build
from omega_train import CodecTask, Recipe, batches_of, fit_quantizer, save


class __CLASS__:
    """AdamW with clipped gradients.

    recipe: the settings of the training.
    data: the folder of the pictures, for datasets that need one.
    clip: the largest norm of a gradient.
    """

    def __init__(self, *, recipe: Recipe, data: Path | None = None, clip: float = 1.0) -> None:
        self.recipe, self.clip = recipe, clip
        torch.manual_seed(recipe.seed)
        self.task = CodecTask(recipe)
        self.dataset: Dataset = build("dataset", recipe.dataset, recipe.dataset_options, data=data, seed=recipe.seed)
        self.epoch = len(self.dataset.train) // recipe.batch_size
        if self.epoch == 0:
            raise TrainingError(f"a batch of {recipe.batch_size} is larger than the dataset: set a smaller batch size.")

    def train(self, folder: Path, *, resume: bool = False) -> Path:
        """Train the model, write it to the folder, and return its path."""
        if resume:
            raise TrainingError("the trainer __NAME__ cannot resume a run.")
        recipe, task = self.recipe, self.task
        task.steps = recipe.steps or self.epoch * (recipe.epochs or 0)
        optimizer = torch.optim.AdamW(task.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        for batch in batches_of(self.dataset, recipe, task.steps):
            if task.needs_fit(batch.step):
                fit_quantizer(task, self.dataset.train)
            loss = task.training_step(batch, batch.step)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
            torch.nn.utils.clip_grad_norm_(task.parameters(), self.clip)
            optimizer.step()
        return save(task, folder / "model.safetensors", self.dataset.train)
