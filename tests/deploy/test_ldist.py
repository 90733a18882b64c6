"""The function's zip: what is in it, that it is the same each time, and that it works by itself."""

import json
import marshal
import os
import re
import shutil
import struct
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.build import Built, build, pyc_name
from deploy.bytecode import find_compiler
from deploy.contents import IN_THE_RUNTIME, OUR_PACKAGES, wheel_entries
from deploy.elf import needed_glibc, strip
from deploy.errors import Unbuildable
from deploy.settings_file import holds_credentials, read_settings_file
from deploy.target import PYTHONS, Target, find_target
from deploy.wheels import REQUIREMENTS, select_pins
from indexer.errors import InvalidValue
from pypi_lambda.settings import load_environ, read_settings

ROOT = Path(__file__).parents[2]
HERE = Target(python=f"{sys.version_info[0]}.{sys.version_info[1]}")
BAKED = {"BUCKET": "baked", "LOGGING_LEVEL": "ERROR"}

# Runs with the zip and the standard library alone, as in the function, and goes where the function goes late.
ISOLATED = """
import importlib, json, pathlib, sys
root = sys.argv[1]
sys.path.insert(0, root)
for package in "indexer", "pypi_lambda":
    for path in sorted(pathlib.Path(root, package).rglob("*.py")):
        if path.stem != "handler":  # its import is the function's init, which needs a store
            importlib.import_module(".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"))
import indexer.zstd, multipart, requests
from passlib.hash import pbkdf2_sha512
from pypi_simple.html import RepositoryPage
from pypi_lambda.settings import load_environ, read_settings
hashed = pbkdf2_sha512.using(rounds=1).hash("secret")
print(json.dumps({
    "verified": pbkdf2_sha512.verify("secret", hashed),
    "links": [link.text for link in RepositoryPage.from_html("<a href='six-1.0.tar.gz'>six</a>").links],
    "zstd": indexer.zstd.ZstdFault.__module__.partition(".")[0],
    "bucket": read_settings(load_environ({"LOGGING_LEVEL": "DEBUG", "BUCKET": ""})).bucket,
    "level": read_settings(load_environ({"LOGGING_LEVEL": "DEBUG", "BUCKET": ""})).logging_level,
    "strangers": sorted({
        name.partition(".")[0] for name, module in list(sys.modules.items())
        if "-packages" in (getattr(module, "__file__", None) or "")
    }),
    "sourceless": sorted(
        name for name in sys.modules if name.startswith(("indexer.", "pypi_lambda."))
        and pathlib.Path(sys.modules[name].__spec__.cached or "").parent.name != "__pycache__"
    ),
}))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, so that a source changed meanwhile by its author is no failure."""
    root = tmp_path_factory.mktemp("sources")
    for folder in OUR_PACKAGES:
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, root / file)
    return root


