"""The command line: `serverless-pypi serve`, `user`, `reindex`, `rebuild`."""

import logging
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import wraps
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import click

from indexer.errors import IndexerError, InvalidValue
from indexer.rebuild import load_snapshot, rebuild
from indexer.root import repair_root
from indexer.store import ObjectStore, check_store, open_store
from pypi_lambda import __version__
from pypi_lambda.admin import Users, add_first_user
from pypi_lambda.clock import new_id, utc_now
from pypi_lambda.service import configure_logging, make_upstream, renderer_of
from pypi_lambda.settings import Settings, read_settings

DEFAULT_BUCKET = "file://./data"
FIRST_USER = "admin"
REINDEX_EVERY = timedelta(hours=1)
PARENT_CHECK_SECONDS = 5.0  # how soon a background reindexer notices that its server is gone

_THIS_PROGRAM = (sys.executable, "-P", "-m", "pypi_lambda.cli")  # -P: import nothing from the working directory

logger = logging.getLogger(__name__)


def _bucket_option(command: Callable[..., Any]) -> Callable[..., Any]:
    option = click.option(
        "--bucket",
        metavar="LOCATION",
        help=f"Where the index lies: name or s3://name, or file:///folder.  [env BUCKET; default {DEFAULT_BUCKET}]",
    )
    return option(command)


def _upstream_option(command: Callable[..., Any]) -> Callable[..., Any]:
    option = click.option(
        "--upstream",
        metavar="URL",
        help="The simple index to mirror.  [env UPSTREAM_INDEX_URL; default the public index]",
    )
    return option(command)


class _WrongInput(click.ClickException):
    """One sentence, without the lines on usage that click puts before its own: settings are not only given here."""

    exit_code = 2


def _reporting(command: Callable[..., None]) -> Callable[..., None]:
    """Turn faults into one sentence on standard error and an exit code: 2 for wrong input, 1 for the rest."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except InvalidValue as error:
            raise _WrongInput(str(error)) from None
        except IndexerError as error:
            raise click.ClickException(str(error)) from None

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="serverless-pypi")
def main() -> None:
    """A private Python package index over one bucket or folder."""


@main.command()
@_bucket_option
@_upstream_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="The port to listen on.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 256), help="Server processes.")
@_reporting
def serve(bucket: str | None, upstream: str | None, host: str, port: int, workers: int) -> None:
    """Serve the index over HTTP, until interrupted.

    On an empty folder this creates a user that may upload and prints its password once. The upstream's list of projects
    is read in the background, at once and then hourly.
    """
    settings = _settings(bucket, upstream)
    url = f"http://{_url_host(host)}:{port}{settings.api_gateway_base_path}"
    from pypi_lambda.server import check_free, serve_forever

    check_free(host, port)  # before a password is made that is shown only once
    # Workers may be forks of this process, and a store's client does not survive being forked: so this one opens none.
    if code := subprocess.run([*_THIS_PROGRAM, "set-up", url], check=False).returncode:  # noqa: S603
        raise SystemExit(code)
    reindexer = subprocess.Popen([*_THIS_PROGRAM, "reindex", "--hourly"])  # noqa: S603
    try:
        serve_forever(host=host, port=port, workers=workers)
    finally:
        reindexer.terminate()
        reindexer.wait()


@main.command("set-up", hidden=True)
@click.argument("url")
@_reporting
def set_up(url: str) -> None:
    """Make sure that the store can be used, and that it has a user and a snapshot."""
    settings = _settings(None, None)
    store = _open(settings)
    check_store(store, new_id())
    password = _new_password()
    users = Users(store, now=utc_now, new_id=new_id, by="serve")
    if add_first_user(users, store, FIRST_USER, password):
        click.echo(_welcome(url, FIRST_USER, password))
    rebuild(store, renderer_of(settings))
    click.echo(f"serving {settings.bucket} on {url}", err=True)


def _welcome(url: str, username: str, password: str) -> str:
    scheme, _, rest = url.partition("://")
    index = f"{scheme}://{username}:{password}@{rest}/simple/"
    return f"""
This index has no users yet, so one was made that may upload. Its password is shown only now:

    username  {username}
    password  {password}

Install:

    pip install {_trust(url)}--index-url {index} requests
    uv pip install --index-url {index} requests

