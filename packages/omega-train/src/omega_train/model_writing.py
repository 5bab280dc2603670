"""Completing a trained task, and writing its model file."""

from dataclasses import asdict, replace
from pathlib import Path

from omega_core.codec.model_file import Description, write_model
from omega_core.codec.model_parts import load_parts
from omega_core.codec.saving import arrays_of, check_same, describe_codec, round_weights
from omega_core.contracts.dataset import Images
from omega_core.errors import ComponentError
from omega_train.channel_order import sort_channels
from omega_train.distributed import rank
from omega_train.log import log
from omega_train.quantizer_fitting import fit_quantizer
from omega_train.task import CodecTask, in_evaluation_mode
from omega_train.validation import batches, recount

_PACKAGES = ("omega-quant", "omega-entropy", "omega-train")


def export(task: CodecTask, path: Path) -> str:
    """Write the model file of a task and return its fingerprint.

    task: the trained task. path: the path of the model file.

    Raises OutputError, and TrainingError for weights that are not finite, or exceed half precision.
    """
    frozen = None if task.prior is None else task.prior.freeze()
    arrays = arrays_of(task.codec, frozen, half_precision=task.recipe.half_precision)
    return write_model(path, describe(task), arrays)


def save(task: CodecTask, path: Path, images: Images, workers: int = 0) -> Path:
    """Complete a trained task and write its model; for trainers other than `lightning`.

    The quantizer is fitted if necessary, the prior is counted, and channels are sorted if `sort_channels` is set.

    task: the trained task.
    path: the path of the model file.
    images: the training images.
    workers: the number of processes that read the images; 0 reads them in this process.

    Returns the path. Raises OutputError, TrainingError for weights that exceed half precision, and ComponentError if
    the written model differs from the task, because a component has state outside of its parameters and buffers.
    """
    complete(task, path, images, workers)
    return path


def complete(task: CodecTask, path: Path, images: Images, workers: int = 0, most: int | None = None) -> str:
    """Complete a trained task as `save` does, in all processes; the first process writes the model.

    most: the maximum number of images over which the prior is counted; None for all. Other arguments: see `save`.

    Returns text for the log about the changes of the channels, or "". Raises the errors of `save`.
    """
    fitted = "" if task.fitted else fit_quantizer(task, images, workers)
    if rank() == 0:
        log.info(f"the prior is counted over {min(len(images), most or len(images))} pictures")
    if task.recipe.half_precision:
        round_weights(task.codec)
    recount(task, images, workers, most)
    channels = task.quantizer.channels
    sorted_by_gain = sort_channels(task, images, workers) if task.recipe.sort_channels else ""
    if task.quantizer.channels < channels:  # dropped channels change the symbols of later stages
        recount(task, images, workers, most)
    if rank() == 0:
        log.info(f"model {export(task, path)[:8]} written to {path}")
        _check_written(task, path, images)
    return "; ".join(part for part in (fitted, sorted_by_gain) if part)


@in_evaluation_mode
def _check_written(task: CodecTask, path: Path, images: Images) -> None:
    """Check that a model file computes the same as the task; remove it otherwise. Raises the errors of `check_same`."""
    some = next(batches(task, images, most=1, workers=0), None)
    if some is None:
        return
    try:
        check_same(task.codec, load_parts(path, device=task.device, precision="float32").codec, some)
    except ComponentError:
        path.unlink()
        raise


def describe(task: CodecTask) -> Description:
    """The description in the model file of a task: its components, sizes, recipe and the versions of packages."""
    recipe = task.recipe
    found = describe_codec(
        task.codec, task.coder, channels_min=recipe.channels_min, text=recipe.description, packages=_PACKAGES
    )
    return replace(found, recipe={name: value for name, value in asdict(recipe).items() if value not in (None, "", {})})
