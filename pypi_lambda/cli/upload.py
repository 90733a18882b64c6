"""`serverless-pypi upload`: files of any size to an index, with the uploader's own credentials.

Option names and variables are twine's.
"""

import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import click

from indexer.errors import IndexerError, InvalidValue
from pypi_lambda.terminal.faults import WrongInput, told
from pypi_lambda.terminal.place import printable


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False), metavar="DIST...")
@click.option(
    "--repository-url",
    metavar="URL",
    envvar="TWINE_REPOSITORY_URL",
    required=True,
    help="The index; may carry user:password@.  [env TWINE_REPOSITORY_URL]",
)
@click.option("-u", "--username", envvar="TWINE_USERNAME", help="Default: __token__.  [env TWINE_USERNAME]")
@click.option("-p", "--password", envvar="TWINE_PASSWORD", help="Or a token; asked for.  [env TWINE_PASSWORD]")
@click.option("--skip-existing", is_flag=True, help="Pass over files whose names are taken by other content.")
def upload(
    files: tuple[str, ...], repository_url: str, username: str | None, password: str | None, skip_existing: bool
) -> None:
    """Upload wheels and sdists of any size.

    Each goes in parts straight into the index's store, and is published after the same checks as any upload. One that
    breaks off goes on where it was when the command is given again.

    \b
    serverless-pypi upload --repository-url https://pypi.example/ -u ann dist/*
    """
    from pypi_lambda.terminal.progress import Progress
    from pypi_lambda.terminal.sending import Sender, SendingFailed

    url, user, secret = _credentials(repository_url, username, password)
    failed = 0
    with told():
        sender = Sender(url, username=user, password=secret)
        for file in sorted(files, key=lambda name: not name.endswith(".whl")):
            path = Path(file)
            try:
                with Progress(path.name) as progress:
                    message = sender.send(path, on_progress=progress.update)
            except SendingFailed as fault:
                if fault.status in (401, 403):
                    raise
                if skip_existing and fault.status == 409 and str(fault).startswith("File already exists"):
                    click.echo(f"{path.name}: passed over, the name is taken", err=True)
                    continue
                failed += 1
                click.echo(printable(f"{path.name}: {fault}"), err=True)
            except (InvalidValue, IndexerError) as fault:
                failed += 1
                click.echo(printable(f"{path.name}: {fault}"), err=True)
            else:
                click.echo(printable(message), err=True)
    if failed:
        raise SystemExit(1)


def _credentials(url: str, username: str | None, password: str | None) -> tuple[str, str, str]:
    """Return the URL without credentials, and the credentials."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise WrongInput("--repository-url: an http or https URL, such as https://example.com/")
    userinfo, _, host = parts.netloc.rpartition("@")
    given_user, _, given_password = userinfo.partition(":")
    user = username or unquote(given_user) or "__token__"
    secret = password or unquote(given_password)
    if not secret and not sys.stdin.isatty():
        raise WrongInput("there is no password: give -p, set TWINE_PASSWORD, or put it into the URL")
    if not secret:
        secret = click.prompt("Password or token", hide_input=True)
    return urlunsplit((parts.scheme, host, parts.path, "", "")), user, secret
