"""One virtual environment for each client, kept between runs; no client sees another, or the machine's settings."""

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from tests.matrix.commands import INSTALL_SECONDS, Failed, run
from tests.matrix.pythons import find_python
from tests.matrix.table import Client
from tests.support.servers import program

# What a machine says of certificates and proxies holds for clients too; nothing else of its environment does.
_KEPT = (
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "PIP_CERT"),
    *("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "LANG", "LC_ALL"),
)
# The last that makes environments for Python 2.7 and 3.6, which uv does not.
_VIRTUALENV = ("virtualenv==20.21.1", "setuptools<81")
_WITHOUT_UV = ("2.7", "3.6", "3.7")
_making = Lock()  # environments are made one at a time


class NotHere(Exception):
    """This machine lacks what a client runs on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where a client is installed; `python` is the version it runs on."""

    folder: Path
    python: str

    @property
    def interpreter(self) -> str:
        return self.program("python")

    def program(self, name: str) -> str:
        return str(self.folder / "bin" / name)


def base_environ(home: Path, *, folder: Path | None = None) -> dict[str, str]:
    """Return the environment of someone who has told the tools nothing; `folder` is an environment to use."""
    home.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    path = [str(folder / "bin")] if folder else []
    return {
        **kept,
        "PATH": os.pathsep.join([*path, os.defpath.lstrip(os.pathsep)]),
        "HOME": str(home),
        "TMPDIR": str(_new(home / "tmp")),
        "NO_COLOR": "1",
        "COLUMNS": "300",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }


def get_environment(client: Client, cache: Path) -> Environment:
    """Return the environment of a client, made now unless it is there.

    Raises:
        NotHere: no Python that it runs on is found.
        Failed: it cannot be installed.
    """
    found = find_python(client.pythons)
    if found is None:
        raise NotHere(f"no Python {' or '.join(client.pythons)} here")
    version, python = found
    packages = [f"{client.package}=={client.version}", *client.together]
    name = f"{client.package}-{client.version}-py{version}-{_digest(*packages)}"
    folder = cache / name
    with _making:
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder, python, version, packages, cache)
            (folder / "complete").touch()
    return Environment(folder=folder, python=version)


def _make(folder: Path, python: str, version: str, packages: list[str], cache: Path) -> None:
    environ = _installing(cache)
    if version in _WITHOUT_UV:
        _make_old(folder, python, packages, cache)
        return
    _run([program("uv"), "venv", "--quiet", "--python", python, str(folder)], environ)
    into = ["--python", str(folder / "bin" / "python")]
    _run([program("uv"), "pip", "install", "--quiet", *into, *packages], environ)


def _make_old(folder: Path, python: str, packages: list[str], cache: Path) -> None:
    """Make an environment with virtualenv, whose newest pip for that Python then installs the rest and itself anew."""
    maker = cache / f"virtualenv-{_digest(*_VIRTUALENV)}"
    environ = _installing(cache)
    if not (maker / "complete").exists():
        found = find_python(("3.11", "3.10", "3.9", "3.8"))
        if found is None:
            raise NotHere("no Python 3.8 to 3.11 for the virtualenv that makes such an old environment")
        _run([program("uv"), "venv", "--quiet", "--clear", "--python", found[1], str(maker)], environ)
        into = ["--python", str(maker / "bin" / "python")]
        _run([program("uv"), "pip", "install", "--quiet", *into, *_VIRTUALENV], environ)
        (maker / "complete").touch()
    _run([str(maker / "bin" / "virtualenv"), "--quiet", "--python", python, str(folder)], environ)
    _run([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages], environ)


def _installing(cache: Path) -> Mapping[str, str]:
    return {**base_environ(cache / "home"), "UV_LINK_MODE": "copy"}


def _run(command: list[str], environ: Mapping[str, str]) -> None:
    try:
        run(command, environ=environ, seconds=INSTALL_SECONDS).succeeded()
    except Failed as error:
        raise Failed(f"it cannot be installed: {error}") from error


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def _new(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