@pytest.fixture(scope="module")
def built(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build_here(root, tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def names(built: Built) -> list[str]:
    with zipfile.ZipFile(built.path) as archive:
        return archive.namelist()


def build_here(root: Path, output: Path) -> Built:
    return build(root, output, version="1.2", target=HERE, environ=os.environ, settings=BAKED)


def setup_py(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "setup.py", "--quiet", "ldist", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


def test_the_same_sources_make_the_same_bytes(root: Path, built: Built, tmp_path: Path) -> None:
    """Building twice gives the same zip, byte for byte."""
    again = build_here(root, tmp_path)
    assert (again.sha256, again.contents_sha256) == (built.sha256, built.contents_sha256)
    assert again.path.read_bytes() == built.path.read_bytes()
    assert again.path.name == "serverless-pypi-1.2-x86_64.zip"


def test_the_zip_has_what_the_function_loads_and_no_more(names: list[str]) -> None:
    """Its top level is our packages and what they import; boto3, metadata, the laptop's dependencies are not there."""
    assert sorted({name.partition("/")[0] for name in names}) == [
        *("__pycache__", "annotated_types", "attr", "attrs", "bs4", "certifi", "charset_normalizer", "comrak"),
        *("docutils", "idna", "indexer", "mailbits", "markupsafe", "msgpack", "multipart.py", "nh3"),
        *("obstore", "orjson", "packaging", "passlib", "pydantic", "pydantic_core", "pypi_lambda", "pypi_simple"),
        *("rbloom", "readme_renderer", "requests", "soupsieve", "typing_extensions.py", "typing_inspection", "urllib3"),
        *(["zstandard"] if HERE.minor < 15 else []),  # the standard library's is enough from there on
    ]


@pytest.mark.parametrize(
    "unwanted",
    [
        r"\.pyi$",
        r"py\.typed$",
        r"\.(c|h|pyx|pxd|md)$",
        r"(^|/)tests?/",
        r"\.dist-info/",
        r"\.data/",
        r"_?cffi",
        r"^boto|^s3transfer|^jmespath|^granian|^click|^tqdm|^deploy/|^setuptools|^pip/",
        r"^pypi_lambda/(__pycache__/)?(cli/|server\.|wsgi\.|progress\.)",
        r"^pydantic/v1/",
    ],
)
def test_nothing_unwanted_is_in_the_zip(names: list[str], unwanted: str) -> None:
    """Type stubs, tests, metadata, the cffi backend, the runtime's packages and the local server stay out."""
    assert [name for name in names if re.search(unwanted, name)] == []


def test_names_are_sorted_and_times_and_permissions_constant(built: Built) -> None:
    """Every entry is compressed, from 1980, 644, and 755 where it is a shared object."""
    with zipfile.ZipFile(built.path) as archive:
        infos = archive.infolist()
    assert [info.filename for info in infos] == sorted({info.filename for info in infos})
    assert {(info.date_time, info.compress_type, info.create_system) for info in infos} == {
        ((1980, 1, 1, 0, 0, 0), zipfile.ZIP_DEFLATED, 3)
    }
    assert {(Path(info.filename).suffix == ".so", info.external_attr >> 16) for info in infos} == {
        (True, 0o100755),
        (False, 0o100644),
    }


def test_the_zip_is_small(built: Built) -> None:
    """It has 16 MB at most, of the 50 MB that Lambda takes; it grows a little with each Python's bytecode."""
    assert built.size < 16_000_000


def test_every_module_is_compiled_for_the_target(built: Built, names: list[str]) -> None:
    """Beside each source lies bytecode that the interpreter takes without looking at the source (PEP 552)."""
    sources = [name for name in names if name.endswith(".py")]
    assert sorted(pyc_name(name, HERE) for name in sources) == [name for name in names if name.endswith(".pyc")]
    with zipfile.ZipFile(built.path) as archive:
        headers = {archive.read(name)[:8] for name in names if name.endswith(".pyc")}
    unchecked_hash = 0b01
    (header,) = headers
    assert struct.unpack("<4sI", header)[1] == unchecked_hash


def test_tracebacks_name_the_place_where_lambda_unpacks(built: Built) -> None:
    """A code object's file is below /var/task, so that no path of the machine that built it is in the zip."""
    with zipfile.ZipFile(built.path) as archive:
        code = marshal.loads(archive.read(pyc_name("indexer/names.py", HERE))[16:])
    assert code.co_filename == "/var/task/indexer/names.py"


def test_the_unpacked_zip_works_by_itself(built: Built, tmp_path: Path) -> None:
    """With the standard library alone everything imports; baked settings apply, and the environment wins over them."""
    with zipfile.ZipFile(built.path) as archive:
        archive.extractall(tmp_path)
    command = [sys.executable, "-I", "-S", "-B", "-W", "error", "-c", ISOLATED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "verified": True,
        "links": ["six"],
        "zstd": "zstandard" if HERE.minor < 15 else "compression",
        "bucket": "baked",
        "level": "DEBUG",
        "strangers": [],
        "sourceless": [],
    }


@pytest.mark.parametrize("python", ["3.14", "3.15"])
def test_another_machine_s_zip_is_built_here(tmp_path: Path, python: str) -> None:
    """For arm64 and another Python every shared object is that machine's; what was built and its size are printed."""
    done = setup_py("--python", python, "--arch", "arm64", "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.iterdir()
    assert re.fullmatch(r"serverless-pypi-[0-9.]+-arm64\.zip", path.name)
    with zipfile.ZipFile(path) as archive:
        objects = {name: archive.read(name)[18:20] for name in archive.namelist() if name.endswith(".so")}
        compiled = any(name.endswith(f".cpython-3{python[2:]}.pyc") for name in archive.namelist())
    aarch64 = struct.pack("<H", 183)
    assert set(objects.values()) == {aarch64}
    assert find_target(objects) == Target(python=python, architecture="arm64")
    assert any(name.startswith("zstandard/") for name in objects) is (python == "3.14")
    assert f"{path.stat().st_size:,}" in done.stdout
    assert re.search(r"^obstore [0-9.]+ +\d+ +[0-9,]+ +[0-9,]+$", done.stdout, re.MULTILINE)
    assert ("the zip holds sources only" in done.stderr) is not compiled


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--python", "3.11"), "error: --python 3.11: expected one of 3.12, 3.13, 3.14, 3.15"),
        (("--arch", "aarch64"), "error: --arch aarch64: expected one of x86_64, arm64"),
        (("--settings", "absent.env"), "error: absent.env cannot be read"),
    ],
)
def test_wrong_options_are_refused_in_one_sentence(arguments: tuple[str, str], sentence: str) -> None:
    """What cannot be built is said before anything is fetched, and the exit code says it, too."""
    done = setup_py(*arguments)
    assert (done.returncode, sentence in done.stderr) == (1, True), done.stderr


def test_pip_can_install_into_a_folder(root: Path, tmp_path: Path) -> None:
    """`pip install --target` of the repository gives a folder that works as the function's code, as 0.0.6 had it."""
    target = tmp_path / "target"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", str(target), str(root)], check=True, timeout=600)
    zipped = shutil.make_archive(str(tmp_path / "function"), "zip", target)
    with zipfile.ZipFile(zipped) as archive:
        archive.extractall(tmp_path / "unpacked")
    code = "import sys; sys.path.insert(0, sys.argv[1]); import boto3, pypi_lambda.app.app, indexer.store.s3"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(tmp_path / "unpacked")], timeout=120, check=False
    )
    assert done.returncode == 0


