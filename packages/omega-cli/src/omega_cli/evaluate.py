"""`omega evaluate`: rate and distortion of models, codecs to compare with and published curves."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omega_cli import completions
from omega_cli.account import Account
from omega_cli.evaluate_subjects import codecs_by_name, models_by_name, with_coders
from omega_cli.evaluate_workers import EvaluateWorker, Measuring
from omega_cli.executors.cluster import Cluster, Executor, cluster_of
from omega_cli.input_files import Input, find_files
from omega_cli.logs import show
from omega_cli.messages import many, say
from omega_cli.options import (
    Device,
    Effort,
    ExecutorAddress,
    ExecutorName,
    MaxPixels,
    Quiet,
    SkipExisting,
    Verbose,
    WorkersForPictures,
    omega_train_for,
)
from omega_cli.output_files import local_output_option
from omega_cli.worker_pool import carry_out, process_count
from omega_core.errors import OmegaError
from omega_core.places import Place, place_of
from omega_core.processes import share

if TYPE_CHECKING:
    from omega_core.codec.model import Model
    from omega_train.evaluation.measurements import Point

SHOWN = 4
"""Pictures in the gallery of the report."""
_SIZE = 1 << 19  # of a picture that takes longer to measure than a process to start


class Counted(StrEnum):
    """The bits of a picture that a rate counts: the whole file, its stream, or the estimate of the prior."""

    file = "file"
    stream = "stream"
    estimated = "estimated"


def evaluate(
    images: Annotated[
        list[Input], typer.Option(parser=place_of, metavar="PATH", help="A picture, or a folder of them, or its URL.")
    ],
    output: Annotated[
        Path,
        local_output_option("The folder for tables, plots and report.html."),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            autocompletion=completions.models,
            help="A model, named as for `omega compress`; several times for several. [env var: OMEGA_MODEL, for one]",
        ),
    ] = None,
    channels: Annotated[str | None, typer.Option(help="Such as 4,8,16; all or 24 if not given.")] = None,
    coder: Annotated[
        list[str] | None,
        typer.Option(
            autocompletion=completions.components("coder"),
            help="Other than the models' own; several times for several.",
        ),
    ] = None,
    effort: Effort = 0,
    against: Annotated[
        str,
        typer.Option(
            autocompletion=completions.several(completions.components("codec")),
            help="Codecs to compare with, such as jpeg,webp: see `omega list codec`.",
        ),
    ] = "",
    codec_option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME.OPTION=VALUE", help="As `omega list codec NAME` shows; can be repeated."),
    ] = None,
    overlay: Annotated[
        list[Path] | None, typer.Option(help="A CSV or JSON file of published points, such as one of CompressAI.")
    ] = None,
    rate: Annotated[Counted, typer.Option(help="What plots and BD-rates count.")] = Counted.file,
    metrics: Annotated[
        str,
        typer.Option(
            help="Of psnr, ssim, ms_ssim and, with the extra omega-train[metrics], psnr_hvs_m and ssimulacra2."
            " PSNR is always measured; alone it takes a fraction of the time."
        ),
    ] = "psnr,ssim,ms_ssim",
    save_images: Annotated[bool, typer.Option("--save-images", help="Keep originals and reconstructions.")] = False,
    no_cache: Annotated[
        bool,
        typer.Option(
            "--no-cache", help="Encode with other codecs again, instead of taking their measurements from the cache."
        ),
    ] = False,
    workers: WorkersForPictures = None,
    executor: ExecutorName = Executor.local,
    executor_address: ExecutorAddress = None,
    max_pixels: MaxPixels = None,
    device: Device = "auto",
    skip_existing: SkipExisting = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the report of another evaluation in the folder.")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Measure rate, PSNR, SSIM and MS-SSIM of pictures decoded from their files; draw curves and a report.

    Several processes that torchrun or srun started share the pictures.
    """
    show(quiet=quiet, verbose=verbose)
    if len(images) > 1:
        raise OmegaError("--images is one picture or one folder: put several into one folder.")
    account = evaluate_on(
        images[0],
        output,
        model or [name for name in [os.environ.get("OMEGA_MODEL")] if name],  # typer would split it at spaces
        counts=_numbers(channels),
        coders=coder or (),
        effort=effort,
        codecs=_words(against),
        codec_options=codec_option or (),
        overlays=overlay or [],
        rate=rate.value,
        metrics=_words(metrics),
        save_images=save_images,
        cache=not no_cache,
        workers=workers,
        max_pixels=max_pixels,
        device=device,
        skip_existing=skip_existing,
        overwrite=overwrite,
        quiet=quiet,
        together=True,
        cluster=cluster_of(executor, executor_address, workers, [*images, output]),
    )
    raise typer.Exit(account.status)


