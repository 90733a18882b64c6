"""Where a command is carried out: here, on the store, or by the function; and how its result is shown.

@click.command()
@click.argument("project")
@at_place
def yank(place: Place, project: str) -> None: ...
"""

import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import click

from indexer.errors import InvalidValue
from indexer.json_bytes import decode_json, encode_json
from indexer.value import replace
from pypi_lambda.clock import new_id, utc_now
from pypi_lambda.settings import Settings, read_settings
from pypi_lambda.terminal.faults import WrongInput, told

if TYPE_CHECKING:
    from pypi_lambda.app.service import Service

DEFAULT_BUCKET = "file://./data"
BY = "command line"  # who gives the commands, in the log; which account of which machine, is told as from where

# What may begin an index in a folder that is not there yet; for anything else a mistyped folder would look empty.
BEGINNING = frozenset({"putUser", "reindex", "rebuild", "reserve", "importFolder", "importIndex", "importDevpi"})

Result = dict[str, Any]


class Place:
    """Where a command is carried out, and how its result is shown.

    Attributes:
        function: the function's name, or None for here.
    """

    def __init__(self, *, bucket: str | None, function: str | None, as_json: bool) -> None:
        self.function = function
        self._bucket = bucket
        self._as_json = as_json
        self._service: Service | None = None

    def run(self, name: str, argument: object = None, *, doing: str = "", unit: str = "") -> Result:
        """Carry a command out and return its result, which is JSON.

        Args:
            name: one of `pypi_lambda.manage.registry.COMMANDS`.
            argument: as in the function's payload.
            doing: what it does, for a progress bar; "" for none. Shown only for what is done here.
            unit: what progress counts, such as "files"; "" for bytes.

        Raises:
            InvalidValue, WrongInput: it was refused.
            IndexerError, click.ClickException: it failed.
        """
        if self.function is not None:
            from pypi_lambda.terminal.function import invoke

            return invoke(self.function, name, argument, caller=_caller())
        try:
            return self._run_here(name, argument, doing=doing, unit=unit)
        except InvalidValue as error:  # who types it knows what the command's members are called, but not as JSON
            raise InvalidValue(error.field.removeprefix(f"{name}."), error.value, error.accepted) from None

    def _run_here(self, name: str, argument: object, *, doing: str, unit: str) -> Result:
        from pypi_lambda.app.service import make_service
        from pypi_lambda.command.context import Context, no_progress
        from pypi_lambda.manage.registry import parse_command
        from pypi_lambda.terminal.progress import Progress

        settings = self.read_settings()
        command = parse_command(name, argument)
        _check_there(settings.bucket, name)
        # Kept for the next one: what it loads at its start may be a megabyte.
        service = self._service = self._service or make_service(settings)
        with Progress(doing, unit=unit) if doing else nullcontext() as progress:
            context = Context(
                service=service,
                settings=settings,
                now=utc_now,
                new_id=new_id,
                sleep=time.sleep,
                by=BY,
                client=_caller(),
                on_rebuilt=lambda seq: None,
                on_progress=no_progress if progress is None else progress.update,
            )
            try:
                done = command.run(context)
            finally:
                service.rebuilder.wait()  # so that the next process starts from a snapshot that has the change
        result: Result = decode_json(encode_json(done))
        return result

    def read_settings(self, *, upstream: str | None = None) -> Settings:
        """Return the settings of what is done here."""
        return read_settings_here(self._bucket, upstream, quiet=True)

    def show(self, done: Result, *lines: str) -> None:
        """Show a result: as JSON where that is wanted, else the lines.

        Lines that are what the command was asked for; what merely says that it was done goes to `tell`.
        """
        if self._as_json:
            click.echo(json.dumps(done, indent=2, ensure_ascii=False))
            return
        for line in lines:
            click.echo(printable(line))

    def tell(self, done: Result, *lines: str) -> None:
        """Say what was done: as JSON on standard output where that is wanted, else the lines, on standard error."""
        if self._as_json:
            self.show(done)
            return
        for line in lines:
            self.say(line)

    def say(self, line: str) -> None:
        """Say something on standard error, whatever the result is shown as."""
        click.echo(printable(line), err=True)

    def show_line(self, item: Result, line: str) -> None:
        """Show one of many: as a line of JSON where that is wanted, else the line."""
        click.echo(json.dumps(item, ensure_ascii=False) if self._as_json else printable(line))


def at_place(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where it is carried out and how it is shown, as its argument `place`."""

    @wraps(command)
    def run(*args: Any, bucket: str | None, function: str | None, as_json: bool, **options: Any) -> None:
        if bucket is not None and function is not None:
            raise WrongInput("--bucket and --function exclude each other: the function knows its bucket")
        if bucket is None and function is None:
            function = os.environ.get("FUNCTION") or None
        with told():
            command(*args, place=Place(bucket=bucket, function=function, as_json=as_json), **options)

    as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    return as_json(function_option(bucket_option(run)))


def bucket_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option `--bucket`."""
    option = click.option(
        "--bucket",
        metavar="LOCATION",
        help=f"Where the index lies: name or s3://name, or file:///folder.  [env BUCKET; default {DEFAULT_BUCKET}]",
    )
    return option(command)


def function_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option `--function`."""
    option = click.option(
        "--function",
        metavar="NAME",
        help="Have this Lambda function do it, by name or ARN, instead of working on the bucket.  [env FUNCTION]",
    )
    return option(command)


def upstream_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option `--upstream`."""
    option = click.option(
        "--upstream",
        metavar="URL",
        help="The simple index to mirror, or `none`.  [env UPSTREAM_INDEX_URL; default the public index]",
    )
    return option(command)


def read_settings_here(bucket: str | None, upstream: str | None, *, quiet: bool = False) -> Settings:
    """Return the settings, with what the command line says put into the environment for the processes it starts.

    Args:
        quiet: log warnings only, unless LOGGING_LEVEL says otherwise: who gives a command reads its result.

    Raises:
        InvalidValue: one of them is not what it accepts.
    """
    from pypi_lambda.server.logs import configure_logging

    given: Mapping[str, str | None] = {"BUCKET": bucket, "UPSTREAM_INDEX_URL": upstream}
    os.environ.update({name: value for name, value in given.items() if value is not None})
    if not os.environ.get("BUCKET"):
        os.environ["BUCKET"] = DEFAULT_BUCKET
    settings = read_settings(os.environ)
    if not settings.bucket.startswith("file://") and not os.environ.get("REMOVED_RETENTION_DAYS", "").strip():
        # For how long a bucket keeps what was removed, its function's settings say; no laptop deletes it by a default.
        settings = replace(settings, removed_retention_days=0)
    if quiet and not os.environ.get("LOGGING_LEVEL", "").strip():
        settings = replace(settings, logging_level="WARNING")
    configure_logging(settings)
    return settings


def printable(text: str) -> str:
    """Return the text with what a terminal would obey, or could not show, escaped; tabs stay."""
    return "".join(
        char if char.isprintable() or char == "\t" else char.encode("unicode_escape").decode() for char in text
    )


def _caller() -> str:
    """Return the account and the machine, for the log; "" for what has no name."""
    import getpass

    try:
        account = getpass.getuser()
    except (OSError, KeyError):  # neither in the environment nor in the password database
        account = ""
    return f"{account}@{socket.gethostname()}"


def _check_there(bucket: str, command: str) -> None:
    folder = unquote(bucket.removeprefix("file://"))
    if bucket.startswith("file://") and command not in BEGINNING and not os.path.isdir(folder):
        raise InvalidValue(
            "bucket", bucket, "where an index lies; there is no such folder, and this command makes none"
        )
