"""`serverless-pypi user`: who may read and upload."""

import sys

import click

from pypi_lambda.cli.place import Place, at_place
from pypi_lambda.cli.serve import new_password


@click.group()
def user() -> None:
    """Add, remove and list users."""


@user.command()
@click.argument("name")
@click.option("--upload", is_flag=True, help="The user may upload, not only read.")
@click.option("--generate", is_flag=True, help="Make a random password and print it.")
@at_place
def add(place: Place, name: str, upload: bool, generate: bool) -> None:
    """Add the user NAME, or give it another password or role.

    The password is asked for, or read from standard input when that is no terminal.
    """
    password = new_password() if generate else _read_password()
    done = place.run("putUser", {"username": name, "password": password, "upload": upload})
    role = "read and upload" if upload else "read"
    click.echo(f"{name} may {role}.", err=True)
    if generate:
        place.show({**done, "password": password}, password)


def _read_password() -> str:
    if sys.stdin.isatty():
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return password
    return sys.stdin.readline().rstrip("\r\n")


@user.command()
@click.argument("name")
@at_place
def remove(place: Place, name: str) -> None:
    """Remove the user NAME; its next request is refused."""
    done = place.run("removeUser", {"username": name})
    if not done["existed"]:
        raise click.ClickException(f"there is no user {name!r}")
    place.tell(done, f"{name} is removed.")


@user.command("list")
@at_place
def list_users(place: Place) -> None:
    """List users and roles. Of users that serverless-pypi 0.0.6 added only a digest is known."""
    done = place.run("listUsers")
    lines = (
        f"{listed['username'] or 'sha256:' + listed['digest']}\t{'upload' if listed['upload'] else 'read'}"
        for listed in done["users"]
    )
    place.show(done, *lines)
