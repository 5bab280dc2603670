"""What an evaluation leaves in its folder. How the page looks and works is tested in tests/browser."""

import csv
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from omega_train.evaluation.measurements import Measurement
from omega_train.evaluation.report import write_report


def rows(codec: str, gain: float = 0.0) -> list[Measurement]:
    return [
        Measurement(image, codec, n, 100 * n, 90 * n, 0.8 * n, 0.9 * n, 1.0 * n, 20 + gain + 3 * n, 0.5, None)
        for image in ("a.png", "b.png")
        for n in (1, 2, 3, 4, 5)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pytest.importorskip("bjontegaard", reason="needs the extra evaluation")
    found = [*rows("mine"), *rows("jpeg", -2.0)]
    remarks = write_report(tmp_path, found, models=["mine"], made_with={"seed": 1}, rate="stream", title="A <title>")
    assert len(remarks) == 1
    assert "ms_ssim is left out" in remarks[0]
    assert "161 pixels" in remarks[0]
    return tmp_path


def test_tables_say_what_was_measured(folder: Path) -> None:
    with (folder / "summary.csv").open() as file:
        summary = list(csv.DictReader(file))
    assert [(row["codec"], row["setting"], row["images"]) for row in summary][:2] == [
        ("mine", "1", "2"),
        ("mine", "2", "2"),
    ]
    with (folder / "bd.csv").open() as file:
        found = list(csv.DictReader(file))
    mine = [row for row in found if row["codec"] == "mine" and row["metric"] == "psnr"]
    assert {row["method"] for row in mine} == {"pchip", "akima"}
    assert all(float(row["bd_rate"]) < 0 and float(row["bd_psnr"]) == pytest.approx(2, abs=0.01) for row in mine)
    assert all(0 < float(row["overlap"]) <= 100 and row["rate"] == "stream" for row in mine)
    assert json.loads((folder / "evaluation.json").read_text()) == {"seed": 1}


def test_plots_name_their_curves_and_axes(folder: Path) -> None:
    for name in ("psnr", "channels-mine"):
        assert (folder / "plots" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
        ElementTree.parse(folder / "plots" / f"{name}.svg")
    text = (folder / "plots" / "psnr.svg").read_text()
    assert all(f"<!-- {label} -->" in text for label in ("mine", "jpeg", "PSNR in dB", "bits per pixel of the stream"))
    assert not (folder / "plots" / "ms_ssim.svg").exists()
    assert not (folder / "plots" / "channels-jpeg.svg").exists()


def test_the_page_is_one_file_with_its_data_in_it(folder: Path) -> None:
    page = (folder / "report.html").read_text("utf-8")
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!data:|#)", page)
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    data = json.loads(re.search(r"const data = (.*);\n", page)[1])
    assert data["title"] == "A <title>"
    assert len(data["points"]) == 10
    assert len(data["differences"]) == 8


def test_long_names_leave_room_for_the_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra evaluation")
    from omega_train.evaluation.curves import Curve
    from omega_train.evaluation.plots import rate_distortion

    names = [f"{'a-long-way-down-' * 12}run-{number}" for number in range(2)]
    curves = [Curve(name, "psnr", (0.1, 0.2), (20.0 + n, 22.0 + n)) for n, name in enumerate(names)]
    rate_distortion(curves, tmp_path / "psnr", rate="file")  # a warning of matplotlib's would be an error
    drawn = (tmp_path / "psnr.svg").read_text("utf-8")
    assert all(f"down-run-{number}" in drawn for number in range(2))
    assert names[0] not in drawn


def test_plots_leave_the_settings_of_matplotlib_as_they_are(tmp_path: Path) -> None:
    """In a notebook, plots of the user's would otherwise no longer be shown, nor their formulas."""
    matplotlib = pytest.importorskip("matplotlib", reason="needs the extra evaluation")
    from omega_train.evaluation.curves import Curve
    from omega_train.evaluation.plots import rate_distortion

    rate_distortion([Curve("a $name", "psnr", (0.1, 0.2), (20.0, 22.0))], tmp_path / "psnr", rate="file")
    for setting in ("text.parse_math", "svg.hashsalt"):
        assert matplotlib.rcParams[setting] == matplotlib.rcParamsDefault[setting]
    assert "a $name" in (tmp_path / "psnr.svg").read_text("utf-8")
