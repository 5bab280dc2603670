"""`omega decompress`: `.omega` files to pictures."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from omega_cli.input_files import STANDARD_INPUT, Job, exit_status, input_path, many, standard_input
from omega_cli.options import Device, MaxPixels, Model_, ModelOnce, Overwrite, Quiet, SkipExisting, Workers
from omega_cli.output_files import STANDARD_OUTPUT, Existing, Output, existing_among, write_output
from omega_cli.worker_pool import Done, carry_out, process_count, summary
from omega_core.errors import OmegaError, OutputError
from omega_core.processes import share

if TYPE_CHECKING:
    from omega_core.format.packs import Block


def decompress(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            parser=input_path, metavar="INPUT...", help=".omega files, folders of them, or - for standard input."
        ),
    ],
    output: Annotated[
        Output,
        typer.Option(
            "--output",
            "-o",
            parser=Output.parse,
            metavar="PATH",
            help="The folder for the pictures, as PNG; for one picture also FILE.png, or - for standard output.",
        ),
    ],
    model: Model_ = None,
    partial: Annotated[bool, typer.Option("--partial", help="Decode the intact channels of incomplete files.")] = False,
    preview: Annotated[Path | None, typer.Option(help="A folder for a picture at each cut of a file.")] = None,
    only: Annotated[str | None, typer.Option(help="Unpack only pictures with matching names, such as 'a/*'.")] = None,
    workers: Workers = None,
    max_pixels: MaxPixels = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    quiet: Quiet = False,
) -> None:
    """Decompress .omega files to PNG pictures.

    Several processes that torchrun or srun started share the files.
    """
    existing = Existing.of(overwrite, skip_existing)
    quiet = quiet or output.is_standard_output
    files = output.jobs(inputs, ".png", lambda path: path.suffix == ".omega")
    if preview is not None and partial:
        raise OmegaError("--preview decodes the intact channels anyway; use it without --partial.")
    worker = Decompressing(ModelOnce(model, max_pixels, device), partial, preview, output.folder(".png"), existing)
    worker.start()
    total, jobs = Done(), list[Job | Unpacking]()
    for file in files:
        try:
            jobs += _unpacked(file, only, one_file=output.is_file(".png"))
        except OmegaError as problem:
            typer.echo(f"error: {file.source}: {problem}", err=True)
            total.problems.append(str(problem))
    check_targets(jobs)
    jobs = list(share(jobs))
    kept, problems = existing_among((target for job in jobs for target in job_targets(job)), existing)
    wanted = [part for job in jobs if (part := without(job, kept)) is not None]
    skipped = len(kept) - len(problems)
    total.problems += problems
    processes = 1 if preview is not None or STANDARD_INPUT in inputs else process_count(workers, len(wanted))
    for done in carry_out(worker, wanted, processes, "file", quiet=quiet):
        total.add(done)
    if (total.pictures or skipped) and not quiet:
        typer.echo(f"{summary(total, skipped, rate=False)} in {output.path}")
    exit_status(len(total.problems), len(total.problems) + total.pictures + skipped)


@dataclass(frozen=True)
class Unpacking:
    """Pictures to read from one block of a pack.

    source: the pack.
    block: where the block is in the pack.
    targets: the file to write for each picture, by its place in the block.
    """

    source: Path
    block: "Block"
    targets: dict[int, Path]


def job_targets(job: Job | Unpacking) -> list[Path]:
    """The files that a job writes."""
    return [job.target] if isinstance(job, Job) else list(job.targets.values())


def without(job: Job | Unpacking, targets: set[Path]) -> Job | Unpacking | None:
    """What is left of a job when some of its targets are not to be written."""
    if isinstance(job, Job):
        return None if job.target in targets else job
    left = {place: target for place, target in job.targets.items() if target not in targets}
    return replace(job, targets=left) if left else None


def check_targets(jobs: list[Job | Unpacking]) -> None:
    """Raise OutputError if two pictures have the same target."""
    found: dict[Path, Path] = {}
    for job in jobs:
        for target in job_targets(job):
            if target in found:
                message = f"{found[target]} and {job.source} would both become {target}; take them one by one."
                raise OutputError(message)
            found[target] = job.source


def _unpacked(job: Job, only: str | None, *, one_file: bool) -> list[Job | Unpacking]:
    """The job itself, or a job for each block if its file is a pack. Raises OmegaError if no name matches `only`.

    Pictures of a pack go to a folder with the name of the pack; if `one_file` is set, one picture goes to the target.
    """
    from omega_core.file_io import opened
    from omega_core.format.packs import MAGIC, is_pack, read_index

    if job.source == STANDARD_INPUT:
        return [job]
    with opened(job.source) as file:
        if not is_pack(file.read(len(MAGIC))):
            return [job]
        file.seek(0)
        blocks = read_index(file)
    folder = job.target.with_suffix("")
    jobs: list[Job | Unpacking] = []
    for block in blocks:
        targets = {
            place: job.target if one_file else folder / f"{name}.png"
            for place, name in enumerate(block.names)
            if only is None or fnmatchcase(name, only)
        }
        if targets:
            jobs.append(Unpacking(job.source, block, targets))
    if one_file and sum(len(job_targets(each)) for each in jobs) > 1:
        raise OmegaError(
            f"{job.target} is one file; name a folder for the pictures of a pack, or one of them by --only."
        )
    if not jobs:
        raise OmegaError(
            f"none of its {many(sum(len(b.names) for b in blocks), 'picture')} has a name that matches {only!r}."
        )
    return jobs


@dataclass(frozen=True)
class Decompressing:
    """Decompresses files, as a worker of `carry_out`.

    model: the model for all files, or the models that the files name.
    partial: whether to decode the intact channels of incomplete files.
    preview: a folder for a picture at each cut, if previews are wanted.
    output: the folder of the pictures.
    existing: what is done with pictures that exist.
    """

    model: ModelOnce
    partial: bool
    preview: Path | None
    output: Path
    existing: Existing

    def start(self) -> None:
        """Check the device, and load the model if one is named for all files. Raises OmegaError."""
        self.model.check_device()
        if self.model.name is not None:
            self.model()

    def __call__(self, job: Job | Unpacking) -> Done:
        """Write the pictures of one file, or of one block of a pack. Raises OmegaError."""
        from omega_core.format.header import Header
        from omega_core.format.packs import is_pack
        from omega_core.format.streaming import StreamingFile
        from omega_core.images.writing import png

        with _source(job.source) as file:
            if isinstance(job, Unpacking):
                return self._unpack(job, file)
            if self.preview is None:
                data = file.read()
                if is_pack(data):
                    raise OmegaError("a pack cannot be read from standard input; name its file.")
                picture = self.model.of(Header.parse(data).fingerprint).decompress(data, partial=self.partial)
            else:
                name = Path("stdin") if job.source == STANDARD_INPUT else Path(job.source.stem)
                views = self.preview / (name if job.target == STANDARD_OUTPUT else job.target.relative_to(self.output))
                arriving = StreamingFile(file)
                for picture in self.model.of(arriving.header.fingerprint).decompress_progressively(arriving):
                    view = views.with_name(f"{views.stem}-{picture.info['channels']:04}.png")
                    write_output(view, png(picture), self.existing)
        write_output(job.target, png(picture), self.existing)
        return Done(1)

    def _unpack(self, job: Unpacking, file: BinaryIO) -> Done:
        from omega_core.format.header import Header
        from omega_core.images.writing import png

        if self.preview is not None:
            raise OmegaError("--preview works for single files, not for packs.")
        names = job.block.names
        try:
            data = job.block.read(file, partial=self.partial)
            pictures = self.model.of(Header.parse(data).fingerprint).decompress_all(data, partial=self.partial)
            if len(pictures) != len(names):
                raise OmegaError(f"the block has {len(pictures)} pictures, not {len(names)}.")
        except OmegaError as problem:
            which = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
            return Done(problems=[f"{job.source}: {which}: {problem}"])
        for place, target in job.targets.items():
            write_output(target, png(pictures[place]), self.existing)
        return Done(len(job.targets))


@contextmanager
def _source(path: Path) -> Iterator[BinaryIO]:
    from omega_core.file_io import opened

    if path == STANDARD_INPUT:
        yield standard_input()
    else:
        with opened(path) as file:
            yield file
