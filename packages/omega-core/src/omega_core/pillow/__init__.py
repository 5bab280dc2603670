"""The format `.omega` in Pillow: importing this package registers it.

    import omega_core.pillow
    from PIL import Image

    Image.open("photo.png").save("photo.omega", bpp=0.5)
    picture = Image.open("photo.omega")

Pillow has no entry points for plugins: it supports only formats whose modules are imported.
"""

from omega_core.extras import require

require(__name__, "numpy", "PIL")

from omega_core.pillow.image_file import register as register  # noqa: E402 (needs the extra)
from omega_core.pillow.models import add_model as add_model  # noqa: E402 (needs the extra)

register()
