"""`serverless-pypi user`: who may read and upload."""

import sys

import click

from pypi_lambda.cli.serve import new_password
from pypi_lambda.terminal.faults import WrongInput
from pypi_lambda.terminal.place import Place, Result, at_place


@click.group()
def user() -> None:
    """Add, remove and list users."""


@user.command()
@click.argument("name")
@click.option("--upload", is_flag=True, help="The user may upload, not only read.")
@click.option(
    "--projects",
    multiple=True,
    metavar="PATTERN",
    help="The user may upload only to projects of such names, as in 'acme-*'; may be repeated.",
)
@click.option("--generate", is_flag=True, help="Make a random password and print it.")
@at_place
def add(place: Place, name: str, upload: bool, projects: tuple[str, ...], generate: bool) -> None:
    """Add the user NAME, or give it another password or other rights.

    The password is asked for, or read from standard input when that is no terminal.
    """
    password = new_password() if generate else _read_password()
    patterns = [pattern for text in projects for pattern in text.split(",")] or None
    done = place.run("putUser", {"username": name, "password": password, "upload": upload, "projects": patterns})
    role = "read and upload" if upload else "read"
    to = f" to {', '.join(done['projects'])}" if done.get("projects") else ""
    same = "" if done.get("changed", True) else ", as before"
    if not generate:
        place.tell(done, f"{name} may {role}{to}{same}.")
        return
    place.say(f"{name} may {role}{to}.")
    place.show({**done, "password": password}, password)


def _read_password() -> str:
    if sys.stdin.isatty():
        entered: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return entered
    if password := sys.stdin.readline().rstrip("\r\n"):
        return password
    raise WrongInput("there is no password on standard input: write one there, or use --generate")


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
    """List users and what they may. Of users that serverless-pypi 0.0.6 added only a digest is known."""
    done = place.run("listUsers")
    place.show(done, *map(_line, done["users"]))


def _line(listed: Result) -> str:
    name = listed["username"] or f"sha256:{listed['digest']}"
    role = "upload" if listed["upload"] else "read"
    return "\t".join([name, role, *([", ".join(listed["projects"])] if listed.get("projects") else [])])
