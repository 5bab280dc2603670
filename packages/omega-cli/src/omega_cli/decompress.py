"""`omega decompress`: decodes `.omega` files to PNG pictures."""

from collections import Counter
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from omega_cli import options
from omega_cli.account import Account
from omega_cli.executors.cluster import Executor, cluster_of
from omega_cli.failures import reason_of, stops_all
from omega_cli.input_files import STANDARD_INPUT, Found, Input, find_files, input_argument, opened_input
from omega_cli.jobs import Done
from omega_cli.logs import show
from omega_cli.messages import many
from omega_cli.options import LazyModel
from omega_cli.output_files import STANDARD_OUTPUT, Existing, Output, output_option, write_output, write_result
from omega_cli.output_names import candidates, check_folder, distinct, is_one_of
from omega_cli.worker_pool import carry_out, process_count
from omega_core.errors import OmegaError, OutputError
from omega_core.locations import Location, location_of, relative_path
from omega_core.names import marked, portable
from omega_core.processes import share

if TYPE_CHECKING:
    from omega_core.format.packs import Block


def decompress(
    inputs: Annotated[
        list[Input], input_argument(".omega files, folders with .omega files, URLs, or - for standard input.")
    ],
    output: Annotated[
        Output,
        output_option("A folder or its URL; for one picture also NAME.png, or - for standard output."),
    ],
    model: options.ModelOption = None,
    partial: Annotated[bool, typer.Option("--partial", help="Decode incomplete files as far as they go.")] = False,
    preview: Annotated[
        Input | None,
        typer.Option(
            parser=location_of,
            metavar="FOLDER",
            help="Write previews to this folder while a file arrives, one each time it has grown by a quarter.",
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="PATTERN", help="From packs, decode only pictures with matching names, such as 'a/*'."),
    ] = None,
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
    """Decompress .omega files to PNG pictures.

    If started by torchrun or srun, each process takes its share of the files.
    """
    show(quiet=quiet, verbose=verbose)
    existing = Existing.of(overwrite, skip_existing)
    streams = STANDARD_INPUT in inputs or output.is_standard_output or preview is not None
    cluster = cluster_of(executor, executor_address, workers, [*inputs, output.path], streams=streams)
    quiet = quiet or output.is_standard_output
    account = Account()
    files = find_files(inputs, lambda path: path.suffix.lower() == ".omega", account)
    if preview is not None and partial:
        raise OmegaError("--preview decodes incomplete files anyway: use it without --partial.")
    if not files:
        account.close(quiet=quiet)
    folder = output.folder(".png")
    check_folder(folder)
    models = LazyModel(model, max_pixels, device, max_memory, quiet)
    models.check_device()
    if model is not None:
        models()
    jobs = _jobs(files, folder, only, account)
    if output.is_file(".png"):
        jobs = _to_one_file(jobs, output.path)
    where = output.where(target for job in jobs for target in job.targets.values())
    wanted = []
    for job in share(jobs):
        left = {p: t for p, t in job.targets.items() if not existing.accounted(t, job.title(p), account)}
        if left:
            wanted.append(replace(job, targets=left))
    processes = 1 if preview is not None or STANDARD_INPUT in inputs else process_count(workers, len(wanted))
    worker = DecompressWorker(models, partial, preview, folder, existing)
    for done in carry_out(worker, wanted, processes, "file", quiet=quiet, cluster=cluster):
        account.add(done)
    account.close(quiet=quiet, where=where)


@dataclass(frozen=True)
class Unpacking:
    """Pictures to decode from a file, or from one block of a pack.

    source: the file or pack.
    block: the entry of the block in the index of the pack; None for a file.
    targets: the file to write for each picture, by its index in the block; 0 for the picture of a file.
    """

    source: Location
    block: "Block | None"
    targets: dict[int, Location]

    @property
    def names(self) -> tuple[str, ...]:
        """The pictures, for messages and for the account of a run."""
        return tuple(map(self.title, self.targets))

    def title(self, index: int) -> str:
        """The name of one of the pictures."""
        return f"{self.source}: {self.block.names[index]}" if self.block else str(self.source)


def _jobs(files: list[Found], output: Location, only: str | None, account: Account) -> list[Unpacking]:
    """Plan a job for each file, or for each block of a pack. The pictures of a pack go to a folder with its name.

    Names in a pack are escaped if some operating system does not allow them or treats them specially.
    """
    jobs, unreadable = list[Unpacking](), set[Found]()
    pictures = list[tuple[Found, Unpacking, int, list[str]]]()  # with the index in the job, and the possible names
    for file in files:
        blocks = list["Block"]()
        try:
            blocks = _blocks(file.source)
        except Exception as problem:
            account.fail(file.source, reason_of(problem))
            unreadable.add(file)  # its names stay reserved, so that other names do not depend on it
        for block in blocks or (None,):
            jobs.append(job := Unpacking(file.source, block, {}))
            if block is None:
                pictures.append((file, job, 0, candidates(file.relative, ".png")))
            else:
                pictures += [(file, job, i, _candidates_in_pack(file, name)) for i, name in enumerate(block.names)]
    inputs, matching = {file.identity for file in files}, Counter[Found]()
    for (file, job, index, _), name in zip(pictures, distinct([names for *_, names in pictures]), strict=True):
        if file in unreadable:
            continue
        if job.block is not None and only is not None and not fnmatchcase(job.block.names[index], only):
            continue
        matching[file] += 1
        if name is None:
            account.fail(job.title(index), "another input has the same output; run it separately.")
        elif is_one_of(output / name, inputs):
            message = f"it would replace {output / name}, which is also an input; choose another folder."
            account.fail(job.title(index), message)
        else:
            job.targets[index] = output / name
    for file in files:
        if file not in unreadable and not matching[file]:
            count = sum(of == file for of, *_ in pictures)
            account.fail(file.source, f"none of its {many(count, 'picture')} has a name that matches {only!r}.")
    return [job for job in jobs if job.targets]


def _to_one_file(jobs: list[Unpacking], target: Location) -> list[Unpacking]:
    """Set the target of the only picture of the jobs. Raises OutputError if there are several pictures."""
    if sum(len(job.targets) for job in jobs) > 1:
        raise OutputError(
            f"{target} is one file; several pictures need a folder as --output, or choose one of a pack with --only."
        )
    return [replace(job, targets=dict.fromkeys(job.targets, target)) for job in jobs]


def _blocks(path: Location) -> "list[Block]":
    """The blocks of a pack; an empty list for other files. Raises OmegaError if the file cannot be read."""
    from omega_core.file_io import opened
    from omega_core.format.header import PACK_MAGIC
    from omega_core.format.packs import is_pack, read_index

    if path == STANDARD_INPUT:
        return []
    with opened(path) as file:
        if not is_pack(file.read(len(PACK_MAGIC))):
            return []
        file.seek(0)
        return read_index(file)


def _candidates_in_pack(pack: Found, name: str) -> list[str]:
    """The possible paths of a picture in a pack, in order of preference: see `candidates`."""
    stem, whole = pack.relative.stem, pack.relative.name
    folder = pack.relative.as_posix().removesuffix(whole)
    best = f"{folder}{whole if stem in ('.', '..') else stem}/"  # `...omega` must not lead to the folder above
    inside = portable(name)
    return [f"{best}{inside}.png", f"{folder}{whole}/{inside}.png", f"{best}{marked(inside, name)}.png"]


@dataclass(frozen=True)
class DecompressWorker:
    """Decompresses files, as a worker of `carry_out`.

    model: the model for all files, or the models that the files name.
    partial: whether to decode incomplete files as far as they go.
    preview: the folder for previews of growing parts of the file; None to write no previews.
    output: the folder of the pictures.
    existing: what to do with pictures that exist.
    """

    model: LazyModel
    partial: bool
    preview: Location | None
    output: Location
    existing: Existing

    @property
    def imports(self) -> tuple[str, ...]:
        """See `Worker`."""
        return self.model.imports

    def __call__(self, job: Unpacking) -> Done:
        """Write the pictures of one file, or of one block of a pack. Raises OmegaError."""
        from omega_core.format.header import Header
        from omega_core.format.packs import is_pack, read_coded
        from omega_core.format.streaming import StreamingFile
        from omega_core.images.writing import png

        with opened_input(job.source) as file:
            if job.block is not None:
                return self._unpack(job, job.block, file)
            (target,) = job.targets.values()
            if self.preview is None:
                data = read_coded(file)
                if is_pack(data):
                    raise OmegaError("a pack cannot be read from standard input: use the path of its file.")
                picture = self.model.of(Header.parse(data).fingerprint).decompress(data, partial=self.partial)
            else:
                name = "stdin" if job.source == STANDARD_INPUT else job.source.stem
                views = self.preview / (name if target == STANDARD_OUTPUT else relative_path(target, self.output))
                arriving = StreamingFile(file)
                for picture in self.model.of(arriving.header.fingerprint).decompress_progressively(arriving):
                    view = views.with_name(f"{views.stem}-{picture.info['stream_bytes']:07}.png")
                    write_output(view, png(picture), self.existing)
        write_result(target, png(picture), self.existing)
        return Done(1)

    def _unpack(self, job: Unpacking, block: "Block", file: BinaryIO) -> Done:
        from omega_core.format.header import Header
        from omega_core.images.writing import png

        if self.preview is not None:
            raise OmegaError("--preview works for single files, not for packs.")
        data = block.read(file, partial=self.partial)
        pictures = self.model.of(Header.parse(data).fingerprint).decompress_all(data, partial=self.partial)
        if len(pictures) != len(block.names):
            raise OmegaError(f"the block has {len(pictures)} pictures, not {len(block.names)}.")
        done = Done()
        for index, target in job.targets.items():
            try:
                write_result(target, png(pictures[index]), self.existing)
            except Exception as problem:
                if stops_all(problem):
                    raise
                done.fail([job.title(index)], problem)
            else:
                done.pictures += 1
        return done