def test_the_lock_has_what_setup_py_asks_for() -> None:
    """Every dependency but the runtime's is pinned, at a version that setup.py accepts, and needs nothing unpinned."""
    pins = dict(pinned())
    ours = [Requirement(text) for text in metadata.requires("serverless-pypi") or [] if "extra ==" not in text]
    missing = {requirement.name for requirement in ours if canonicalize_name(requirement.name) not in pins}
    assert missing == {"boto3"}
    assert [
        str(each) for each in ours if not each.specifier.contains(pins.get(canonicalize_name(each.name), "99"))
    ] == []
    for python in PYTHONS:
        assert set(needed(pins, python)) - set(pins) <= set(IN_THE_RUNTIME)


def pinned() -> Iterator[tuple[str, str]]:
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", REQUIREMENTS.read_text("utf-8"), re.MULTILINE):
        yield canonicalize_name(name), version


def needed(pins: dict[str, str], python: str) -> Iterator[str]:
    environment = {"python_version": python, "python_full_version": f"{python}.0", "extra": "", "sys_platform": "linux"}
    for name in pins:
        for text in requirements_of(name):
            requirement = Requirement(text)
            marker: Marker | None = requirement.marker
            if marker is None or marker.evaluate({**environment, "platform_python_implementation": "CPython"}):
                yield canonicalize_name(requirement.name)


