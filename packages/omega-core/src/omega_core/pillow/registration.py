"""Registration of the format with Pillow."""

from PIL import Image

from omega_core.pillow.image_file import FORMAT, OmegaImageFile, accept
from omega_core.pillow.saving import save


def register() -> None:
    """Register the format with Pillow: its name OMEGA, its suffix and its MIME type. Doing it again changes nothing."""
    Image.register_open(FORMAT, OmegaImageFile, accept)
    Image.register_save(FORMAT, save)
    Image.register_extension(FORMAT, ".omega")
    Image.register_mime(FORMAT, "image/x-omega")
