"""What `omega compress` does with pictures, in whichever process."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from omega_cli.input_files import STANDARD_INPUT, Job, standard_input
from omega_cli.options import ModelOnce
from omega_cli.output_files import Existing, write_output
from omega_cli.worker_pool import Done
from omega_core.errors import OmegaError

if TYPE_CHECKING:
    from omega_core.file_io import Source
    from omega_core.format.rate_control import Rate
    from omega_core.images.pictures import Picture


@dataclass(frozen=True)
class Compressing:
    """Turns pictures into files."""

    model: ModelOnce
    coder: str | None
    rate: "Rate"
    drop_alpha: bool
    drop_icc: bool
    existing: Existing

    def start(self) -> None:
        """Load the model."""
        self.model()

    def read(self, source: "Source") -> "Picture":
        """A picture, without what is to be dropped."""
        from omega_core.images.reading import read_picture

        picture = read_picture(source, max_pixels=self.model().max_pixels)
        return replace(
            picture,
            alpha=None if self.drop_alpha else picture.alpha,
            profile=b"" if self.drop_icc else picture.profile,
        )

    def __call__(self, job: Job) -> Done:
        """Make one file of one picture."""
        source = standard_input().read() if job.source == STANDARD_INPUT else job.source
        file = self.model().encode_at_rate(self.read(source), self.rate, coder=self.coder, name=str(job.source))
        data = file.to_bytes()
        write_output(job.target, data, self.existing)
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        return Done(1, size, len(data), file.pixels)


@dataclass(frozen=True)
class Group:
    """Pictures to go into a pack together: as many as one block has, in all their channels."""

    jobs: tuple[Job, ...]

    @property
    def source(self) -> str:
        """For what is wrong with all of them."""
        return f"{self.jobs[0].source} and what is packed with it"


@dataclass(frozen=True)
class Packing:
    """Turns pictures into blocks of a pack, which are `made`, with the names of their pictures."""

    compressing: Compressing
    output: Path

    def start(self) -> None:
        """Load the model."""
        self.compressing.start()

    def __call__(self, group: Group) -> Done:
        """Make one block or, of pictures of different modes and profiles, several."""
        from omega_core.format.limits import MAX_SHARED_PIXELS
        from omega_core.format.packs import is_name

        model, done = self.compressing.model(), Done(made=[])
        blocks: dict[tuple[str, bytes], list[tuple[Job, Picture]]] = {}
        for job in group.jobs:
            name = self._name(job)
            if not is_name(name):
                done.problems.append(f"{job.source}: {name!r} cannot be a name in a pack; rename it.")
                continue
            try:
                picture = self.compressing.read(job.source)
                model.files.check(picture.pixels)
            except OmegaError as problem:
                done.problems.append(f"{job.source}: {problem}")
            else:
                blocks.setdefault((picture.mode, picture.profile), []).append((job, picture))
        exact = self.compressing.rate.whole_channels(model.channels)
        for together in blocks.values():
            for part in _within(together, MAX_SHARED_PIXELS):
                try:
                    file = model.encode_together(
                        [each for _, each in part], channels=exact, coder=self.compressing.coder
                    )
                except OmegaError as problem:
                    done.problems += [f"{job.source}: {problem}" for job, _ in part]
                    continue
                done.made.append((file, tuple(self._name(job) for job, _ in part)))
                done.add(Done(len(part), sum(job.source.stat().st_size for job, _ in part), 0, file.pixels))
        return done

    def _name(self, job: Job) -> str:
        return job.target.relative_to(self.output).with_suffix("").as_posix()


def _within(together: "list[tuple[Job, Picture]]", most: int) -> "list[list[tuple[Job, Picture]]]":
    """Pictures in parts of limited size."""
    parts: list[list[tuple[Job, Picture]]] = []
    room = 0
    for job, picture in together:
        pixels = picture.size[0] * picture.size[1]
        if pixels > room:
            parts.append([])
            room = most
        parts[-1].append((job, picture))
        room -= pixels
    return parts
