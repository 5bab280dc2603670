"""The components of omega-train."""

from omega_core import Component, hookimpl


@hookimpl
def omega_register_datasets() -> list[Component]:
    return [
        Component(
            name="mnist",
            target="omega_train.data.mnist:MnistDataset",
            summary="handwritten digits from IDX files, downloaded if missing",
        ),
        Component(
            name="glyphs",
            target="omega_train.data.glyphs:GlyphsDataset",
            summary="28×28 digits drawn under random affine maps: nothing to download",
        ),
        Component(
            name="folder",
            target="omega_train.data.folder:FolderDataset",
            summary="crops of all pictures of folders, scaled and mirrored at random",
        ),
        Component(
            name="shards",
            target="omega_train.data.shards:ShardsDataset",
            summary="crops of pictures in tar files, also at URLs (optional: omega-train[shards])",
        ),
    ]


@hookimpl
def omega_register_trainers() -> list[Component]:
    return [
        Component(
            name="lightning",
            target="omega_train.trainer:LightningTrainer",
            summary="PyTorch Lightning, on the CPU or on GPUs",
        ),
    ]


@hookimpl
def omega_register_codecs() -> list[Component]:
    return [
        Component(
            name="jpeg",
            target="omega_train.evaluation.codecs.pillow:JpegCodec",
            summary="JPEG of Pillow, progressive with optimized tables",
        ),
        Component(
            name="webp",
            target="omega_train.evaluation.codecs.pillow:WebpCodec",
            summary="WebP of Pillow, lossy",
        ),
        Component(
            name="avif",
            target="omega_train.evaluation.codecs.pillow:AvifCodec",
            summary="AVIF of Pillow, lossy",
        ),
        Component(
            name="jpeg2000",
            target="omega_train.evaluation.codecs.pillow:Jpeg2000Codec",
            summary="JPEG 2000 of Pillow, by compression ratios",
        ),
        Component(
            name="jxl",
            target="omega_train.evaluation.codecs.jxl:JxlCodec",
            summary="JPEG XL, lossy (optional: omega-train[jxl], GPL-3)",
        ),
        Component(
            name="heic",
            target="omega_train.evaluation.codecs.heic:HeicCodec",
            summary="HEVC still pictures (optional: omega-train[heic], whose wheel contains x265, a GPL-2 encoder)",
        ),
        Component(
            name="compressai",
            target="omega_train.evaluation.codecs.compressai:CompressaiCodec",
            summary="learned codecs of CompressAI's zoo (optional: compressai)",
        ),
    ]