def evaluate_on(
    images: Place,
    output: Path,
    model_paths: Sequence[str],
    *,
    counts: list[int] | None = None,
    coders: Sequence[str] = (),
    effort: int = 0,
    codecs: Sequence[str] = (),
    codec_options: Sequence[str] = (),
    overlays: Sequence[Path] = (),
    rate: str = "file",
    metrics: Sequence[str] = (),
    save_images: bool = False,
    cache: bool = True,
    workers: int | None = None,
    max_pixels: int | None = None,
    device: str = "auto",
    skip_existing: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
    together: bool = False,
    cluster: Cluster | None = None,
) -> Account:
    """Evaluate models and codecs to compare with; return the account of this process's pictures.

    The arguments are those of the command `evaluate`, after parsing.

    counts: numbers of channels to measure; those of `Model.channel_counts` if empty.
    effort: of the models, from 0 to 3; above 0 every number of channels has a file of its own.
    codecs: names of codecs to compare with.
    codec_options: their options, such as "webp.method=4".
    metrics: psnr, ssim, ms_ssim, psnr_hvs_m, ssimulacra2; the first three if empty.
    cache: whether measurements of codecs to compare with are taken from the cache.
    overwrite: whether the report of another evaluation in the folder may be replaced.
    overlays: CSV or JSON files of published points.
    together: whether to share the pictures with the other processes of a launch.
    cluster: measures the pictures, instead of processes of this machine.

    Raises OmegaError for settings that cannot be evaluated.
    """
    with omega_train_for("evaluation"):
        from omega_train.evaluation.overlays import read_overlay
        from omega_train.evaluation.report import claim
    from omega_core.format.rate_control import Rate
    from omega_core.images.pictures import MAX_PIXELS

    if effort and rate == "estimated":
        raise OmegaError("a search by --effort gives no estimated rate: leave out --effort, or name another --rate.")
    metrics, counts = _known(metrics), counts or []
    against = codecs_by_name(codecs, codec_options)
    published = [point for path in overlays for point in read_overlay(path)]
    models = with_coders(models_by_name(model_paths, max_pixels, device, quiet), coders)
    for loaded, coder in models.values():
        loaded().check_coder(coder)
        loaded().check_effort(effort)
        for count in counts:
            loaded().check_rate(Rate(channels=count))
    if not models and not against:
        raise OmegaError("nothing to evaluate: name a model with --model, or codecs with --against.")
    if both := next((name for name in against if name in models), None):
        raise OmegaError(f"a model and a codec are both called {both}: rename the file of the model, or its folder.")
    kept = output / "pictures" if save_images else None
    worker = EvaluateWorker(models, against, counts, effort, metrics, max_pixels or MAX_PIXELS, kept, cache)
    made_with, account = _made_with(worker), Account()
    jobs = _jobs(images, output, made_with, account)
    made_with |= {"command": sys.argv[1:], "images": str(images), "pictures": [job.image for job in jobs]}
    claim(output, made_with, overwrite=overwrite)
    mine = list(share(jobs)) if together else jobs
    alone = len(mine) < len(jobs) or any(_on_gpu(model()) for model, _ in models.values())
    cached = _measure(worker, mine, workers, account, alone=alone, kept=skip_existing, quiet=quiet, cluster=cluster)
    good = [job for job in jobs if job.target.exists()]
    # of several processes, the last one does
    if good and all(job.target.exists() or job.failed.exists() for job in jobs):
        remarks, points = _finish(output, good, worker, published, made_with, rate)
        if cached:  # by this process
            remarks.append(
                f"other codecs did not encode again {many(cached, 'time')}, as the cache has what was measured:"
                " --no-cache measures it again."
            )
        if not quiet:
            for remark in remarks:
                say(f"note: {remark}", err=True)
            _print_points(points, metrics)
    account.say_left_out()
    return account


def _known(metrics: Sequence[str]) -> list[str]:
    """Metrics in their usual order, or the usual ones if there are none. Raises OmegaError for one that cannot be."""
    from omega_train.evaluation.perceptual import check_metric
    from omega_train.evaluation.quality import DEFAULT_METRICS, METRICS

    if unknown := [metric for metric in metrics if metric not in METRICS]:
        raise OmegaError(f"there is no metric {unknown[0]!r}, only {', '.join(METRICS)}.")
    found = [metric for metric in METRICS if metric in metrics] or list(DEFAULT_METRICS)
    for metric in found:
        check_metric(metric)
    return found


def _made_with(worker: EvaluateWorker) -> dict[str, Any]:
    """All that measurements depend on, beside the pictures, for JSON."""
    from importlib.metadata import version

    return {
        "models": {
            name: {"path": str(m.name), "fingerprint": m().fingerprint, "files": coder, **asdict(m().description)}
            for name, (m, coder) in worker.models.items()
        },
        "codecs": {
            name: {"made with": codec().describe(), "settings": list(codec().settings)}
            for name, codec in worker.against.items()
        },
        "channels": worker.channels,
        "effort": worker.effort,
        "metrics": worker.metrics,
        "versions": {name: version(name) for name in ("omega-core", "omega-train", "pillow", "torch")},
    }


