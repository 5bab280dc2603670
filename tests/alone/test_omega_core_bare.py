"""omega-core without its extra torch."""

import json
import subprocess
import sys
from importlib import import_module
from importlib.metadata import distributions
from pathlib import Path

import pytest

import omega_core
from omega_core.errors import MissingExtraError
from omega_core.format.file import OmegaFile
from omega_core.format.streaming import StreamingFile
from omega_core.plugins.registry import registry

FILE = Path("golden/4-channels.omega")
PACK = Path("golden/any-size/pack.omega")
FILES = [*Path("golden").rglob("*.omega")]
NEED_A_MODEL = (
    *(
        "ImageCodec",
        "Model",
        "ModelChoice",
        "Picture",
        "ProgressiveDecoder",
        "compress",
        "decode_progressively",
        "decompress",
    ),
    *("decompress_picture", "export_onnx", "load_codec", "load_model", "save_model"),
)


def test_it_brings_none_of_the_extra() -> None:
    installed = {distribution.name for distribution in distributions()}
    assert not installed & {"torch", "numpy", "pillow", "safetensors"}
    assert {"omega-core", "pluggy", "packaging"} <= installed


def test_its_dependencies_and_itself_take_less_than_10_megabytes() -> None:
    parts = [import_module(name).__file__ for name in ("omega_core", "pluggy", "packaging")]
    files = [path for part in parts for path in Path(str(part)).parent.rglob("*.py")]
    assert sum(path.stat().st_size for path in files) < 10e6


def test_a_file_is_shortened_to_the_one_of_a_lower_rate() -> None:
    shorter = Path("golden/2-channels.omega").read_bytes()
    assert omega_core.truncate(FILE.read_bytes(), max_bytes=len(shorter)) == shorter


def test_a_file_is_shortened_by_its_path_and_a_url_needs_an_extra() -> None:
    shorter = omega_core.truncate(FILE.read_bytes(), max_bytes=18)
    assert (
        omega_core.truncate(FILE, max_bytes=18) == omega_core.truncate(FILE.resolve().as_uri(), max_bytes=18) == shorter
    )
    with pytest.raises(MissingExtraError, match=r"s3:// needs fsspec, .* install omega-core with its extra fsspec"):
        omega_core.truncate("s3://bucket/a.omega", max_bytes=18)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_files_and_packs_are_described_and_shortened_to_bytes(path: Path) -> None:
    data = path.read_bytes()
    whole = omega_core.describe(data)
    assert json.loads(json.dumps(whole)) == whole
    assert whole["kind"] == ("pack" if path == PACK else "file")
    assert whole["bytes"] == len(data)
    shorter = omega_core.truncate(data, max_bytes=len(data) - 1)
    assert len(shorter) < len(data)
    about = omega_core.describe(shorter)
    assert about["stream_bytes"] < whole["stream_bytes"]
    assert not about["complete"]
    for name in ("kind", "mode", "model", "coder"):
        assert about[name] == whole[name]


def test_a_file_that_arrives_has_the_first_bytes_of_its_stream() -> None:
    stream = OmegaFile.parse(FILE.read_bytes()).stream
    with FILE.open("rb") as file:
        arriving = StreamingFile(file)
        assert arriving.header.length == len(stream) > 1
        for length in range(len(stream) + 1):
            assert arriving.up_to(length) == stream[:length]


def test_shortening_a_file_imports_nothing_but_the_format() -> None:
    program = (
        f"import sys, omega_core; omega_core.truncate(open({str(FILE)!r}, 'rb').read(), max_bytes=18);"
        "print(*(name for name in sys.modules if name.startswith(('omega_core.', 'pluggy', 'importlib.metadata'))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert {name for name in imported if not name.startswith("omega_core.format")} == {
        "omega_core.errors",
        "omega_core.lazy",
    }


def test_components_are_listed_and_found_by_name() -> None:
    assert registry().find("architecture", "mnist").qualified_name == "omega-core/mnist"
    assert {plugin.error for plugin in registry().plugins} == {""}


@pytest.mark.parametrize("name", sorted({*omega_core.__all__} - {*NEED_A_MODEL}))
def test_public_names_that_need_no_model_can_be_imported(name: str) -> None:
    assert getattr(omega_core, name) is not None


@pytest.mark.parametrize("name", NEED_A_MODEL)
def test_what_needs_a_model_names_the_extra(name: str) -> None:
    with pytest.raises(MissingExtraError, match="install omega-core with its extra torch"):
        getattr(omega_core, name)


@pytest.mark.parametrize(
    ("module", "missing"),
    [
        ("omega_core.architectures.mnist", "numpy, pillow, safetensors, torch, which are not"),
        ("omega_core.codec.model_file", "numpy, pillow, which are not"),
        ("omega_core.coders.range", "numpy, which is not"),
        ("omega_core.coding.tables", "numpy, which is not"),
        ("omega_core.contracts", "numpy, which is not"),
        ("omega_core.images.pictures", "numpy, pillow, which are not"),
        ("omega_core.pillow", "numpy, pillow, which are not"),
        ("omega_core.testing", "numpy, pillow, safetensors, torch, which are not"),
    ],
)
def test_packages_that_need_an_extra_name_it(module: str, missing: str) -> None:
    with pytest.raises(MissingExtraError, match=f"needs {missing} installed: install omega-core with its extra"):
        import_module(module)


def test_a_component_that_needs_the_extra_names_it() -> None:
    with pytest.raises(MissingExtraError, match=r"omega_core\.architectures needs"):
        omega_core.resolve("architecture", "mnist")