Upload:

    twine upload --repository-url {url}/ -u {username} -p {password} dist/*
    uv publish --publish-url {url}/ -u {username} -p {password} dist/*

More users:  serverless-pypi user add NAME [--upload]
"""


def _trust(url: str) -> str:
    """Return the option without which pip ignores an index that is neither on this machine nor behind https."""
    host = urlsplit(url).hostname or ""
    try:
        is_here = ip_address(host).is_loopback
    except ValueError:
        is_here = host == "localhost"
    return "" if is_here else f"--trusted-host {host} "


def _url_host(host: str) -> str:
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared with, not bound to
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


@main.group()
def user() -> None:
    """Add, remove and list users."""


@user.command("add")
@click.argument("name")
@click.option("--upload", is_flag=True, help="The user may upload, not only read.")
@click.option("--generate", is_flag=True, help="Make a random password and print it.")
@_bucket_option
@_reporting
def user_add(name: str, upload: bool, generate: bool, bucket: str | None) -> None:
    """Add the user NAME, or give it another password or role.

    The password is asked for, or read from standard input when that is no terminal.
    """
    password = _new_password() if generate else _read_password()
    _users(bucket).put(name, password, upload=upload)
    role = "read and upload" if upload else "read"
    click.echo(f"{name} may {role}.", err=True)
    if generate:
        click.echo(password)


def _new_password() -> str:
    # 128 bits as hex: pasted after `-p`, one that begins with `-`, as base64 may, would be taken for an option.
    return secrets.token_hex(16)


def _read_password() -> str:
    if sys.stdin.isatty():
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return password
    return sys.stdin.readline().rstrip("\r\n")


@user.command("remove")
@click.argument("name")
@_bucket_option
@_reporting
def user_remove(name: str, bucket: str | None) -> None:
    """Remove the user NAME; its next request is refused."""
    if not _users(bucket).remove(name):
        raise click.ClickException(f"there is no user {name!r}")
    click.echo(f"{name} is removed.", err=True)


@user.command("list")
@_bucket_option
@_reporting
def user_list(bucket: str | None) -> None:
    """List users and roles. Of users that serverless-pypi 0.0.6 added only a digest is known."""
    for listed in _users(bucket).list():
        name = listed.username or f"sha256:{listed.digest}"
        click.echo(f"{name}\t{'upload' if listed.upload else 'read'}")


@main.command("reindex")
@click.option("--hourly", is_flag=True, help="Go on, once an hour, for as long as the parent process lives.")
@_bucket_option
@_upstream_option
@_reporting
def reindex_command(hourly: bool, bucket: str | None, upstream: str | None) -> None:
    """Read the upstream's list of projects anew and publish files put under projects/NAME/."""
    settings = _settings(bucket, upstream)
    store = _open(settings)
    if hourly:
        _reindex_hourly(settings, store)
    elif not _reindex(settings, store):
        raise SystemExit(1)


def _reindex_hourly(settings: Settings, store: ObjectStore) -> None:
    # The server's Ctrl-C reaches this process too; its end is the server's to announce.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    pause = threading.Event()
    due = _due(settings, store)
    while os.getppid() == parent:
        if utc_now() < due:
            pause.wait(PARENT_CHECK_SECONDS)
            continue
        due = utc_now() + REINDEX_EVERY
        try:
            _reindex(settings, store)
        except IndexerError as fault:
            logger.error("the reindex failed: %s", fault)
        except Exception:  # a bug must not end all reindexes to come
            logger.exception("the reindex failed")


def _due(settings: Settings, store: ObjectStore) -> datetime:
    """Return when the list of names is an hour old: a server that restarts, or one of several, need not read it."""
    known = load_snapshot(store, renderer_of(settings)).snapshot.upstream
    if known is None:
        return utc_now()
    return datetime.fromisoformat(known.at) + REINDEX_EVERY


def _reindex(settings: Settings, store: ObjectStore) -> bool:
    from indexer.reindex import reindex
    from pypi_lambda.dropbox import take_all
    from pypi_lambda.progress import Progress
    from pypi_lambda.service import make_service

    for message in take_all(store, make_service(settings, store=store).make_publisher()):
        click.echo(message, err=True)
    with Progress("reading the upstream's list of projects") as progress:
        done = reindex(
            store,
            make_upstream(settings),
            renderer_of(settings),
            now=utc_now,
            new_id=new_id,
            by="reindex",
            on_progress=progress.update,
        )
    count = "unknown" if done.upstream_count is None else f"{done.upstream_count:,}"
    click.echo(f"reindexed: {count} upstream projects, {len(done.adopted)} files adopted", err=True)
    for refusal in done.refused:
        click.echo(f"not published: {refusal.key}: {refusal.reason}", err=True)
    if done.upstream_fault is not None:
        click.echo(done.upstream_fault, err=True)
    return done.upstream_fault is None and not done.refused


@main.command("rebuild")
@click.option("--from-zero", is_flag=True, help="Fold the whole log and write every page again: the repair.")
@_bucket_option
@_reporting
def rebuild_command(from_zero: bool, bucket: str | None) -> None:
    """Bring the snapshot and the pages up to the end of the log."""
    settings = _settings(bucket, None)
    store = _open(settings)
    done = rebuild(store, renderer_of(settings), from_zero=from_zero)
    if from_zero:
        repair_root(store, done.snapshot)
    what = f"wrote the pages of {done.pages:,} projects" if done.changed else "nothing was new"
    click.echo(f"event {done.snapshot.head.seq:,}: {what}", err=True)


def _users(bucket: str | None) -> Users:
    return Users(_open(_settings(bucket, None)), now=utc_now, new_id=new_id, by="command line")


def _settings(bucket: str | None, upstream: str | None) -> Settings:
    """Return the settings, with what the command line says put into the environment for the processes it starts."""
    given: Mapping[str, str | None] = {"BUCKET": bucket, "UPSTREAM_INDEX_URL": upstream}
    os.environ.update({name: value for name, value in given.items() if value is not None})
    if not os.environ.get("BUCKET"):
        os.environ["BUCKET"] = DEFAULT_BUCKET
    settings = read_settings(os.environ)
    configure_logging(settings)
    return settings


def _open(settings: Settings) -> ObjectStore:
    return open_store(settings.bucket, settings.repo_base_prefix, region=settings.bucket_region)


if __name__ == "__main__":
    main()
