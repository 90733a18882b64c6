"""How each client that uploads is called, and what has to be true of the index then."""

import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from tests.matrix.cases import ENVIRONMENT, FILE, Case
from tests.matrix.catalog import make_program, make_source
from tests.matrix.commands import Ended, Failed
from tests.support.distributions import Distribution

WHEEL, SDIST, AGAIN, CONFLICT = "wheel", "sdist", "again", "other content"
_EPOCH = "1577836800"  # so that what is built again is the same
STEPS = (WHEEL, SDIST, AGAIN, CONFLICT)


class Upload:
    """What is uploaded in one step: a file, for tools that take one; a project, for those that build it themselves.

    Attributes:
        project: its name.
        sdist: it is an sdist, not a wheel.
        content: what makes it differ from another of the same name.
    """

    def __init__(self, project: str, step: str) -> None:
        self.project = project
        self.sdist = step == SDIST
        self.content = "other" if step == CONFLICT else "first"

    @property
    def distribution(self) -> Distribution:
        if self.sdist:
            return make_source(self.project)
        return make_program(self.project, requires=["up-plain"] if self.content == "other" else ())

    def write(self, folder: Path) -> str:
        """Write the file into a new folder `dist` and return its path."""
        dist = folder / "dist"
        dist.mkdir(exist_ok=True)
        for old in dist.iterdir():
            old.unlink()
        path = dist / self.distribution.filename
        path.write_bytes(self.distribution.content)
        return str(path)


class Uploader(Protocol):
    """Uploads with one client."""

    def __call__(self, case: Case, upload: Upload) -> Ended: ...


def upload_all(case: Case, step: str) -> None:
    """Carry out one step, with a project of this client and way.

    Raises:
        Failed: the client or the index does otherwise.
    """
    project = re.sub(r"[^a-z0-9]+", "-", f"sent-{case.client.title}-{case.way}".lower())
    upload = Upload(project, step)
    ended = UPLOADERS[case.client.driver](case, upload)
    if step == CONFLICT:
        if "already exists" not in ended.failed() and "409" not in ended.output:
            raise Failed(f"the client does not say why:\n{ended.output}")
        return
    ended.succeeded()
    suffix = ".tar.gz" if upload.sdist else ".whl"
    names = case.site.server.get_filenames(project)
    if not any(name.endswith(suffix) for name in names):
        raise Failed(f"the index has {names}:\n{ended.output}")


def _secrets(case: Case, username: str, password: str) -> tuple[list[str], dict[str, str]]:
    """Return options and environment with the credentials; where a file is the way, write `.pypirc`."""
    if case.way == ENVIRONMENT:
        return [], {username: case.site.username, password: case.site.password}
    if case.way == FILE:
        write_pypirc(case)
        return [], {}
    return ["-u", case.site.username, "-p", case.site.password], {}


def write_pypirc(case: Case) -> None:
    """Write the file in which most of them look."""
    (case.folder / "home").mkdir(parents=True, exist_ok=True)
    (case.folder / "home" / ".pypirc").write_text(
        f"[distutils]\nindex-servers =\n    ours\n\n[ours]\nrepository = {_url(case)}\n"
        f"username = {case.site.username}\npassword = {case.site.password}\n"
    )


def _url(case: Case) -> str:
    return case.site.url("", secret=False)


def run_twine(case: Case, upload: Upload) -> Ended:
    """Upload with twine."""
    options, environ = _secrets(case, "TWINE_USERNAME", "TWINE_PASSWORD")
    options += ["-r", "ours"] if case.way == FILE else ["--repository-url", _url(case)]
    if case.client.number >= (3,):
        options.append("--verbose")
    return case.run("twine", "upload", *options, upload.write(case.project), environ=environ)


def run_uv(case: Case, upload: Upload) -> Ended:
    """Upload with `uv publish`."""
    options, environ = _secrets(case, "UV_PUBLISH_USERNAME", "UV_PUBLISH_PASSWORD")
    url = ["--publish-url", _url(case), "--trusted-publishing", "never"]
    return case.run("uv", "publish", *url, *options, upload.write(case.project), environ=environ)


