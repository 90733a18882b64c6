"""`serverless-pypi yank`, `unyank`, `remove` and `restore`: what becomes of published files."""

import re
from collections.abc import Callable
from typing import Any

import click

from pypi_lambda.terminal.place import Place, Result, at_place

_FILE = re.compile(r".*\.(whl|gz|zip|tgz|tar|bz2|xz|z|egg|exe|msi)", re.IGNORECASE)  # no version ends like that

# What is so already, where a command changed nothing; what is not yanked may never have been.
_STANDING = {
    "yanked": "was yanked before",
    "unyanked": "is not yanked",
    "removed": "was removed before",
    "restored": "is not removed",
}

_reason = click.option("--reason", metavar="TEXT", help="Why, for whoever asks later.")


def _target(*, required: bool = True) -> Callable[..., Any]:
    return click.argument("target", metavar="VERSION|FILE" if required else "[VERSION|FILE]", required=required)


@click.command(short_help="Have installers pass a version, or a file, over.")
@click.argument("project")
@_target()
@_reason
@at_place
def yank(place: Place, project: str, target: str, reason: str | None) -> None:
    """Yank a version of PROJECT, or one file: installers pass it over, unless it is pinned by ==.

    Installers show the reason to those who pinned it. A yank is taken back by `unyank`.
    """
    done = place.run("yank", {"project": project, **_meant(target), "reason": reason})
    _tell(place, done, "yanked", target)


@click.command(short_help="Take a yank back.")
@click.argument("project")
@_target()
@at_place
def unyank(place: Place, project: str, target: str) -> None:
    """Take the yank of a version of PROJECT, or of one file, back."""
    _tell(place, place.run("unyank", {"project": project, **_meant(target)}), "unyanked", target)


@click.command(short_help="Remove a project, a version or a file.")
@click.argument("project")
@_target(required=False)
@_reason
@click.option("--yes", is_flag=True, help="It is meant; without it, this only says what it would remove.")
@at_place
def remove(place: Place, project: str, target: str | None, reason: str | None, yes: bool) -> None:
    """Remove a version of PROJECT, one file, or all of them: nobody can install them any more.

    The names stay taken: neither the files nor the version can be uploaded again with other content, and the project
    stays private. `restore` offers a version or a file again. To hide a bad release from new users only, `yank` it.
    """
    meant = {} if target is None else _meant(target)
    done = place.run("remove", {"project": project, **meant, "reason": reason, "yes": yes})
    _tell(place, done, "removed", target or project)


@click.command(short_help="Offer a removed version or file again.")
@click.argument("project")
@_target()
@at_place
def restore(place: Place, project: str, target: str) -> None:
    """Offer a removed version of PROJECT, or a removed file, again, if its content is still stored."""
    _tell(place, place.run("restore", {"project": project, **_meant(target)}), "restored", target)


def _meant(target: str) -> dict[str, str]:
    return {"filename" if _FILE.fullmatch(target) else "version": target}


def _tell(place: Place, done: Result, what: str, target: str) -> None:
    lines = [f"{what} {filename}" for filename in done["files"]]
    place.tell(done, *lines or [f"nothing changed: {target} {_STANDING[what]}"])
