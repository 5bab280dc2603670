"""The jobs and workers of `omega evaluate`, which measure pictures with models and baseline codecs."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omega_cli.jobs import Done
from omega_cli.options import LazyCodec, LazyModel
from omega_core.locations import Location
from omega_core.names import as_text

if TYPE_CHECKING:
    from omega_core.images.pictures import Pixels
    from omega_train.evaluation.gallery import Coded


@dataclass(frozen=True)
class Measuring:
    """A picture to measure.

    source: the file of the picture.
    relative: the path of the picture in the folder of pictures.
    target: the CSV file for the measurements.
    shown: whether the gallery of the report shows the picture.
    """

    source: Location
    relative: Path
    target: Path
    shown: bool

    @property
    def names(self) -> tuple[str]:
        """The name of the picture, for messages."""
        return (str(self.source),)

    @property
    def image(self) -> str:
        """The name of the picture in tables."""
        return as_text(self.relative)

    @property
    def page(self) -> Path:
        """The JSON file with the data of the picture for the gallery."""
        return self.target.with_suffix(".json")

    @property
    def done(self) -> bool:
        """Whether all files of the job exist."""
        return self.target.exists() and (self.page.exists() or not self.shown)

    @property
    def failed(self) -> Path:
        """An empty file that marks a failed measurement, so that other processes do not wait for it."""
        return self.target.with_suffix(".failed")


@dataclass
class EvaluateWorker:
    """Measures pictures with all models and baseline codecs, as a worker of `carry_out`.

    models: models by name, each with the coder of its files; None is the coder of the model.
    against: baseline codecs by name.
    channels: the numbers of channels to measure; `Model.channel_counts` if empty.
    effort: encoding effort of the models, with a file for each number of channels; 0 measures prefixes of one file.
    metrics: the metrics to measure.
    max_pixels: the largest number of pixels of a picture.
    pictures: the folder for originals and reconstructions, or None to write none.
    cache: whether measurements of `against` are read from the cache if pixels are not needed. They are always stored.

    A picture fails for all codecs if one of them cannot code it, so that all means are over the same pictures.
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
        """Write the measurements of a picture. `Done.made` is the number of codecs whose measurements were cached.

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
        """Yield the decoded pictures and measurements of each model."""
        from omega_train.evaluation.gallery import Coded
        from omega_train.evaluation.measurements import measure, through_model

        for name, (model, coder) in self.models.items():
            decoded = list(through_model(model(), pixels, self.channels, coder=coder, effort=self.effort))
            yield Coded(name, decoded, measure(name, image, pixels, decoded, self.metrics))

    def _through_codecs(self, image: str, pixels: "Pixels", needed: bool) -> "Iterator[Coded]":
        """Yield the decoded pictures and measurements of each baseline codec.

        needed: whether decoded pictures are needed; otherwise, they are left out for cached measurements.
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
