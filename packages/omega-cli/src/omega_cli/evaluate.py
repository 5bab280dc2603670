"""`omega evaluate`: rate and distortion of models, codecs to compare with and published curves."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omega_cli import completions
from omega_cli.account import Account
from omega_cli.executors.cluster import Cluster, Executor, cluster_of
from omega_cli.input_files import Input, find_files
from omega_cli.jobs import Done
from omega_cli.logs import show
from omega_cli.messages import many, say
from omega_cli.options import (
    Device,
    Effort,
    ExecutorAddress,
    ExecutorName,
    LazyCodec,
    LazyModel,
    MaxPixels,
    Quiet,
    SkipExisting,
    Verbose,
    WorkersForPictures,
    omega_train_for,
    parsed_options,
)
from omega_cli.output_files import local_output_option
from omega_cli.worker_pool import carry_out, process_count
from omega_core.errors import OmegaError
from omega_core.places import Place, place_of
from omega_core.processes import share

if TYPE_CHECKING:
    from omega_core.codec.model import Model
    from omega_core.images.pictures import Pixels
    from omega_train.evaluation.gallery import Coded
    from omega_train.evaluation.measurements import Point

SHOWN = 4
"""Pictures in the gallery of the report."""
_SIZE = 1 << 19  # of a picture that takes longer to measure than a process to start


class Counted(StrEnum):
    """The bits of a picture that a rate counts: the whole file, its stream, or the estimate of the prior."""

    file = "file"
    stream = "stream"
    estimated = "estimated"


@dataclass(frozen=True)
class Measuring:
    """A picture to measure.

    source: its file.
    relative: its path in the folder of pictures.
    target: the CSV file for its measurements.
    shown: whether the gallery of the report shows it.
    """

    source: Place
    relative: Path
    target: Path
    shown: bool

    @property
    def names(self) -> tuple[str]:
        """The picture, for messages."""
        return (str(self.source),)

    @property
    def image(self) -> str:
        """Its name in tables."""
        return _text(self.relative)

    @property
    def page(self) -> Path:
        """The JSON file for what the gallery shows of it."""
        return self.target.with_suffix(".json")

    @property
    def done(self) -> bool:
        """Whether all of it is there."""
        return self.target.exists() and (self.page.exists() or not self.shown)

    @property
    def failed(self) -> Path:
        """An empty file that marks a failed measurement, so that other processes do not wait for it."""
        return self.target.with_suffix(".failed")


@dataclass
class EvaluateWorker:
    """Measures pictures with all models and codecs to compare with, as a worker of `carry_out`.

    models: by name, each with the coder of its files; None is the coder of the model.
    against: codecs to compare with, by name.
    channels: the numbers of channels to measure; those of `Model.channel_counts` if empty.
    effort: of the models, for a file at each number of channels; 0 for prefixes of one file.
    metrics: the metrics to measure.
    max_pixels: the largest number of pixels of a picture.
    pictures: the folder for originals and reconstructions, or None to write none.
    cache: whether measurements of `against` are taken from the cache where pixels are not needed; it keeps them anyway.

    A picture that one of them cannot code is measured with none: their means would be over different pictures.
    """

    models: dict[str, tuple[LazyModel, str | None]]
    against: dict[str, LazyCodec]
    channels: list[int]
    effort: int
    metrics: list[str]
    max_pixels: int
    pictures: Path | None
    cache: bool

    @property
    def imports(self) -> tuple[str, ...]:
        """See `Worker`."""
        of_models = {name for model, _ in self.models.values() for name in model.imports}
        return "omega_train.evaluation.measurements", *sorted(of_models)

    def __call__(self, job: Measuring) -> Done:
        """Write the measurements of a picture. `Done.made` tells of how many codecs the cache had them.

        Raises OmegaError.
        """
        from omega_core.file_io import write_whole
        from omega_core.images.reading import read_picture
        from omega_train.evaluation import measurements
        from omega_train.evaluation.gallery import gallery_picture

        pixels = read_picture(job.source, max_pixels=self.max_pixels).pixels
        needed = job.shown or self.pictures is not None
        coded = [*self._through_models(job.image, pixels), *self._through_codecs(job.image, pixels, needed)]
        if job.shown:
            page = gallery_picture(job.image, pixels, coded)
            write_whole(job.page, json.dumps(page).encode())
        if self.pictures is not None:
            self._save(self.pictures / job.relative, pixels, coded)
        measurements.write_table(job.target, [row for each in coded for row in each.measurements])
        return Done(pictures=1, made=sum(not each.decoded for each in coded))

    def _through_models(self, image: str, pixels: "Pixels") -> "Iterator[Coded]":
        """Yield what each model makes of a picture."""
        from omega_train.evaluation.gallery import Coded
        from omega_train.evaluation.measurements import measure, through_model

        for name, (model, coder) in self.models.items():
            decoded = list(through_model(model(), pixels, self.channels, coder=coder, effort=self.effort))
            yield Coded(name, decoded, measure(name, image, pixels, decoded, self.metrics))

    def _through_codecs(self, image: str, pixels: "Pixels", needed: bool) -> "Iterator[Coded]":
        """Yield what each codec to compare with makes of a picture; without pixels if the cache has the rest.

        needed: whether pixels are needed.
        """
        from omega_train.evaluation.gallery import Coded
        from omega_train.evaluation.measurement_cache import CachedMeasurements
        from omega_train.evaluation.measurements import measure, through_codec

        for name, codec in self.against.items():
            cached = CachedMeasurements(codec(), pixels, self.metrics)
            if self.cache and not needed and (found := cached.find(name, image)):
                yield Coded(name, [], found)
                continue
            decoded = list(through_codec(codec(), pixels))
            measured = measure(name, image, pixels, decoded, self.metrics)
            cached.keep(measured)
            yield Coded(name, decoded, measured)

    def _save(self, folder: Path, pixels: "Pixels", coded: "Sequence[Coded]") -> None:
        from omega_core.file_io import write_whole
        from omega_core.images.writing import png, to_pillow

        write_whole(folder / "original.png", png(to_pillow(pixels)))
        for one in coded:
            for each in one.decoded:
                write_whole(folder / f"{one.codec}-{each.setting}.png", png(to_pillow(each.pixels)))


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
    from hashlib import sha256
    from importlib.metadata import version

    from omega_core.file_io import write_whole
    from omega_core.format.rate_control import Rate
    from omega_core.images.pictures import MAX_PIXELS
    from omega_core.images.reading import is_picture_file

    with omega_train_for("evaluation"):
        from omega_train.data.identity import digest, digest_of_file
        from omega_train.evaluation.overlays import read_overlay
        from omega_train.evaluation.perceptual import check_metric
        from omega_train.evaluation.quality import DEFAULT_METRICS, METRICS
        from omega_train.evaluation.report import PARTS, claim
    if effort and rate == "estimated":
        raise OmegaError("a search by --effort gives no estimated rate: leave out --effort, or name another --rate.")
    if unknown := [metric for metric in metrics if metric not in METRICS]:
        raise OmegaError(f"there is no metric {unknown[0]!r}, only {', '.join(METRICS)}.")
    metrics = [metric for metric in METRICS if metric in metrics] or list(DEFAULT_METRICS)
    for metric in metrics:
        check_metric(metric)
    counts, against = counts or [], _with_options(codecs, codec_options)
    published = [point for path in overlays for point in read_overlay(path)]
    models = _with_coders(_named(model_paths, max_pixels, device, quiet), coders)
    for loaded, coder in models.values():
        loaded().check_coder(coder)
        loaded().check_effort(effort)
        for count in counts:
            loaded().check_rate(Rate(channels=count))
    if not models and not against:
        raise OmegaError("nothing to evaluate: name a model with --model, or codecs with --against.")
    if both := next((name for name in against if name in models), None):
        raise OmegaError(f"a model and a codec are both called {both}: rename the file of the model, or its folder.")
    made_with = {
        "models": {
            name: {"path": str(m.name), "fingerprint": m().fingerprint, "files": coder, **asdict(m().description)}
            for name, (m, coder) in models.items()
        },
        "codecs": {
            name: {"made with": codec().describe(), "settings": list(codec().settings)}
            for name, codec in against.items()
        },
        "channels": counts,
        "effort": effort,
        "metrics": metrics,
        "versions": {name: version(name) for name in ("omega-core", "omega-train", "pillow", "torch")},
    }
    key = sha256(json.dumps(made_with, sort_keys=True).encode()).hexdigest()[:8]
    account = Account()
    jobs = []
    found = list(find_files([images], is_picture_file, account))
    shown = {place * len(found) // SHOWN for place in range(SHOWN)}  # evenly spaced
    for place, file in enumerate(found):
        relative = Path(file.relative)
        # of these settings and this content: those of others are not taken for them
        name = digest(os.fsencode(relative) + digest_of_file(file.source)).hex()
        jobs.append(Measuring(file.source, relative, output / PARTS / key / f"{name}.csv", place in shown))
    made_with |= {"command": sys.argv[1:], "images": str(images), "pictures": [job.image for job in jobs]}
    claim(output, made_with, overwrite=overwrite)
    kept = output / "pictures" if save_images else None
    worker = EvaluateWorker(models, against, counts, effort, metrics, max_pixels or MAX_PIXELS, kept, cache)
    mine = list(share(jobs)) if together else jobs
    wanted, cached = list[Measuring](), 0
    for job in mine:
        if skip_existing and job.done:
            account.skip(job.names)
        else:
            job.failed.unlink(missing_ok=True)
            wanted.append(job)
    shared = len(mine) < len(jobs) or any(_on_gpu(model()) for model, _ in models.values())
    processes = process_count(workers, len(wanted), 1 if shared else _worth(wanted))
    for done in carry_out(worker, wanted, processes, "picture", quiet=quiet, cluster=cluster):
        account.add(done)
        cached += done.made or 0
    for job in wanted:
        if not job.target.exists():
            write_whole(job.failed, b"")
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


def _named(paths: Sequence[str], max_pixels: int | None, device: str, quiet: bool) -> dict[str, LazyModel]:
    """Models by their names: those of their files, or of their folders where a file is called model.safetensors."""
    from omega_core.codec.model_names import split_fingerprint

    places = [place_of(split_fingerprint(path)[0]).resolve() for path in paths]
    if twice := next((path for path, place in zip(paths, places, strict=True) if places.count(place) > 1), None):
        raise OmegaError(f"the model {twice} is given twice.")
    short = [_text(Path(place.parent.name if place.stem == "model" else place.stem)) for place in places]
    long = [_text(Path(str(place.parent / place.stem).replace("://", "/"))) for place in places]
    names = [
        name if short.count(name) == 1 else other.strip("/").replace("/", "-")
        for name, other in zip(short, long, strict=True)
    ]
    return {name: LazyModel(path, max_pixels, device, quiet=quiet) for name, path in zip(names, paths, strict=True)}


def _text(path: Path) -> str:
    """A path as text, with its bytes escaped that are not UTF-8."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def _with_coders(models: dict[str, LazyModel], coders: Sequence[str]) -> dict[str, tuple[LazyModel, str | None]]:
    """Each model with each coder, whose name is then a part of the model's; with its own coder if none is given."""
    if not coders:
        return {name: (model, None) for name, model in models.items()}
    if twice := next((coder for coder in coders if coders.count(coder) > 1), None):
        raise OmegaError(f"the coder {twice} is given twice.")
    return {f"{name}-{coder.replace('/', '-')}": (model, coder) for name, model in models.items() for coder in coders}


