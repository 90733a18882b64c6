"""`serverless-pypi serve`: the index over HTTP, on a laptop or a server."""

import secrets
import shlex
import subprocess
import sys
from ipaddress import ip_address
from urllib.parse import urlsplit

import click

from pypi_lambda.clock import new_id, utc_now
from pypi_lambda.terminal.faults import told
from pypi_lambda.terminal.place import DEFAULT_BUCKET, bucket_option, read_settings_here, upstream_option

FIRST_USER = "admin"
NO_UPSTREAM_TOLD = ", without an upstream: it has what is published here and nothing else"

_THIS_PROGRAM = (sys.executable, "-P", "-m", "pypi_lambda.cli")  # -P: import nothing from the working directory


@click.command()
@bucket_option
@upstream_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="The port to listen on.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 256), help="Server processes.")
@told()
def serve(bucket: str | None, upstream: str | None, host: str, port: int, workers: int) -> None:
    """Serve the index over HTTP, until interrupted.

    On an empty folder this creates a user that may upload and prints its password once. The upstream's list of projects
    is read in the background, at once and then hourly.
    """
    settings = read_settings_here(bucket, upstream)
    url = f"http://{_url_host(host)}:{port}{settings.api_gateway_base_path}"
    from pypi_lambda.server.granian import check_free, serve_forever

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


@click.command("set-up", hidden=True)
@click.argument("url")
@told()
def set_up(url: str) -> None:
    """Make sure that the store can be used, and that it has a user and a snapshot."""
    from indexer.derive.rebuild import load_snapshot, rebuild
    from indexer.log.journal import Journal
    from indexer.store.open import open_store
    from indexer.store.probe import check_store
    from pypi_lambda.access.admin import Users, add_first_user
    from pypi_lambda.app.health import find_advice
    from pypi_lambda.app.service import renderer_of

    settings = read_settings_here(None, None)
    store = open_store(settings.bucket, settings.repo_base_prefix, region=settings.bucket_region)
    check_store(store, new_id())
    password = new_password()
    head = load_snapshot(store, renderer_of(settings)).snapshot.head
    users = Users(store, Journal(store, by="serve", now=utc_now, new_id=new_id, head=head))
    if add_first_user(users, store, FIRST_USER, password):
        wanted = "requests" if settings.has_upstream else "PROJECT"
        click.echo(_welcome(url, settings.bucket, FIRST_USER, password, wanted))
    rebuild(store, renderer_of(settings))
    click.echo(f"serving {settings.bucket} on {url}{'' if settings.has_upstream else NO_UPSTREAM_TOLD}", err=True)
    if (advice := find_advice(store, settings)) is not None:
        click.echo(advice, err=True)


def new_password() -> str:
    """Return a random password."""
    # 128 bits as hex: pasted after `-p`, one that begins with `-`, as base64 may, would be taken for an option.
    return secrets.token_hex(16)


def _welcome(url: str, bucket: str, username: str, password: str, wanted: str) -> str:
    scheme, _, rest = url.partition("://")
    index = f"{scheme}://{username}:{password}@{rest}/simple/"
    where = "" if bucket == DEFAULT_BUCKET else f" --bucket {shlex.quote(bucket)}"
    return f"""
This index has no users yet, so one was made that may upload. Its password is shown only now:

    username  {username}
    password  {password}

Install:

    pip install {_trust(url)}--index-url {index} {wanted}
    uv pip install --index-url {index} {wanted}

Upload:

    twine upload --repository-url {url}/ -u {username} -p {password} dist/*
    uv publish --publish-url {url}/ -u {username} -p {password} dist/*

More users:  serverless-pypi user add NAME [--upload]{where}
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
