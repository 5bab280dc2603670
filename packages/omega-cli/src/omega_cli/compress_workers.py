"""The workers of `omega compress`, which encode pictures in this or another process."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from omega_cli.input_files import STANDARD_INPUT, standard_input
from omega_cli.jobs import Done
from omega_cli.options import LazyModel
from omega_cli.output_files import Existing, write_result
from omega_cli.output_names import Job
from omega_core.locations import Location, relative_path

if TYPE_CHECKING:
    from omega_core.codec.picture_encoder import PictureEncoder
    from omega_core.file_io import Source
    from omega_core.format.rate_control import Rate
    from omega_core.images.pictures import Picture

Sized: TypeAlias = "tuple[Job, Picture, int]"
"""A job, its picture, and the size of its source in bytes."""


@dataclass(frozen=True)
class CompressWorker:
    """Encodes pictures to files.

    screens: the model for screenshots if no model was named and this one is installed; see `ModelChoice`.
    """

    model: LazyModel
    screens: LazyModel | None
    coder: str | None
    rate: "Rate"
    effort: int
    drop_alpha: bool
    drop_icc: bool
    existing: Existing

    @property
    def imports(self) -> tuple[str, ...]:
        """See `Worker`."""
        return self.model.imports

    def read(self, source: "Source") -> "Picture":
        """Read a picture, without alpha or profile if they are to be dropped."""
        from omega_core.images.reading import read_picture

        picture = read_picture(source, max_pixels=self.model().max_pixels)
        return replace(
            picture,
            alpha=None if self.drop_alpha else picture.alpha,
            profile=b"" if self.drop_icc else picture.profile,
        )

    def __call__(self, job: Job) -> Done:
        """Encode one picture and write its file."""
        source = standard_input().read() if job.source == STANDARD_INPUT else job.source
        # read first, as the source may be deleted meanwhile
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        picture, name = self.read(source), str(job.source)
        file = self._encoder().encode_at_rate(picture, self.rate, coder=self.coder, effort=self.effort, name=name)
        data = file.to_bytes()
        write_result(job.target, data, self.existing)
        return Done(1, size, len(data), file.pixels)

    def _encoder(self) -> "PictureEncoder":
        from omega_core.codec.model_choice import ModelChoice

        return self.model() if self.screens is None else ModelChoice(self.model(), self.screens)


@dataclass(frozen=True)
class Group:
    """Pictures that are packed together: as many as fit into one block."""

    jobs: tuple[Job, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The sources, for messages and for the account of a run."""
        return tuple(str(job.source) for job in self.jobs)

    def parts(self) -> "list[Group]":
        """Groups of one picture each, if there are several pictures."""
        return [Group((job,)) for job in self.jobs] if len(self.jobs) > 1 else []


@dataclass(frozen=True)
class PackWorker:
    """Encodes pictures to blocks of a pack. `Done.made` has the blocks with the names of their pictures."""

    compressor: CompressWorker
    output: Location

    @property
    def imports(self) -> tuple[str, ...]:
        """See `Worker`."""
        return self.compressor.imports

    def __call__(self, group: Group) -> Done:
        """Encode a group: one block for each combination of mode and profile, or several if it is large."""
        from omega_core.format.limits import MAX_SHARED_PIXELS

        model, done = self.compressor.model(), Done(made=[])
        blocks: dict[tuple[str, bytes], list[Sized]] = {}
        for job in group.jobs:
            try:
                size = job.source.stat().st_size
                picture = self.compressor.read(job.source)
                model.file_codec.check(picture.pixels)
            except Exception as problem:
                done.fail(job.names, problem)
            else:
                blocks.setdefault((picture.mode, picture.profile), []).append((job, picture, size))
        for together in blocks.values():
            for part in _within(together, MAX_SHARED_PIXELS):
                self._encode(part, done)
        return done

    def _encode(self, part: "list[Sized]", done: Done) -> None:
        """Add a block of pictures to `made`, or one block for each picture if they cannot be encoded together."""
        model = self.compressor.model()
        exact = self.compressor.rate.whole_channels(model.channels)
        try:
            file = model.encode_together(
                [picture for _, picture, _ in part], channels=exact, coder=self.compressor.coder
            )
        except Exception as problem:
            if len(part) == 1:
                done.fail(part[0][0].names, problem)
            else:
                for one in part:
                    self._encode([one], done)
        else:
            done.made.append((file, tuple(name_in_pack(job, self.output) for job, _, _ in part)))
            done.add(Done(len(part), sum(size for _, _, size in part), 0, file.pixels))


def name_in_pack(job: Job, folder: Location) -> str:
    """The name of a picture in a pack. folder: the folder to which targets are relative."""
    return relative_path(job.target, folder).removesuffix(".omega")


def _within(together: "list[Sized]", most: int) -> "list[list[Sized]]":
    """Split pictures into parts of at most `most` pixels."""
    parts: list[list[Sized]] = []
    room = 0
    for sized in together:
        pixels = sized[1].pixels[0].size
        if pixels > room:
            parts.append([])
            room = most
        parts[-1].append(sized)
        room -= pixels
    return parts
