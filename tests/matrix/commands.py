"""Commands that end: each has a deadline, and nothing that it started outlives it."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

COMMAND_SECONDS = 240  # the slowest, `pipenv lock`, takes 20 s on a machine that runs nothing else
INSTALL_SECONDS = 900  # Renovate, with its thousand dependencies, takes two minutes


class Failed(Exception):
    """A command ended otherwise than it was to, or what it left is not what it was to leave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A command that ended; `output` has its errors too."""

    command: Sequence[str]
    code: int
    output: str

    def succeeded(self) -> str:
        """Return the output of a command that was to succeed."""
        if self.code != 0:
            raise Failed(f"{' '.join(self.command)} ended with {self.code}:\n{self.output}")
        return self.output

    def failed(self) -> str:
        """Return the output of a command that was to fail."""
        if self.code == 0:
            raise Failed(f"{' '.join(self.command)} ended with 0:\n{self.output}")
        return self.output


def run(
    command: Sequence[str], *, environ: Mapping[str, str], cwd: Path | None = None, seconds: float = COMMAND_SECONDS
) -> Ended:
    """Run a command to its end, with this environment and no other."""
    with _process(command, environ=environ, cwd=cwd, output=subprocess.PIPE) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            _kill(process)
            output, _ = process.communicate()
            raise Failed(f"{' '.join(command)} did not end in {seconds:.0f} s:\n{_text(output)}") from None
    return Ended(command=command, code=process.returncode, output=_text(output))


@contextmanager
def running(
    command: Sequence[str], *, environ: Mapping[str, str], log: Path, cwd: Path | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server while the block runs; `log` receives what it prints."""
    with log.open("wb") as output, _process(command, environ=environ, cwd=cwd, output=output) as process:
        yield process


@contextmanager
def _process(
    command: Sequence[str], *, environ: Mapping[str, str], cwd: Path | None, output: object
) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        command,
        env=dict(environ),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,  # type: ignore[call-overload]
        stderr=subprocess.STDOUT,
        start_new_session=True,  # so that what it starts can be ended with it
    )
    try:
        yield process
    finally:
        _kill(process)
        process.wait()


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):  # nothing is left of it
        os.killpg(process.pid, signal.SIGKILL)


def _text(output: bytes) -> str:
    return output.decode("utf-8", "replace")
