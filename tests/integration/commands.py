"""Commands run to their end, `serverless-pypi` among them, in an environment that says nothing a test did not say."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from indexer.store.s3 import S3Store
from tests.support.servers import BUCKET, program

# What the environment of whoever runs the tests says to the program or to its clients would decide what they show.
_FOREIGN_PREFIXES = ("AWS_", "PIP_", "TWINE_", "UV_")
_FOREIGN = frozenset(
    {
        "API_GATEWAY_BASE_PATH",
        "BUCKET",
        "FUNCTION",
        "HASH_DIST_INFO_METADATA",
        "LOGGING_LEVEL",
        "MAX_STALENESS_SECONDS",
        "MIRROR_RETENTION_DAYS",
        "PYTHONWARNINGS",
        "REMOVED_RETENTION_DAYS",
        "REPO_BASE_PREFIX",
        "UPSTREAM_ALLOW",
        "UPSTREAM_ASK_UNKNOWN",
        "UPSTREAM_REQUIRE_DIGEST",
        "UPSTREAM_DENY",
        "UPSTREAM_INDEX_URL",
        "UPSTREAM_MIN_AGE_DAYS",
        "UPSTREAM_MIN_AGE_EXEMPT",
        "VIRTUAL_ENV",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an index lies, as the environment variables that say so."""

    environ: Mapping[str, str]

    def open(self) -> ObjectStore:
        """Open the store, beside the server's back."""
        prefix = self.environ.get("REPO_BASE_PREFIX", "")
        location = self.environ["BUCKET"]
        if location.startswith("file://"):
            return FolderStore(Path(location.removeprefix("file://"), prefix))
        return S3Store(BUCKET, prefix, environ=self.environ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A command that ended; `output` is what it printed, errors included."""

    command: Sequence[str]
    code: int
    output: str

    def succeeded(self) -> str:
        """Return the output of a command that was to succeed."""
        assert self.code == 0, f"{self.command} ended with {self.code}:\n{self.output}"
        return self.output

    def failed(self, code: int | None = None) -> str:
        """Return the output of a command that was to fail, with this exit code if one is given."""
        assert self.code != 0 if code is None else self.code == code, f"{self.command} {self.code}:\n{self.output}"
        return self.output


def clean_environ(changes: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a process: this one's, without what would turn the program or its clients."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_FOREIGN_PREFIXES) and name not in _FOREIGN
    }
    return {**kept, **changes}


def run(
    command: Sequence[str],
    *,
    environ: Mapping[str, str],
    cwd: Path | None = None,
    input: str = "",
) -> Finished:
    """Run a command to its end."""
    done = subprocess.run(
        command,
        env=clean_environ(environ),
        cwd=cwd,
        input=input,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    return Finished(command=command, code=done.returncode, output=done.stdout)


def run_command(place: Place, *arguments: str, input: str = "", **environ: str) -> Finished:
    """Run `serverless-pypi` with these arguments on this index."""
    return run([program("serverless-pypi"), *arguments], environ={**place.environ, **environ}, input=input)
