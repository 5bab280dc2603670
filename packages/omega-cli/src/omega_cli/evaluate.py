"""`omega evaluate`: rate and distortion of models, baseline codecs and published curves."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omega_cli import completions, options
from omega_cli.account import Account
from omega_cli.evaluate_subjects import codecs_by_name, models_by_name, with_coders
from omega_cli.evaluate_workers import EvaluateWorker, Measuring
from omega_cli.executors.cluster import Cluster, Executor, cluster_of
from omega_cli.input_files import Input, find_files
from omega_cli.logs import show
from omega_cli.messages import many, say
from omega_cli.output_files import local_output_option
from omega_cli.worker_pool import carry_out, process_count
from omega_core.errors import OmegaError
from omega_core.locations import Location, location_of
from omega_core.processes import share

if TYPE_CHECKING:
    from omega_core.codec.model import Model
    from omega_train.evaluation.measurements import Point

SHOWN = 4
"""Pictures in the gallery of the report."""
_SIZE = 1 << 19  # bytes of pictures that take longer to measure than a process takes to start


class Counted(StrEnum):
    """The bits that a rate counts: the whole file, its stream without headers, or the estimate of the prior."""

    file = "file"
    stream = "stream"
    estimated = "estimated"


def evaluate(
    images: Annotated[
        list[Input],
        typer.Option(parser=location_of, metavar="PATH", help="A picture, a folder of pictures, or the URL of one."),
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
            help=f"{options.MODELS} May be repeated. [env var: OMEGA_MODEL, for a single model]",
        ),
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option(
            metavar="COUNTS",
            help="Channel counts to measure, such as 4,8,16. Default: all (up to 32 channels), otherwise about 24.",
        ),
    ] = None,
    coder: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODER",
            autocompletion=completions.components("coder"),
            help="Measure with this entropy coder instead of the coder of the model. May be repeated.",
        ),
    ] = None,
    effort: options.Effort = 0,
    against: Annotated[
        str,
        typer.Option(
            metavar="CODECS",
            autocompletion=completions.several(completions.components("codec")),
            help="Comma-separated codecs to compare with, such as jpeg,webp: see `omega list codec`.",
        ),
    ] = "",
    codec_option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME.OPTION=VALUE", help="Set an option that `omega list codec NAME` shows. May be repeated."
        ),
    ] = None,
    overlay: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A CSV or JSON file with published points to plot, such as one of CompressAI. May be repeated.",
        ),
    ] = None,
    rate: Annotated[
        Counted,
        typer.Option(
            help="Which size plots and BD-rates use: whole files, the stream without headers, or the estimate of the"
            " prior."
        ),
    ] = Counted.file,
    metrics: Annotated[
        str,
        typer.Option(
            metavar="METRICS",
            help="Comma-separated metrics: psnr, ssim, ms_ssim and, with the extra omega-train[metrics], psnr_hvs_m and"
            " ssimulacra2. PSNR is always measured; alone it is several times as fast.",
        ),
    ] = "psnr,ssim,ms_ssim",
    save_images: Annotated[
        bool, typer.Option("--save-images", help="Also write originals and decoded pictures to the output folder.")
    ] = False,
    no_cache: Annotated[
        bool,
        typer.Option("--no-cache", help="Measure other codecs again instead of reading measurements from the cache."),
    ] = False,
    workers: options.WorkersForPictures = None,
    executor: options.ExecutorName = Executor.local,
    executor_address: options.ExecutorAddress = None,
    max_pixels: options.MaxPixels = None,
    device: options.Device = "auto",
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Keep measurements of an interrupted run, and measure the rest.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the report of another evaluation in the folder.")
    ] = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Measure the rate and quality of models and other codecs on pictures, and write curves and a report.

    If started by torchrun or srun, each process takes its share of the pictures.
    """
    show(quiet=quiet, verbose=verbose)
    if len(images) > 1:
        raise OmegaError("--images takes one picture or one folder: put several pictures into one folder.")
    account = evaluate_on(
        images[0],
        output,
        model or [name for name in [os.environ.get("OMEGA_MODEL")] if name],  # typer would split the value at spaces
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
    images: Location,
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
    """Evaluate models and baseline codecs; return the account of the pictures of this process.

    The arguments are the parsed options of the command `evaluate`.

    counts: numbers of channels to measure; `Model.channel_counts` if empty.
    metrics: psnr, ssim and ms_ssim if empty.
    together: whether to share the pictures with the other processes of a launch by torchrun or srun.
    cluster: the cluster that measures the pictures; None for local processes.

    Raises OmegaError for invalid settings.
    """
    with options.omega_train_for("evaluation"):
        from omega_train.evaluation.overlays import read_overlay
        from omega_train.evaluation.report import claim
    from omega_core.format.rate_control import Rate
    from omega_core.images.pictures import MAX_PIXELS

    if effort and rate == "estimated":
        raise OmegaError("--effort gives no estimated rate: leave out --effort, or choose another --rate.")
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
    # of several processes, the last one writes the report
    if good and all(job.target.exists() or job.failed.exists() for job in jobs):
        remarks, points = _finish(output, good, worker, published, made_with, rate)
        if cached:  # counts only the pictures of this process
            remarks.append(
                f"{many(cached, 'measurement')} of other codecs came from the cache: --no-cache repeats them."
            )
        if not quiet:
            for remark in remarks:
                say(f"note: {remark}", err=True)
            _print_points(points, metrics)
            say(f"report: {output / 'report.html'}")
    account.say_left_out()
    return account


def _known(metrics: Sequence[str]) -> list[str]:
    """Sort metrics, or return the defaults if there are none. Raises OmegaError for unknown or unavailable metrics."""
    from omega_train.evaluation.perceptual import check_metric
    from omega_train.evaluation.quality import DEFAULT_METRICS, METRICS

    if unknown := [metric for metric in metrics if metric not in METRICS]:
        raise OmegaError(f"there is no metric {unknown[0]!r}, only {', '.join(METRICS)}.")
    found = [metric for metric in METRICS if metric in metrics] or list(DEFAULT_METRICS)
    for metric in found:
        check_metric(metric)
    return found


def _made_with(worker: EvaluateWorker) -> dict[str, Any]:
    """Everything that measurements depend on, except for the pictures, for JSON."""
    from importlib.metadata import version

    return {
        "models": {
            name: {"path": str(m.name), "fingerprint": m().fingerprint, "files": coder, **asdict(m().description)}
            for name, (m, coder) in worker.models.items()
        },
        "codecs": {
            name: {"made_with": codec().describe(), "settings": list(codec().settings)}
            for name, codec in worker.against.items()
        },
        "channels": worker.channels,
        "effort": worker.effort,
        "metrics": worker.metrics,
        "versions": {name: version(name) for name in ("omega-core", "omega-train", "pillow", "torch")},
    }


def _jobs(images: Location, output: Path, made_with: dict[str, Any], account: Account) -> list[Measuring]:
    """Plan a job for each picture. The name of its file of measurements depends on the picture and on `made_with`."""
    from hashlib import sha256

    from omega_core.images.reading import is_picture_file
    from omega_train.data.identity import digest, digest_of_file
    from omega_train.evaluation.report import PARTS

    parts = output / PARTS / sha256(json.dumps(made_with, sort_keys=True).encode()).hexdigest()[:8]
    found = find_files([images], is_picture_file, account)
    shown = {number * len(found) // SHOWN for number in range(SHOWN)}  # evenly spaced
    jobs = []
    for index, file in enumerate(found):
        relative = Path(file.relative)
        name = digest(os.fsencode(relative) + digest_of_file(file.source)).hex()
        jobs.append(Measuring(file.source, relative, parts / f"{name}.csv", index in shown))
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
    """Measure pictures, and return the number of measurements that came from the cache.

    workers: the number of processes. alone: whether to use one process if `workers` is None.
    kept: whether to keep existing measurements.
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
    """The useful number of processes: one per 512 KiB of pictures. A picture at a URL counts as 512 KiB."""
    sizes = (job.source.stat().st_size if isinstance(job.source, Path) else _SIZE for job in jobs)
    return sum(sizes) // _SIZE


def _on_gpu(model: "Model") -> bool:
    """Whether a model runs on a device other than the CPU, which several processes would have to share."""
    device = getattr(model.file_codec.codec, "device", None)  # runtimes other than torch have no device
    return device is not None and device.type != "cpu"


def _finish(
    output: Path, jobs: list[Measuring], worker: EvaluateWorker, published: Any, made_with: dict[str, Any], rate: str
) -> "tuple[list[str], list[Point]]":
    """Write the report of all measurements. Return remarks about them, and their means."""
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
    """Print a table with a row for each codec and setting, and a column for each metric."""
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
