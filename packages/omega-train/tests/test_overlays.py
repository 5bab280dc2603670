"""Published points, from files as their authors publish them."""

import json
from pathlib import Path

import pytest

from omega_core.errors import OmegaError
from omega_train.evaluation.curves import curves, difference
from omega_train.evaluation.overlays import read_overlay

ANCHORS = Path(__file__).parents[4] / "shared" / "anchors" / "mnist_omega_published.csv"
RESULTS = {
    "bpp": [0.1, 0.2, 0.4, 0.8],
    "psnr-rgb": [27.0, 29.5, 32.0, 35.0],
    "ms-ssim-rgb": [0.9, 0.94, 0.97, 0.99],
    "encoding_time": [1.0, 1.0, 1.0, 1.0],
}


def written(folder: Path, content: object, name: str = "published.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_columns_that_differ_tell_published_curves_apart(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_text("lambda,split,channels,psnr_db,bpp_real\n.9,test,1,12,.1\n.9,test,2,14,.2\n.8,test,1,11,.05\n")
    points = read_overlay(path)
    assert [(p.codec, p.setting, p.stream_bpp, p.psnr) for p in points] == [
        ("lambda .9", 1, 0.1, 12),
        ("lambda .9", 2, 0.2, 14),
        ("lambda .8", 1, 0.05, 11),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n1,2\n",
        "bpp,psnr\nmuch,1\n",
        "bpp\n1\n",
        "bpp,psnr,quality\n1,30,inf\n",
        "bpp,psnr\n0,30\n",
        "bpp,psnr\n-.1,30\n",
        "bpp,psnr\n.1,1e300\n",
        "bpp,psnr\n.1,-1e308\n",
        "[" * 100_000,
    ],
)
def test_what_is_no_published_curve_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "published.csv"
    path.write_text(text)
    with pytest.raises(OmegaError, match=r"published\.csv"):
        read_overlay(path)


@pytest.mark.skipif(not ANCHORS.exists(), reason="the published curves are not beside the checkout")
def test_the_published_curves_of_mnist_are_read() -> None:
    points = read_overlay(ANCHORS)
    assert len({point.codec for point in points}) == 12
    best = max(p.psnr for p in points if "channels_min 0" in p.codec and "lambda_min 0.95" in p.codec)
    assert best > 23


def test_a_table_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_text("bpp,psnr_db\n0.5,30\n", "utf-8")
    plain = read_overlay(path)
    path.write_text("bpp,psnr_db\n0.5,30\n", "utf-8-sig")
    assert read_overlay(path) == plain


def test_results_of_compressai_are_read(tmp_path: Path) -> None:
    whole = {"name": "bmshj2018-factorized", "description": "Inference (ans)", "results": RESULTS}
    points = read_overlay(written(tmp_path, whole))
    assert [(p.codec, p.bpp, p.psnr, p.ms_ssim) for p in points] == [
        ("bmshj2018-factorized", 0.1, 27.0, 0.9),
        ("bmshj2018-factorized", 0.2, 29.5, 0.94),
        ("bmshj2018-factorized", 0.4, 32.0, 0.97),
        ("bmshj2018-factorized", 0.8, 35.0, 0.99),
    ]
    older = {"name": "WebP", "results": {"psnr": [30.0], "ms-ssim": [0.9], "bpp": [0.2]}}
    assert [(p.codec, p.psnr, p.ms_ssim) for p in read_overlay(written(tmp_path, older))] == [("WebP", 30.0, 0.9)]


def test_json_of_other_forms_is_read(tmp_path: Path) -> None:
    rows = [{"codec": "a", "bpp": 0.1, "psnr": 27}, {"codec": "b", "bpp": 0.2, "psnr": 29}]
    assert [(p.codec, p.bpp) for p in read_overlay(written(tmp_path, rows))] == [("a", 0.1), ("b", 0.2)]
    assert [p.codec for p in read_overlay(written(tmp_path, RESULTS))] == ["published"] * 4


def test_rows_below_comments_have_the_metric_that_these_name(tmp_path: Path) -> None:
    text = "# Aggregate data for X on kodak.\n# The second column contains {} values.\n\n0.1, 27.5\n0.2, 29.5\n"
    found = read_overlay(written(tmp_path, text.format("PSNR/sRGB/R'G'B'"), "x-psnr.csv"))
    assert [(p.codec, p.bpp, p.psnr, p.ms_ssim) for p in found] == [
        ("x-psnr", 0.1, 27.5, None),
        ("x-psnr", 0.2, 29.5, None),
    ]
    text = text.replace("27.5", "0.9").replace("29.5", "0.95")
    found = read_overlay(written(tmp_path, text.format("MS-SSIM/sRGB/R'G'B'"), "x-ms-ssim.csv"))
    assert [p.ms_ssim for p in found] == [0.9, 0.95]


def test_a_point_without_the_name_that_others_have_is_an_error(tmp_path: Path) -> None:
    rows = [{"codec": "a", "bpp": 1, "psnr": 30}, {"bpp": 2, "psnr": 31}]
    with pytest.raises(OmegaError, match=r"published\.json cannot be read .* a point has no codec"):
        read_overlay(written(tmp_path, rows))


def test_similarities_in_decibels_are_converted(tmp_path: Path) -> None:
    [point] = read_overlay(written(tmp_path, "bpp,ms-ssim\n0.1,20\n", "a.csv"))
    assert point.ms_ssim == pytest.approx(0.99)


@pytest.mark.parametrize(
    "text", ["[1, 2]", "[]", '{"results": {"bpp": [1, 2], "psnr": [3]}}', '{"bpp": 1}', '{"a": [1]}']
)
def test_other_json_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(OmegaError, match=r"published\.json"):
        read_overlay(written(tmp_path, text))


def test_a_published_file_gives_its_published_difference(tmp_path: Path) -> None:
    """A codec with 10 % more bits at each quality has a BD-rate of 10 %."""
    pytest.importorskip("bjontegaard", reason="needs the extra evaluation")
    more = {**RESULTS, "bpp": [1.1 * rate for rate in RESULTS["bpp"]]}
    anchor, other = (
        curves(read_overlay(written(tmp_path, {"name": name, "results": results})), "psnr")[0]
        for name, results in (("anchor", RESULTS), ("other", more))
    )
    assert difference(other, anchor, "file", "pchip").bd_rate == pytest.approx(10, abs=1e-6)
