"""`omega decompress`: `.omega` files to pictures."""

from collections import Counter
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from omega_cli.account import Account
from omega_cli.executors.cluster import Executor, cluster_of
from omega_cli.failures import reason_of, stops_all
from omega_cli.input_files import STANDARD_INPUT, Found, Input, find_files, input_place, opened_input
from omega_cli.jobs import Done
from omega_cli.logs import show
from omega_cli.messages import many
from omega_cli.options import (
    Device,
    ExecutorAddress,
    ExecutorName,
    LazyModel,
    MaxMemory,
    MaxPixels,
    ModelOption,
    Overwrite,
    Quiet,
    SkipExisting,
    Verbose,
    Workers,
)
from omega_cli.output_files import STANDARD_OUTPUT, Existing, Output, output_option, write_output, write_result
from omega_cli.output_names import candidates, check_folder, distinct, is_one_of
from omega_cli.worker_pool import carry_out, process_count
from omega_core.errors import OmegaError, OutputError
from omega_core.names import marked, portable
from omega_core.places import Place, place_of, relative_path
from omega_core.processes import share

if TYPE_CHECKING:
    from omega_core.format.packs import Block


def decompress(
    inputs: Annotated[
        list[Input],
        typer.Argument(
            parser=input_place,
            metavar="INPUT...",
            help=".omega files or folders, or their URLs, or - for standard input.",
        ),
    ],
    output: Annotated[
        Output,
        output_option(
            "The folder for the pictures, as PNG, or its URL; for one picture also FILE.png, or - for standard output."
        ),
    ],
    model: ModelOption = None,
    partial: Annotated[bool, typer.Option("--partial", help="Decode what is there of files that break off.")] = False,
    preview: Annotated[
        Input | None,
        typer.Option(parser=place_of, metavar="PATH", help="A folder for pictures as a file arrives."),
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Of packs, only pictures with matching names, such as 'a/*'.")
    ] = None,
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
    """Decompress .omega files to PNG pictures.

    Several processes that torchrun or srun started share the files.
    """
    show(quiet=quiet, verbose=verbose)
    existing = Existing.of(overwrite, skip_existing)
    streams = STANDARD_INPUT in inputs or output.is_standard_output or preview is not None
    cluster = cluster_of(executor, executor_address, workers, [*inputs, output.path], streams=streams)
    quiet = quiet or output.is_standard_output
    account = Account()
    files = find_files(inputs, lambda path: path.suffix.lower() == ".omega", account)
    if preview is not None and partial:
        raise OmegaError("--preview decodes what is there anyway; use it without --partial.")
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
    wanted = []
    for job in share(jobs):
        left = {p: t for p, t in job.targets.items() if not existing.accounted(t, job.title(p), account)}
        if left:
            wanted.append(replace(job, targets=left))
    processes = 1 if preview is not None or STANDARD_INPUT in inputs else process_count(workers, len(wanted))
    worker = DecompressWorker(models, partial, preview, folder, existing)
    for done in carry_out(worker, wanted, processes, "file", quiet=quiet, cluster=cluster):
        account.add(done)
    account.close(quiet=quiet, where=f" in {output.path}")


@dataclass(frozen=True)
class Unpacking:
    """Pictures to read from a file, or from one block of a pack.

    source: the file or pack.
    block: where the block is in the pack; None for a file.
    targets: the file to write for each picture, by its place in the block; 0 for the picture of a file.
    """

    source: Place
    block: "Block | None"
    targets: dict[int, Place]

    @property
    def names(self) -> tuple[str, ...]:
        """The pictures, for messages and for the account of a run."""
        return tuple(map(self.title, self.targets))

    def title(self, place: int) -> str:
        """The name of one of the pictures."""
        return f"{self.source}: {self.block.names[place]}" if self.block else str(self.source)


def _jobs(files: list[Found], output: Place, only: str | None, account: Account) -> list[Unpacking]:
    """A job for each file, or for each block if a file is a pack, whose pictures go to a folder with its name.

    Names in a pack are escaped as far as a system would not allow them, or take them for something else.
    """
    jobs, unreadable = list[Unpacking](), set[Found]()
    pictures = list[tuple[Found, Unpacking, int, list[str]]]()  # with the place in the job, and the possible names
    for file in files:
        blocks = list["Block"]()
        try:
            blocks = _blocks(file.source)
        except Exception as problem:
            account.fail(file.source, reason_of(problem))
            unreadable.add(file)  # its names stay taken: those of others do not depend on what can be read
        for block in blocks or (None,):
            jobs.append(job := Unpacking(file.source, block, {}))
            if block is None:
                pictures.append((file, job, 0, candidates(file.relative, ".png")))
            else:
                pictures += [(file, job, i, _candidates_in_pack(file, name)) for i, name in enumerate(block.names)]
    inputs, matching = {file.identity for file in files}, Counter[Found]()
    for (file, job, place, _), name in zip(pictures, distinct([names for *_, names in pictures]), strict=True):
        if file in unreadable:
            continue
        if job.block is not None and only is not None and not fnmatchcase(job.block.names[place], only):
            continue
        matching[file] += 1
        if name is None:
            account.fail(job.title(place), "another input would become the same file; take it alone.")
        elif is_one_of(output / name, inputs):
            message = f"it would replace {output / name}, which is to be read; name another folder."
            account.fail(job.title(place), message)
        else:
            job.targets[place] = output / name
    for file in files:
        if file not in unreadable and not matching[file]:
            count = sum(of == file for of, *_ in pictures)
            account.fail(file.source, f"none of its {many(count, 'picture')} has a name that matches {only!r}.")
    return [job for job in jobs if job.targets]


def _to_one_file(jobs: list[Unpacking], target: Place) -> list[Unpacking]:
    """The only picture of the jobs with another target. Raises OutputError if there are several."""
    if sum(len(job.targets) for job in jobs) > 1:
        raise OutputError(
            f"{target} is one file; name a folder for several pictures, or choose one of a pack by --only."
        )
    return [replace(job, targets=dict.fromkeys(job.targets, target)) for job in jobs]


def _blocks(path: Place) -> "list[Block]":
    """The blocks of a pack; none of another file. Raises OmegaError if the file cannot be read."""
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
    """The possible paths of a picture of a pack, the best first: see `candidates`."""
    stem, whole = pack.relative.stem, pack.relative.name
    folder = pack.relative.as_posix().removesuffix(whole)
    best = f"{folder}{whole if stem in ('.', '..') else stem}/"  # `...omega` must not lead to the folder above
    inside = portable(name)
    return [f"{best}{inside}.png", f"{folder}{whole}/{inside}.png", f"{best}{marked(inside, name)}.png"]


@dataclass(frozen=True)
class DecompressWorker:
    """Decompresses files, as a worker of `carry_out`.

    model: the model for all files, or the models that the files name.
    partial: whether to decode what is there of files that break off.
    preview: a folder for pictures of growing parts of the file, if previews are wanted.
    output: the folder of the pictures.
    existing: what is done with pictures that exist.
    """

    model: LazyModel
    partial: bool
    preview: Place | None
    output: Place
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
                    raise OmegaError("a pack cannot be read from standard input; name its file.")
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
        for place, target in job.targets.items():
            try:
                write_result(target, png(pictures[place]), self.existing)
            except Exception as problem:
                if stops_all(problem):
                    raise
                done.fail([job.title(place)], problem)
            else:
                done.pictures += 1
        return done
