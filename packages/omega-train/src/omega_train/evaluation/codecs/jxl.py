"""JPEG XL with libjxl, by the optional package pillow-jxl-plugin.

libjxl is licensed under BSD, pillow-jxl-plugin under the GPL, version 3.
"""

from importlib.metadata import version

from omega_train.evaluation.codecs.options import check_range, library
from omega_train.evaluation.codecs.pillow import PillowCodec


class JxlCodec(PillowCodec):
    """JPEG XL, lossy, without the container.

    effort: from 1 (fast) to 9 (small files).
    """

    name, format = "jxl", "JXL"
    settings = (5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95)

    def __init__(self, *, effort: int = 7) -> None:
        check_range(self.name, "effort", effort, 1, 9)
        library("pillow_jxl", f"codec {self.name}", "omega-train[jxl]")  # this adds the format to Pillow
        super().__init__(effort=effort)

    def library(self) -> str:
        return f"libjxl of pillow-jxl-plugin {version('pillow-jxl-plugin')}"
