"""`serverless-pypi adopt` and `import`: moving in from elsewhere."""

import click

from pypi_lambda.terminal.faults import WrongInput
from pypi_lambda.terminal.place import Place, Result, at_place


@click.command()
@click.option("--drop-unverified", is_flag=True, help="Remove mirrored files that are not what the upstream lists.")
@at_place
def adopt(place: Place, drop_unverified: bool) -> None:
    """Take over a bucket of serverless-pypi 0.0.6 where it is.

    Publishes its private files with the yanks of its pages, and compares each mirrored file with the upstream's
    digest. Its users log in as before. May be given again at any time.
    """
    done = place.run("adopt", {"dropUnverified": drop_unverified}, doing="checking files", unit="files")
    dropped = set(done["dropped"])
    place.tell(
        done,
        f"{len(done['adopted'])} private files published, {len(done['yanked'])} of them yanked; {done['users']} users",
        f"{done['verified']} mirrored files are what the upstream lists",
        *(f"{'removed' if key in dropped else 'not verified'}: {key}" for key in done["unverified"]),
        *(f"no longer needed: {key}" for key in done["obsolete"]),
        *_failures(done),
    )
    if done["failed"] or set(done["unverified"]) - dropped:
        raise SystemExit(1)


lenient_option = click.option(
    "--lenient", is_flag=True, help="Take whatever pip installs: leave what is invalid off the page, and name it."
)


@click.group("import")
def import_() -> None:
    """Publish what another index has. May be given again: what is here already stays as it is."""


@import_.command("folder", short_help="Publish the wheels and sdists in a folder.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@lenient_option
@at_place
def import_folder(place: Place, folder: str, lenient: bool) -> None:
    """Publish the wheels and sdists in FOLDER, at any depth, as pypiserver has them."""
    _refuse_function(place)
    argument = {"folder": folder, "lenient": lenient}
    _report(place, place.run("importFolder", argument, doing="importing", unit="projects"))


@import_.command("devpi")
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option("--index", default="", metavar="USER/INDEX", help="Which index, where the export has several.")
@lenient_option
@at_place
def import_devpi(place: Place, folder: str, index: str, lenient: bool) -> None:
    """Publish the files in FOLDER that devpi-export wrote."""
    _refuse_function(place)
    argument = {"folder": folder, "index": index, "lenient": lenient}
    _report(place, place.run("importDevpi", argument, doing="importing", unit="projects"))


@import_.command("index", short_help="Publish projects of another index as your own.")
@click.argument("projects", nargs=-1, required=True, metavar="PROJECT...")
@click.option(
    "--url",
    required=True,
    envvar="IMPORT_INDEX_URL",
    help="The index's root page; may carry user:password@.  [env IMPORT_INDEX_URL]",
)
@lenient_option
@at_place
def import_index(place: Place, projects: tuple[str, ...], url: str, lenient: bool) -> None:
    """Publish projects of another index as your own: PROJECT is a name, or a pattern such as 'acme-*'.

    Works with whatever has a simple API: devpi, Artifactory, CodeArtifact, GitLab, and others. From then on these names
    are private here.

    \b
    serverless-pypi import index --url https://user:password@devpi.example/root/prod/+simple/ 'acme-*' other
    """
    argument = {"url": url, "projects": list(projects), "lenient": lenient}
    _report(place, place.run("importIndex", argument, doing="importing", unit="projects"))


def _refuse_function(place: Place) -> None:
    if place.function is not None:
        raise WrongInput("--function does not go with a folder, which the function cannot read; use --bucket")


def _report(place: Place, done: Result) -> None:
    left_out = [f"taken all the same: {where}: {why}" for where, whys in done["leftOut"].items() for why in whys]
    counts = f"{len(done['published'])} files published, {len(done['yanked'])} yanked, {done['present']} here before"
    place.tell(
        done, f"{done['projects']} projects: {counts}, {len(done['failed'])} failed", *left_out, *_failures(done)
    )
    if done["failed"]:
        raise SystemExit(1)


def _failures(done: Result) -> list[str]:
    return [f"failed: {where}: {reason}" for where, reason in done["failed"].items()]
