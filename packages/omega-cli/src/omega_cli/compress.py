"""`omega compress`: pictures to `.omega` files."""

from typing import TYPE_CHECKING, Annotated

import typer

from omega_cli.account import Account
from omega_cli.compress_workers import CompressWorker, Group, PackWorker, name_in_pack
from omega_cli.executors.cluster import Cluster, Executor, cluster_of
from omega_cli.input_files import STANDARD_INPUT, Input, find_files, input_place
from omega_cli.logs import show
from omega_cli.options import (
    Coder,
    Device,
    Effort,
    ExecutorAddress,
    ExecutorName,
    Keep,
    LazyModel,
    MaxMemory,
    MaxPixels,
    ModelOrChoice,
    Overwrite,
    Quiet,
    SkipExisting,
    Verbose,
    Workers,
)
from omega_cli.output_files import Existing, Output, output_option, write_output
from omega_cli.output_names import Job, is_one_of, plan_jobs
from omega_cli.worker_pool import carry_out, process_count
from omega_core.errors import FileFormatError, OmegaError, OutputError, RateError
from omega_core.format.limits import MAX_NAME_PARTS, MAX_PACKED
from omega_core.places import Place
from omega_core.processes import launch_size, share

if TYPE_CHECKING:
    from omega_core.format.file import OmegaFile

BLOCK = 64  # pictures in a block of a pack: the most that a file can have


def compress(
    inputs: Annotated[
        list[Input],
        typer.Argument(
            parser=input_place,
            metavar="INPUT...",
            help="Pictures or folders, or their URLs, or - for standard input.",
        ),
    ],
    output: Annotated[
        Output,
        output_option(
            "The folder for the .omega files, or its URL; for one picture also FILE.omega, or - for standard output."
        ),
    ],
    model: ModelOrChoice = None,
    coder: Coder = None,
    channels: Annotated[
        int | None, typer.Option(help="Keep as many symbols as these channels have: fewer make smaller files.")
    ] = None,
    fraction: Annotated[float | None, typer.Option(help="Share of the channels to keep, in (0, 1].")] = None,
    bpp: Annotated[float | None, typer.Option(help="Largest rate of each file, in bits per pixel.")] = None,
    max_bytes: Annotated[int | None, typer.Option(help="Largest size of each file, in bytes.")] = None,
    psnr: Annotated[float | None, typer.Option(help="Lowest quality of each picture: PSNR in dB.")] = None,
    effort: Effort = 0,
    alpha: Annotated[Keep, typer.Option(help="Alpha: keep it without loss, or drop it.")] = Keep.keep,
    icc: Annotated[Keep, typer.Option(help="ICC profiles: keep or drop them.")] = Keep.keep,
    pack: Annotated[
        bool, typer.Option("--pack", help="Put all pictures into one file, named as the first INPUT.")
    ] = False,
    workers: Workers = None,
    executor: ExecutorName = Executor.local,
    executor_address: ExecutorAddress = None,
    max_pixels: MaxPixels = None,
    max_memory: MaxMemory = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Compress pictures to .omega files.

    Several processes that torchrun or srun started share the pictures.
    """
    from omega_core.codec.loading import screen_model
    from omega_core.format.packs import is_name
    from omega_core.format.rate_control import Rate
    from omega_core.images.reading import is_picture_file

    show(quiet=quiet, verbose=verbose)
    existing = Existing.of(overwrite, skip_existing)
    streams = STANDARD_INPUT in inputs or output.is_standard_output
    cluster = cluster_of(executor, executor_address, workers, [*inputs, output.path], streams=streams)
    quiet = quiet or output.is_standard_output
    if pack and STANDARD_INPUT in inputs:
        raise OmegaError("a picture of a pack has a name, which standard input does not give.")
    if pack and effort:
        raise OmegaError("symbols are searched for a picture in a file of its own: leave out --effort or --pack.")
    if pack and psnr is not None:
        raise RateError("a pack has one number of channels: use another limit than --psnr.")
    if pack and launch_size() > 1:
        raise OmegaError("several processes cannot make one pack; start one.")
    account = Account()
    found = find_files(inputs, is_picture_file, account)
    if pack:
        folder = output.folder(".omega")
        jobs = []
        for job in plan_jobs(found, folder, ".omega", account, for_pack=True):
            if is_name(name_in_pack(job, folder)):
                jobs.append(job)
            else:
                account.fail(job.source, f"its name in a pack has more than {MAX_NAME_PARTS} parts, or is too long.")
    else:
        jobs = output.plan(found, inputs, ".omega", account)
    if not jobs:
        account.close(quiet=quiet)
    if pack and len(jobs) > MAX_PACKED:
        raise OmegaError(f"a pack has at most {MAX_PACKED} pictures, not {len(jobs)}: make several.")
    rate = Rate(channels=channels, fraction=fraction, bpp=bpp, max_bytes=max_bytes, psnr=psnr)
    loaded = LazyModel(model, max_pixels, device, max_memory, quiet)
    loaded().check_rate(rate)
    loaded().check_coder(coder)
    loaded().check_effort(effort)
    drop_alpha, drop_icc = alpha is Keep.drop, icc is Keep.drop
    other = screen_model() if model is None and not pack else None
    worker = CompressWorker(
        loaded,
        LazyModel(other, max_pixels, device, max_memory, quiet) if other else None,
        coder,
        rate,
        effort,
        drop_alpha=drop_alpha,
        drop_icc=drop_icc,
        existing=existing,
    )
    if pack:
        target = output.path if output.is_file(".omega") else folder / f"{_name(inputs[0])}.omega"
        if existing.keeps(target):
            _account_for_kept(target, jobs, folder, account)
        elif is_one_of(target, {file.identity for file in found}):
            raise OutputError(f"{target} is one of the inputs; name another folder.")
        else:
            _pack(jobs, target, PackWorker(worker, folder), workers, cluster, quiet, account)
    else:
        wanted = [job for job in share(jobs) if not existing.accounted(job.target, str(job.source), account)]
        processes = 1 if STANDARD_INPUT in inputs else process_count(workers, len(wanted))
        for done in carry_out(worker, wanted, processes, "picture", quiet=quiet, cluster=cluster):
            account.add(done)
    account.close(quiet=quiet)


def _name(given: Place) -> str:
    """The name of a pack whose first input this is."""
    try:
        return given.resolve().name if given.is_dir() else given.stem
    except OSError:  # it is not there, or cannot be reached
        return given.stem


def _account_for_kept(target: Place, jobs: list[Job], folder: Place, account: Account) -> None:
    """Account for a pack that stays: pictures that it lacks, such as those that failed when it was made, fail again.

    target: the file, which is there. jobs: the pictures to pack. folder: what their names in a pack are relative to.

    Raises OmegaError if the file is no pack, or cannot be read.
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
            account.fail(job.source, f"it is not in {target}, which stays; make that anew with --overwrite.")


def _pack(
    jobs: list[Job],
    target: Place,
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
        budget = worker.files.rate.budget(pack.pixels)
        whole = pack if budget is None else pack.truncated(length_within(pack, budget))
        data = whole.to_bytes()
        write_output(target, data, worker.files.existing)
        account.bytes_out = len(data)
