"""`omega evaluate`: how good a model is, beside classical codecs."""

from pathlib import Path
from typing import Annotated

import typer

from omega_cli.jobs import exit_status, files
from omega_cli.options import MaxPixels, Model_, ModelOnce, omega_train_for
from omega_core.errors import ImageError, OmegaError


def evaluate(
    images: Annotated[Path, typer.Option(help="A picture, or a folder of them.")],
    output: Annotated[Path, typer.Option(help="The folder for images.csv and summary.csv.")],
    model: Model_ = None,
    channels: Annotated[str | None, typer.Option(help="Such as 4,8,16; every cut of a file if not given.")] = None,
    against: Annotated[
        str, typer.Option(help="Classical codecs at equal bytes, or at their fewest: jpeg, webp, both or ''.")
    ] = "jpeg,webp",
    max_pixels: MaxPixels = None,
) -> None:
    """Measure bits per pixel and PSNR of pictures decoded from their files, at each number of channels."""
    from tqdm import tqdm

    from omega_core.images import is_picture_name, read_picture
    from omega_core.rates import Rate

    with omega_train_for("evaluation"):
        from omega_train import evaluation
    loaded = ModelOnce(model, max_pixels)()
    counts = _numbers(channels)
    for count in counts:
        loaded.check_rate(Rate(channels=count))
    codecs = [codec for codec in against.split(",") if codec]
    if unknown := sorted(set(codecs) - set(evaluation.AGAINST)):
        raise OmegaError(f"--against takes {' and '.join(evaluation.AGAINST)}, not {', '.join(unknown)}.")
    paths, found, problems = files(images, is_picture_name), [], 0
    for path in tqdm(paths, unit="picture", disable=None):
        try:
            picture = read_picture(path, max_pixels=loaded.max_pixels)
            name = path.relative_to(images).as_posix() if images.is_dir() else path.name
            found += list(evaluation.measure(loaded, picture, name, channels=counts, against=codecs))
        except ImageError as problem:
            typer.echo(f"error: {path}: {problem}", err=True)
            problems += 1
    if found:
        means = evaluation.summarise(found)
        evaluation.write_table(output / "images.csv", found)
        evaluation.write_table(output / "summary.csv", means)
        typer.echo("codec  channels  images    bpp  stream   PSNR")
        for mean in means:
            typer.echo(
                f"{mean.codec:5}  {mean.channels:8}  {mean.images:6}  {mean.bpp:5.3f}  {mean.stream_bpp:6.3f}"
                f"  {mean.psnr:5.2f} dB"
            )
    exit_status(problems, len(paths))


def _numbers(text: str | None) -> list[int]:
    """Numbers that commas divide, as in "4,8,16". Raises OmegaError."""
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError as problem:
        raise OmegaError(f"--channels takes numbers such as 4,8,16, not {text!r}.") from problem
