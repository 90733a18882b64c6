"""`serverless-pypi project`: what private projects there are, what is known of one, and its status."""

from collections.abc import Iterator

import click

from pypi_lambda.terminal.place import Place, Result, at_place

STATUSES = ("archived", "quarantined", "deprecated", "active")


@click.group()
def project() -> None:
    """List and show private projects, and set their status."""


@project.command("list")
@at_place
def list_projects(place: Place) -> None:
    """List the private projects by name."""
    found: list[Result] = []
    after = ""
    while True:
        done = place.run("listProjects", {"after": after})
        found += done["projects"]
        after = done["next"]
        if after is None:
            break
    place.show({"projects": found}, *(listed["name"] for listed in found))


@project.command(short_help="Show the status and the files of a project.")
@click.argument("project")
@at_place
def show(place: Place, project: str) -> None:
    """Show the status of PROJECT and its files, with versions, sizes and yanks."""
    done = place.run("showProject", {"project": project})
    after = done.pop("next")
    while after is not None:
        more = place.run("showProject", {"project": project, "after": after})
        done["files"] += more["files"]
        after = more["next"]
    place.show(done, _status_line(done), *_file_lines(done["files"]))


@project.command()
@click.argument("project")
@click.argument("status", type=click.Choice(STATUSES), required=False)
@click.option("--reason", metavar="TEXT", help="Why; installers and people see it.")
@at_place
def status(place: Place, project: str, status: str | None, reason: str | None) -> None:
    """Say which status PROJECT has, or give it another.

    \b
    archived     no uploads; nothing else changes
    quarantined  no uploads, and no file is offered: for a project that may be malicious
    deprecated   a remark for people; nothing else changes
    active       the usual
    """
    done = place.run("projectStatus", {"project": project, "status": status, "reason": reason})
    if status is None:
        place.show(done, _status_line(done))
    else:
        place.tell(done, _status_line(done) + ("" if done["changed"] else " (as before)"))


def _status_line(done: Result) -> str:
    return f"{done['project']} is {done['status']}" + (f": {done['reason']}" if done["reason"] else "")


def _file_lines(files: list[Result]) -> Iterator[str]:
    if not files:
        return
    widths = [max(len(_column(file, column)) for file in files) for column in range(3)]
    for file in files:
        name, version, size = (_column(file, column) for column in range(3))
        cells = (name.ljust(widths[0]), version.ljust(widths[1]), size.rjust(widths[2]), file["uploadTime"][:10])
        yield f"  {'  '.join(cells)}{_remark(file)}"


def _column(file: Result, column: int) -> str:
    return (str(file["filename"]), str(file["version"]), f"{file['size']:,}")[column]


def _remark(file: Result) -> str:
    if file["removedAt"] is not None:
        return f"  removed {file['removedAt'][:10]}"
    if file["yanked"] is not None:
        return "  yanked" + (f": {file['yanked']}" if file["yanked"] else "")
    return ""
