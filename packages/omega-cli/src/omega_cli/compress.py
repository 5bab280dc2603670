"""`omega compress`: pictures to `.omega` files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from omega_cli.compress_workers import Compressing, Group, Packing
from omega_cli.input_files import STANDARD_INPUT, Job, exit_status, find_jobs, input_path
from omega_cli.options import Device, Keep, MaxPixels, Model_, ModelOnce, Overwrite, Quiet, SkipExisting, Workers
from omega_cli.output_files import Existing, Output, existing_among, write_output
from omega_cli.worker_pool import Done, carry_out, process_count, summary
from omega_core.errors import OmegaError, OutputError, RateError
from omega_core.processes import launch_size, share

if TYPE_CHECKING:
    from omega_core.format.file import OmegaFile

BLOCK = 64  # pictures in a block of a pack: the most that a file can have


def compress(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            parser=input_path, metavar="INPUT...", help="Pictures, folders of them, or - for standard input."
        ),
    ],
    output: Annotated[
        Output,
        typer.Option(
            "--output",
            "-o",
            parser=Output.parse,
            metavar="PATH",
            help="The folder for the .omega files; for one picture also FILE.omega, or - for standard output.",
        ),
    ],
    model: Model_ = None,
    coder: Annotated[str | None, typer.Option(help="An entropy coder other than the model's own.")] = None,
    channels: Annotated[int | None, typer.Option(help="Channels to keep: fewer make smaller files.")] = None,
    fraction: Annotated[float | None, typer.Option(help="Share of the channels to keep, in (0, 1].")] = None,
    bpp: Annotated[float | None, typer.Option(help="Largest rate of each file, in bits per pixel.")] = None,
    max_bytes: Annotated[int | None, typer.Option(help="Largest size of each file, in bytes.")] = None,
    psnr: Annotated[float | None, typer.Option(help="Lowest quality of each picture: PSNR in dB.")] = None,
    alpha: Annotated[Keep, typer.Option(help="Alpha: keep it without loss, or drop it.")] = Keep.keep,
    icc: Annotated[Keep, typer.Option(help="ICC profiles: keep or drop them.")] = Keep.keep,
    pack: Annotated[
        bool, typer.Option("--pack", help="Put all pictures into one file, named as the first INPUT.")
    ] = False,
    workers: Workers = None,
    max_pixels: MaxPixels = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    quiet: Quiet = False,
) -> None:
    """Compress pictures to .omega files.

    Several processes that torchrun or srun started share the pictures.
    """
    from omega_core.format.rate_control import Rate
    from omega_core.images.reading import is_picture_name

    existing = Existing.of(overwrite, skip_existing)
    quiet = quiet or output.is_standard_output
    if pack:
        jobs = find_jobs(inputs, output.folder(".omega"), ".omega", is_picture_name)
    else:
        jobs = output.jobs(inputs, ".omega", is_picture_name)
    rate = Rate(channels=channels, fraction=fraction, bpp=bpp, max_bytes=max_bytes, psnr=psnr)
    loaded = ModelOnce(model, max_pixels, device)
    loaded().check_rate(rate)
    loaded().check_coder(coder)
    worker = Compressing(loaded, coder, rate, alpha is Keep.drop, icc is Keep.drop, existing)
    if pack:
        if STANDARD_INPUT in inputs:
            raise OmegaError("a picture of a pack has a name, which standard input does not give.")
        if rate.psnr is not None:
            raise RateError("a pack has one number of channels: use another limit than --psnr.")
        if launch_size() > 1:
            raise OmegaError("several processes cannot make one pack; start one.")
        total, skipped = _pack(inputs, jobs, output, worker, workers, quiet)
    else:
        jobs = list(share(jobs))
        kept, problems = existing_among((job.target for job in jobs), existing)
        wanted = [job for job in jobs if job.target not in kept]
        total, skipped = Done(problems=problems), len(kept) - len(problems)
        processes = 1 if STANDARD_INPUT in inputs else process_count(workers, len(wanted))
        for done in carry_out(worker, wanted, processes, "picture", quiet=quiet):
            total.add(done)
    if (total.pictures or skipped) and not quiet:
        typer.echo(summary(total, skipped, rate=True))
    exit_status(len(total.problems), len(jobs))


def _pack(
    inputs: list[Path],
    jobs: list[Job],
    output: Output,
    worker: Compressing,
    workers: int | None,
    quiet: bool,
) -> tuple[Done, int]:
    """Compress all pictures into one pack, named after the first input; returns the result and the skipped pictures."""
    from omega_core.format.packs import Pack
    from omega_core.format.rate_control import largest_within

    folder = output.folder(".omega")
    name = inputs[0].resolve().name if inputs[0].is_dir() else inputs[0].stem
    target = output.path if output.is_file(".omega") else folder / f"{name}.omega"
    if worker.existing.keeps(target):
        return Done(), len(jobs)
    if target.resolve() in {job.source.resolve() for job in jobs}:
        raise OutputError(f"{target} is one of the inputs; name another folder.")
    groups = [Group(tuple(jobs[first : first + BLOCK])) for first in range(0, len(jobs), BLOCK)]
    packing = Packing(worker, folder)
    total, blocks = Done(), list[tuple["OmegaFile", tuple[str, ...]]]()
    for done in carry_out(packing, groups, process_count(workers, len(jobs)), "block", quiet=quiet):
        total.add(done)
        blocks += done.made or []
    if blocks:
        pack = Pack(tuple(sorted(blocks, key=lambda block: block[1])))
        budget = worker.rate.budget(pack.pixels)
        whole = pack if budget is None else pack.truncated(largest_within(pack, budget))
        data = whole.to_bytes()
        write_output(target, data, worker.existing)
        total.bytes_out = len(data)
    return total, 0