def _with_options(names: Sequence[str], texts: Sequence[str]) -> dict[str, LazyCodec]:
    """Codecs to compare with by their names in tables and files, which have a hyphen for the slash.

    names: of codecs, bare or qualified. texts: options such as "webp.method=4".

    Raises OmegaError for unknown codecs and options, and for a codec that is given twice.
    """
    from omega_core.plugins.registry import registry

    qualified = {name: registry().find("codec", name).qualified_name for name in names}
    if twice := next((name for i, name in enumerate(names) if qualified[name] in map(qualified.get, names[:i])), None):
        raise OmegaError(f"the codec {twice} is given twice.")
    options: dict[str, list[str]] = {each: [] for each in qualified.values()}
    for text in texts:
        name, dot, option = text.partition(".")
        if not dot or "=" in name or "=" not in option:
            raise OmegaError(f"--codec-option takes NAME.OPTION=VALUE, such as webp.method=4, not {text!r}.")
        meant = registry().find("codec", name).qualified_name
        if meant not in options:
            raise OmegaError(f"--codec-option {text} is for a codec that --against does not name.")
        options[meant].append(option)
    return {
        name.replace("/", "-"): LazyCodec(name, parsed_options("codec", name, options[each]))
        for name, each in qualified.items()
    }


def _words(text: str) -> list[str]:
    """The words of a list such as "jpeg, webp"."""
    return [word for part in text.split(",") if (word := part.strip())]


def _numbers(text: str | None) -> list[int]:
    """The sorted numbers of a list such as "4,8,16". Raises OmegaError."""
    try:
        return sorted({int(part) for part in text.split(",")}) if text else []
    except ValueError as problem:
        raise OmegaError(f"--channels takes numbers such as 4,8,16, not {text!r}.") from problem