def run_flit(case: Case, upload: Upload) -> Ended:
    """Let flit build and publish."""
    _, environ = _secrets(case, "FLIT_USERNAME", "FLIT_PASSWORD")
    options = ["--repository", "ours"] if case.way == FILE else []
    environ |= {} if case.way == FILE else {"FLIT_INDEX_URL": _url(case)}
    module = upload.project.replace("-", "_")
    case.write(f"{module}.py", f'"""A program: {upload.content}."""\n\n__version__ = "1.0"\n')
    environ |= {"SOURCE_DATE_EPOCH": _EPOCH}
    case.write(
        "pyproject.toml",
        f'[build-system]\nrequires = ["flit_core"]\nbuild-backend = "flit_core.buildapi"\n\n'
        f'[project]\nname = "{upload.project}"\ndynamic = ["version", "description"]\n',
    )
    form = "sdist" if upload.sdist else "wheel"
    return case.run("flit", "publish", "--format", form, *options, environ=environ)


def run_maturin(case: Case, upload: Upload) -> Ended:
    """Upload with `maturin upload`."""
    options, environ = _secrets(case, "MATURIN_USERNAME", "MATURIN_PASSWORD")
    options += ["--repository", "ours"] if case.way == FILE else ["--repository-url", _url(case)]
    return case.run("maturin", "upload", *options, upload.write(case.project), environ=environ)


def run_hatch(case: Case, upload: Upload) -> Ended:
    """Upload with `hatch publish`."""
    options, environ = _secrets(case, "HATCH_INDEX_USER", "HATCH_INDEX_AUTH")
    options = ["-a" if option == "-p" else option for option in options]
    options += ["--repo", "ours" if case.way == FILE else _url(case)]
    path = upload.write(case.project)
    case.write("pyproject.toml", f'[project]\nname = "{upload.project}"\nversion = "1.0"\n')
    return case.run("hatch", "--no-interactive", "publish", *options, path, environ=environ)


def run_poetry(case: Case, upload: Upload) -> Ended:
    """Upload with `poetry publish`."""
    options, environ = _secrets(case, "POETRY_HTTP_BASIC_OURS_USERNAME", "POETRY_HTTP_BASIC_OURS_PASSWORD")
    upload.write(case.project)
    case.write(
        "pyproject.toml",
        f'[tool.poetry]\nname = "{upload.project}"\nversion = "1.0"\ndescription = ""\nauthors = []\n',
    )
    environ |= {"POETRY_REPOSITORIES_OURS_URL": _url(case)}
    return case.run("poetry", "publish", "--no-interaction", "--repository", "ours", *options, environ=environ)


def run_pdm(case: Case, upload: Upload) -> Ended:
    """Upload with `pdm publish`."""
    options, environ = _secrets(case, "PDM_PUBLISH_USERNAME", "PDM_PUBLISH_PASSWORD")
    options = ["-P" if option == "-p" else option for option in options]
    options += ["-r", "ours" if case.way == FILE else _url(case)]
    upload.write(case.project)
    case.write("pyproject.toml", f'[project]\nname = "{upload.project}"\nversion = "1.0"\n')
    environ |= {"PDM_CHECK_UPDATE": "0"}
    return case.run("pdm", "publish", "--no-build", *options, environ=environ)


def run_setuptools(case: Case, upload: Upload) -> Ended:
    """Build and upload with `setup.py upload`, the command that distutils had."""
    write_pypirc(case)
    module = upload.project.replace("-", "_")
    case.write(f"{module}.py", f'"""A program: {upload.content}."""\n')
    os.utime(case.project / f"{module}.py", (int(_EPOCH), int(_EPOCH)))
    case.write(
        "setup.py",
        f"from setuptools import setup\nsetup(name={module!r}, version='1.0', py_modules=[{module!r}], "
        f"description='a', long_description='b', url='http://127.0.0.1/', author='c', author_email='c@example.com')\n",
    )
    shutil.rmtree(case.project / "build", ignore_errors=True)  # where an older file of the same time would stay
    command = "sdist" if upload.sdist else "bdist_wheel"
    arguments = ["setup.py", command, "upload", "-r", "ours", "--show-response"]
    return case.run("python", *arguments, environ={"SOURCE_DATE_EPOCH": _EPOCH})


UPLOADERS: Mapping[str, Callable[[Case, Upload], Ended]] = {
    "twine": run_twine,
    "uv": run_uv,
    "flit": run_flit,
    "maturin": run_maturin,
    "hatch": run_hatch,
    "poetry": run_poetry,
    "pdm": run_pdm,
    "setuptools": run_setuptools,
}
