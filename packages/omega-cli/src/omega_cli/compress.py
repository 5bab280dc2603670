"""`omega compress`: compresses pictures to `.omega` files."""

from typing import TYPE_CHECKING, Annotated

import typer

from omega_cli import options
from omega_cli.account import Account
from omega_cli.compress_workers import CompressWorker, Group, PackWorker, name_in_pack
from omega_cli.executors.cluster import Cluster, Executor, cluster_of
from omega_cli.input_files import STANDARD_INPUT, Input, find_files, input_argument
from omega_cli.logs import show
from omega_cli.options import Keep, LazyModel
from omega_cli.output_files import Existing, Output, output_option, write_output
from omega_cli.output_names import Job, is_one_of, plan_jobs
from omega_cli.worker_pool import carry_out, process_count
from omega_core.errors import FileFormatError, OmegaError, OutputError, RateError
from omega_core.format.limits import MAX_NAME_PARTS, MAX_PACKED
from omega_core.locations import Location
from omega_core.processes import launch_size, share

if TYPE_CHECKING:
    from omega_core.format.file import OmegaFile

BLOCK = 64  # pictures in a block of a pack: the maximum of the file format


def compress(
    inputs: Annotated[list[Input], input_argument("Pictures, folders of pictures, URLs, or - for standard input.")],
    output: Annotated[
        Output,
        output_option("A folder or its URL; for one picture also NAME.omega, or - for standard output."),
    ],
    model: options.ModelOrChoice = None,
    coder: options.Coder = None,
    channels: Annotated[
        int | None,
        typer.Option(
            metavar="COUNT",
            help="Keep the symbols of this many channels, the most important first; fewer give smaller files.",
        ),
    ] = None,
    fraction: Annotated[
        float | None,
        typer.Option(metavar="FRACTION", help="Keep this fraction of the channels, above 0 and up to 1."),
    ] = None,
    bpp: Annotated[
        float | None,
        typer.Option(metavar="BITS", help="Limit each file to this many bits per pixel; 0.3 to 1 is good for photos."),
    ] = None,
    max_bytes: Annotated[int | None, typer.Option(metavar="BYTES", help="Limit each file to this many bytes.")] = None,
    psnr: Annotated[
        float | None,
        typer.Option(metavar="DB", help="Smallest file with at least this PSNR in dB: 30 is fair, 36 good."),
    ] = None,
    quality: Annotated[str | None, typer.Option(hidden=True)] = None,
    effort: options.Effort = 0,
    alpha: Annotated[
        Keep, typer.Option(help="What to do with transparency: keep it (lossless) or drop it.")
    ] = Keep.keep,
    icc: Annotated[Keep, typer.Option(help="What to do with ICC color profiles: keep or drop them.")] = Keep.keep,
    pack: Annotated[
        bool, typer.Option("--pack", help="Put all pictures into one file, named after the first INPUT.")
    ] = False,
    workers: options.Workers = None,
    executor: options.ExecutorName = Executor.local,
    executor_address: options.ExecutorAddress = None,
    max_pixels: options.MaxPixels = None,
    max_memory: options.MaxMemory = None,
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Compress pictures to .omega files.

    Without a limit, a file keeps all channels. If started by torchrun or srun, each process takes its share of the
    pictures.
    """
    from omega_core.codec.loading import screen_model
    from omega_core.format.packs import is_name
    from omega_core.format.rate_control import Rate
    from omega_core.images.reading import is_picture_file

    if quality is not None:
        raise RateError(
            "there is no --quality: choose a size with --bpp 0.5 or --max-bytes 20000, or a quality with --psnr 36."
        )
    show(quiet=quiet, verbose=verbose)
    existing = Existing.of(overwrite, skip_existing)
    streams = STANDARD_INPUT in inputs or output.is_standard_output
    cluster = cluster_of(executor, executor_address, workers, [*inputs, output.path], streams=streams)
    quiet = quiet or output.is_standard_output
    if pack and STANDARD_INPUT in inputs:
        raise OmegaError("--pack needs files with names, not standard input.")
    if pack and effort:
        raise OmegaError("--effort does not work with --pack: leave out one of them.")
    if pack and psnr is not None:
        raise RateError("--psnr does not work with --pack: use another limit.")
    if pack and launch_size() > 1:
        raise OmegaError("several processes cannot make one pack: start a single one.")
    account = Account()
    found = find_files(inputs, is_picture_file, account)
    if pack:
        folder = output.folder(".omega")
        target = output.path if output.is_file(".omega") else folder / f"{_name(inputs[0])}.omega"
        where = str(target)
        jobs = []
        for job in plan_jobs(found, folder, ".omega", account, for_pack=True):
            if is_name(name_in_pack(job, folder)):
                jobs.append(job)
            else:
                account.fail(job.source, f"its name in a pack has more than {MAX_NAME_PARTS} parts, or is too long.")
    else:
        jobs = output.plan(found, inputs, ".omega", account)
        where = output.where(job.target for job in jobs)
    if not jobs:
        account.close(quiet=quiet)
    if pack and len(jobs) > MAX_PACKED:
        raise OmegaError(f"a pack has at most {MAX_PACKED} pictures, not {len(jobs)}: make several.")
    rate = Rate(channels=channels, fraction=fraction, bpp=bpp, max_bytes=max_bytes, psnr=psnr)
    loaded = LazyModel(model, max_pixels, device, max_memory, quiet)
    loaded().check_rate(rate)
    loaded().check_coder(coder)
    loaded().check_effort(effort)
    other = screen_model() if model is None and not pack else None
    worker = CompressWorker(
        loaded,
        LazyModel(other, max_pixels, device, max_memory, quiet) if other else None,
        coder,
        rate,
        effort,
        drop_alpha=alpha is Keep.drop,
        drop_icc=icc is Keep.drop,
        existing=existing,
    )
    if pack:
        if existing.keeps(target):
            _account_for_kept(target, jobs, folder, account)
        elif is_one_of(target, {file.identity for file in found}):
            raise OutputError(f"{target} is one of the inputs; choose another folder.")
        else:
            _pack(jobs, target, PackWorker(worker, folder), workers, cluster, quiet, account)
    else:
        wanted = [job for job in share(jobs) if not existing.accounted(job.target, str(job.source), account)]
        processes = 1 if STANDARD_INPUT in inputs else process_count(workers, len(wanted))
        for done in carry_out(worker, wanted, processes, "picture", quiet=quiet, cluster=cluster):
            account.add(done)
    account.close(quiet=quiet, where=where)


def _name(given: Location) -> str:
    """The name of a pack with this first input, without suffix."""
    try:
        return given.resolve().name if given.is_dir() else given.stem
    except OSError:  # the input is missing or cannot be reached
        return given.stem


def _account_for_kept(target: Location, jobs: list[Job], folder: Location, account: Account) -> None:
    """Record the pictures of a pack that stays as skipped, and the pictures that it lacks as failed.

    target: the existing file. jobs: the pictures to pack. folder: the folder to which names in the pack are relative.

    Raises OmegaError if the file is not a pack, or cannot be read.
    """
    from omega_core.file_io import opened
    from omega_core.format.packs import read_index

    try:
        with opened(target) as file:
            there = {name for block in read_index(file) for name in block.names}
    except FileFormatError as problem:
        raise OutputError(f"{target} exists, but {problem}") from problem
    for job in jobs:
        if name_in_pack(job, folder) in there:
            account.skip(job.names)
        else:
            account.fail(job.source, f"it is not in {target}, which exists; use --overwrite to make the pack again.")


def _pack(
    jobs: list[Job],
    target: Location,
    worker: PackWorker,
    workers: int | None,
    cluster: Cluster | None,
    quiet: bool,
    account: Account,
) -> None:
    """Compress all pictures into one pack."""
    from omega_core.format.packs import Pack
    from omega_core.format.rate_control import length_within

    groups = [Group(tuple(jobs[first : first + BLOCK])) for first in range(0, len(jobs), BLOCK)]
    blocks = list[tuple["OmegaFile", tuple[str, ...]]]()
    processes = process_count(workers, len(jobs))
    for done in carry_out(worker, groups, processes, "block", quiet=quiet, cluster=cluster):
        account.add(done)
        blocks += done.made or []
    if blocks:
        pack = Pack(tuple(sorted(blocks, key=lambda block: block[1])))
        budget = worker.compressor.rate.budget(pack.pixels)
        whole = pack if budget is None else pack.truncated(length_within(pack, budget))
        data = whole.to_bytes()
        write_output(target, data, worker.compressor.existing)
        account.bytes_out = len(data)
