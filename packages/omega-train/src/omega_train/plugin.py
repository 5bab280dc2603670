"""The components of omega-train."""

from omega_core import Component, hookimpl


@hookimpl
def omega_register_datasets() -> list[Component]:
    return [
        Component(
            name="mnist",
            target="omega_train.data.mnist:MnistDataset",
            summary="handwritten digits from IDX files, downloaded where absent",
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