def requirements_of(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # pinned for other Pythons
        return []


def test_the_metadata_of_the_tools_names_the_deploy_package() -> None:
    """Packaging and deployment are checked as strictly as what is shipped."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "deploy" in settings["tool"]["mypy"]["packages"]


def test_baked_settings_stand_behind_the_environment(tmp_path: Path) -> None:
    """An environment variable wins over a baked setting, an empty one does not; what neither names is the default."""
    baked = tmp_path / "baked_settings.json"
    baked.write_text('{"BUCKET": "baked", "REPO_BASE_PREFIX": "baked", "LOGGING_LEVEL": "ERROR"}')
    environ = load_environ({"BUCKET": "given", "REPO_BASE_PREFIX": " ", "HOME": "/"}, baked)
    settings = read_settings(environ)
    assert (settings.bucket, settings.repo_base_prefix, settings.logging_level, settings.api_gateway_base_path) == (
        *("given", "baked", "ERROR", ""),
    )


def test_without_baked_settings_the_environment_is_all(tmp_path: Path) -> None:
    """Where nothing was baked, the environment is taken as it is."""
    environ = {"BUCKET": "given"}
    assert load_environ(environ, tmp_path / "absent.json") is environ


@pytest.mark.parametrize("body", ["", "[]", '{"BUCKET": 1}', "{"])
def test_damaged_baked_settings_are_refused(tmp_path: Path, body: str) -> None:
    """A file of baked settings that ldist did not write stops the function with a sentence, which does not show it."""
    baked = tmp_path / "baked_settings.json"
    baked.write_text(body)
    with pytest.raises(InvalidValue, match=r"baked_settings\.json"):
        load_environ({}, baked)


def test_a_settings_file_is_read_line_by_line(tmp_path: Path) -> None:
    """Names and values are taken without the space around them; empty lines and comments say nothing."""
    path = tmp_path / "edge.env"
    path.write_text("# ours\n\nBUCKET = packages\nUPSTREAM_INDEX_URL=https://a:b@upstream.example/simple\n")
    assert read_settings_file(path) == {
        "BUCKET": "packages",
        "UPSTREAM_INDEX_URL": "https://a:b@upstream.example/simple",
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("BUCKET", "line 1: expected NAME=value"),
        ("\nBUCKET=", "line 2: expected NAME=value"),
        ("BUKCET=packages", "line 1: .*BUKCET.*one of BUCKET, "),
        ("LOGGING_LEVEL=LOUD", "line 1: .*LOUD"),
        ("BUCKET=a\nBUCKET=b", "line 2: BUCKET stands there twice"),
    ],
)
def test_a_wrong_line_is_refused_with_its_number(tmp_path: Path, text: str, sentence: str) -> None:
    """A typing error in the settings is found when the zip is built, not when the function starts."""
    path = tmp_path / "edge.env"
    path.write_text(text)
    with pytest.raises(Unbuildable, match=sentence):
        read_settings_file(path)


@pytest.mark.parametrize(
    ("url", "holds"),
    [("https://a:b@upstream.example/simple/", True), ("https://upstream.example/@/simple/", False)],
)
def test_credentials_in_the_settings_are_noticed(url: str, *, holds: bool) -> None:
    """Whoever bakes a password into the zip is told."""
    assert holds_credentials({"UPSTREAM_INDEX_URL": url}) is holds


def test_a_key_in_the_settings_is_noticed() -> None:
    """Whoever bakes the key of passwords into the zip is told, too."""
    assert holds_credentials({"PASSWORD_KEY": "0123456789abcdef" * 4})


def stand_in(path: Path, script: str) -> Path:
    """Something on the PATH that the shell runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


NEWER = Target(python="3.99")  # no machine has it
INTERPRETER = "echo cpython 3.99 final"


def test_a_broken_interpreter_is_passed_over(tmp_path: Path) -> None:
    """A `python3.X` on the PATH that does not run, as a version manager's stand-in may be, hides none behind it."""
    broken = stand_in(tmp_path / "shims" / "python3.99", "exit 127")
    environ = {"PATH": str(broken.parent), "PYENV_ROOT": str(tmp_path)}
    assert find_compiler(NEWER, environ) is None
    assert find_compiler(HERE, environ) == sys.executable
    found = stand_in(tmp_path / "bin" / "python3.99", INTERPRETER)
    assert find_compiler(NEWER, {**environ, "PATH": f"{broken.parent}:{found.parent}"}) == str(found)


@pytest.mark.parametrize("told", ["cpython 3.99 beta", "cpython 3.98 final", "pypy 3.99 final"])
def test_an_interpreter_with_other_bytecode_is_passed_over(tmp_path: Path, told: str) -> None:
    """What calls itself `python3.X` has to be CPython, of that version, and released."""
    found = stand_in(tmp_path / "python3.99", f"echo {told}")
    assert find_compiler(NEWER, {"PATH": str(found.parent), "PYENV_ROOT": str(tmp_path)}) is None


def test_interpreters_of_uv_and_pyenv_are_found(tmp_path: Path) -> None:
    """Where the PATH has no such interpreter, uv is asked for one, then pyenv's folder is looked into."""
    by_uv = stand_in(tmp_path / "uv's" / "python3.99", INTERPRETER)
    by_pyenv = stand_in(tmp_path / "pyenv" / "versions" / "3.99.1" / "bin" / "python3.99", INTERPRETER)
    uv = stand_in(
        tmp_path / "bin" / "uv",
        f'test "$*" = "python find --no-project --no-python-downloads 3.99" || exit 2\necho "{by_uv}"',
    )
    environ = {"PATH": str(uv.parent), "PYENV_ROOT": str(tmp_path / "pyenv")}
    assert find_compiler(NEWER, environ) == str(by_uv)
    uv.unlink()
    assert find_compiler(NEWER, environ) == str(by_pyenv)


PINS = """\
# a comment
first==1.0 ; python_full_version < '3.15' \\
    --hash=sha256:aa \\
    --hash=sha256:ab
second==2.0 \\
    --hash=sha256:bb
third==3.0 ; python_full_version >= '3.14' \\
    --hash=sha256:cc
"""


@pytest.mark.parametrize(
    ("python", "names"),
    [("3.13", ["first", "second"]), ("3.14", ["first", "second", "third"]), ("3.15", ["second", "third"])],
)
def test_pins_are_for_the_target_not_for_who_builds(python: str, names: list[str]) -> None:
    """A pin with a marker is taken where the target meets it, with all its digests, and pip sees no marker."""
    selected = select_pins(PINS, Target(python=python))
    assert re.findall(r"^(\w+)==\S+ \\\n", selected, re.MULTILINE) == names
    assert (selected.count("sha256:a"), ";" in selected, "#" in selected) == (2 * ("first" in names), False, False)


def test_a_marker_that_is_not_understood_stops_the_build() -> None:
    """A lock file that says more than is read here makes no zip that lacks something."""
    for marker in (
        "sys_platform == 'linux'",
        "python_full_version < '3.15' or extra == 'x'",
        "python_version < '3.15'",
    ):
        with pytest.raises(Unbuildable, match=r"the marker of first==1\.0 is not understood"):
            select_pins(f"first==1.0 ; {marker} \\\n    --hash=sha256:aa\n", HERE)


def elf(*, segment_bytes: int, trailing: bytes) -> bytes:
    """A shared object with one segment and something behind it."""
    header = struct.pack("<6s10xHHIQQQIHHHHHH", b"\x7fELF\x02\x01", 3, 62, 1, 0, 64, 300, 0, 64, 56, 1, 64, 9, 8)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, segment_bytes, segment_bytes, 4096)
    return (header + segment).ljust(segment_bytes, b"\1") + trailing