def _jobs(images: Place, output: Path, made_with: dict[str, Any], account: Account) -> list[Measuring]:
    """A job for each picture. Its file of measurements is named after its content and all that these depend on."""
    from hashlib import sha256

    from omega_core.images.reading import is_picture_file
    from omega_train.data.identity import digest, digest_of_file
    from omega_train.evaluation.report import PARTS

    parts = output / PARTS / sha256(json.dumps(made_with, sort_keys=True).encode()).hexdigest()[:8]
    found = list(find_files([images], is_picture_file, account))
    shown = {place * len(found) // SHOWN for place in range(SHOWN)}  # evenly spaced
    jobs = []
    for place, file in enumerate(found):
        relative = Path(file.relative)
        name = digest(os.fsencode(relative) + digest_of_file(file.source)).hex()
        jobs.append(Measuring(file.source, relative, parts / f"{name}.csv", place in shown))
    return jobs


def _measure(
    worker: EvaluateWorker,
    jobs: Sequence[Measuring],
    workers: int | None,
    account: Account,
    *,
    alone: bool,
    kept: bool,
    quiet: bool,
    cluster: Cluster | None,
) -> int:
    """Measure pictures, and return how often the cache had what a codec would have measured.

    workers: the number of processes. alone: whether one is enough, if none is given.
    kept: whether measurements that are there are not made again.
    """
    from omega_core.file_io import write_whole

    wanted, cached = list[Measuring](), 0
    for job in jobs:
        if kept and job.done:
            account.skip(job.names)
        else:
            job.failed.unlink(missing_ok=True)
            wanted.append(job)
    processes = process_count(workers, len(wanted), 1 if alone else _worth(wanted))
    for done in carry_out(worker, wanted, processes, "picture", quiet=quiet, cluster=cluster):
        account.add(done)
        cached += done.made or 0
    for job in wanted:
        if not job.target.exists():
            write_whole(job.failed, b"")
    return cached


def _worth(jobs: list[Measuring]) -> int:
    """How many processes are worth their start: one for half a megabyte of pictures, as one at a URL counts as."""
    sizes = (job.source.stat().st_size if isinstance(job.source, Path) else _SIZE for job in jobs)
    return sum(sizes) // _SIZE


def _on_gpu(model: "Model") -> bool:
    """Whether a model computes on another device than the CPU, which several processes would share."""
    device = getattr(model.files.codec, "device", None)  # which runtimes other than torch do not have
    return device is not None and device.type != "cpu"


def _finish(
    output: Path, jobs: list[Measuring], worker: EvaluateWorker, published: Any, made_with: dict[str, Any], rate: str
) -> "tuple[list[str], list[Point]]":
    """Write the report of all measurements, and return remarks about them and their means."""
    from omega_train.evaluation.measurements import read_measurements, summarize
    from omega_train.evaluation.report import write_report

    measured = [row for job in jobs for row in read_measurements(job.target)]
    order = {name: i for i, name in enumerate([*worker.models, *worker.against])}
    measured.sort(key=lambda row: order[row.codec])
    remarks = write_report(
        output,
        measured,
        models=list(worker.models),
        published=published,
        gallery=[json.loads(job.page.read_bytes()) for job in jobs if job.shown],
        made_with=made_with,
        rate=rate,
        metrics=worker.metrics,
        title=f"{', '.join(order)} on {len(jobs)} pictures",
    )
    return remarks, summarize(measured)


_COLUMNS = {  # heading, and decimals
    "ssim": ("SSIM", 4),
    "ms_ssim": ("MS-SSIM", 4),
    "psnr_hvs_m": ("PSNR-HVS-M", 2),
    "ssimulacra2": ("SSIMULACRA2", 2),
}


def _print_points(points: "Sequence[Point]", metrics: Sequence[str]) -> None:
    """Print a table with a row for each codec and setting, and a column for each metric beside PSNR."""
    width = max(len(point.codec) for point in points)
    columns = {metric: of for metric, of in _COLUMNS.items() if metric in metrics}
    headings = "".join(f"  {heading:>7}" for heading, _ in columns.values())
    say(f"{'codec':{width}}  setting  images    bpp  stream      PSNR{headings}")
    for point in points:
        row = f"{point.codec:{width}}  {point.setting:7}  {point.images:6}  {point.bpp:5.3f}  {point.stream_bpp:6.3f}"
        row += f"  {point.psnr:5.2f} dB"
        for metric, (heading, decimals) in columns.items():
            value = getattr(point, metric)
            text = "–" if value is None else f"{value:.{decimals}f}"
            row += f"  {text:>{max(7, len(heading))}}"
        say(row)


def _words(text: str) -> list[str]:
    """The words of a list such as "jpeg, webp"."""
    return [word for part in text.split(",") if (word := part.strip())]


def _numbers(text: str | None) -> list[int]:
    """The sorted numbers of a list such as "4,8,16". Raises OmegaError."""
    try:
        return sorted({int(part) for part in text.split(",")}) if text else []
    except ValueError as problem:
        raise OmegaError(f"--channels takes numbers such as 4,8,16, not {text!r}.") from problem