def test_what_no_segment_covers_is_cut_off() -> None:
    """Debug information and section headers behind the last segment go, and the header no longer points there."""
    stripped = strip(elf(segment_bytes=200, trailing=b"debug" * 99))
    assert len(stripped) == 200
    assert struct.unpack_from("<Q", stripped, 40) == (0,)
    assert struct.unpack_from("<HH", stripped, 60) == (0, 0)
    assert strip(stripped) == stripped


@pytest.mark.parametrize(
    ("names", "minor"),
    [
        (b"\0GLIBC_2.2.5\0", 2),
        (b"\0GLIBC_2.17\0GLIBC_2.2.5\0GLIBC_2.14\0", 17),
        (b"\0GLIBC_2.34\0memcpy\0GLIBC_2.38\0", 38),
        (b"\0GLIBC_PRIVATE\0XGLIBC_2.40\0GLIBC_2.41-ish\0", 0),
        (b"\0", 0),
    ],
)
def test_the_glibc_that_an_object_needs(names: bytes, minor: int) -> None:
    """The newest version that its symbols name counts, whatever the wheel's tag says."""
    assert needed_glibc(elf(segment_bytes=200, trailing=names)) == minor
    assert needed_glibc(names) == 0


@pytest.mark.parametrize("minor", [35, 36, 39])
def test_an_object_for_a_newer_glibc_is_not_shipped(tmp_path: Path, minor: int) -> None:
    """A wheel that the runtime could not load stops the build, and the sentence names it."""
    assert len(list(wheel_entries([wheel_needing(tmp_path, 34)]))) == 1
    with pytest.raises(Unbuildable, match=rf"new/new\.so of new 1\.0 needs glibc 2\.{minor}, .* has 2\.34"):
        list(wheel_entries([wheel_needing(tmp_path, minor)]))


def wheel_needing(folder: Path, glibc: int) -> Path:
    body = elf(segment_bytes=200, trailing=b"")
    path = folder / "new-1.0-cp315-cp315-manylinux_2_39_x86_64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("new/new.so", body[:-20] + f"\0GLIBC_2.{glibc}\0".encode().ljust(20, b"\1"))
    return path


@pytest.mark.parametrize(
    "body", [b"", b"\x7fELF\x01\x01" + bytes(90), b"\xcf\xfa\xed\xfe" + bytes(90), b"\x7fELF\x02\x01"]
)
def test_what_is_no_shared_object_of_lambda_s_stays(body: bytes) -> None:
    """Anything but a 64-bit little-endian ELF file is left as it is."""
    assert strip(body) == body
