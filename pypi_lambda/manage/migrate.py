"""Commands that bring files over from elsewhere. Each may be given again: what is here already stays as it is."""

from pathlib import Path

from indexer.value import field, value
from pypi_lambda import __version__
from pypi_lambda.command.arguments import Secret, Text
from pypi_lambda.command.context import Context, Result
from pypi_lambda.migrate.importer import Imported, Importer
from pypi_lambda.migrate.origin import Failure


@value
class ImportFolder:
    """Publish the wheels and sdists in a folder, as pypiserver has them.

    Attributes:
        lenient: take whatever pip installs, and say what is wrong with it.
    """

    folder: Text
    lenient: bool = False
    short = "folder"

    def run(self, context: Context) -> Result:
        """Carry it out."""
        from pypi_lambda.migrate.folder import FolderOrigin

        origin = FolderOrigin(Path(self.folder))
        return _result(Importer(context, lenient=self.lenient).run(origin), *origin.failures)


@value
class ImportDevpi:
    """Publish the files of an index that `devpi-export` wrote into a folder.

    Attributes:
        lenient: take whatever pip installs, and say what is wrong with it.
    """

    folder: Text
    index: str = ""
    lenient: bool = False

    def run(self, context: Context) -> Result:
        """Carry it out."""
        from pypi_lambda.migrate.devpi import DevpiOrigin

        origin = DevpiOrigin(Path(self.folder), self.index)
        return _result(Importer(context, lenient=self.lenient).run(origin), *origin.failures)


@value
class ImportIndex:
    """Publish projects of another index as our own, over its simple API.

    Attributes:
        url: of its root page; may carry credentials.
        projects: names, and patterns in which `*` is any run of characters.
        lenient: take whatever pip installs, and say what is wrong with it.
    """

    url: Secret = field(repr=False)
    projects: tuple[str, ...]
    lenient: bool = False

    def run(self, context: Context) -> Result:
        """Carry it out."""
        from indexer.upstream.client import Upstream
        from pypi_lambda.migrate.simple_index import SimpleIndexOrigin

        upstream = Upstream(
            self.url,
            user_agent=f"serverless-pypi/{__version__}",
            private_hosts=context.settings.upstream_private_hosts,
        )
        try:
            origin = SimpleIndexOrigin(upstream, self.projects, now=context.now)
            return _result(Importer(context, lenient=self.lenient).run(origin))
        finally:
            upstream.close()


@value
class Adopt:
    """Take over a bucket of serverless-pypi 0.0.6 where it is: publish its private files, check its mirrored ones.

    Its users stay as they are.
    """

    drop_unverified: bool = False

    def run(self, context: Context) -> Result:
        """Carry it out."""
        from pypi_lambda.migrate.predecessor import adopt_bucket

        done = adopt_bucket(context, drop_unverified=self.drop_unverified)
        return {
            "adopted": list(done.adopted),
            "yanked": list(done.yanked),
            "users": done.users,
            "verified": done.verified,
            "unverified": list(done.unverified),
            "dropped": list(done.dropped),
            "obsolete": list(done.obsolete),
            "failed": {failure.where: failure.reason for failure in done.failures},
        }


def _result(done: Imported, *failures: Failure) -> Result:
    return {
        "projects": done.projects,
        "published": list(done.published),
        "present": done.present,
        "yanked": list(done.yanked),
        "failed": {failure.where: failure.reason for failure in (*failures, *done.failures)},
        "leftOut": _by_file(done.left_out),
    }


def _by_file(failures: tuple[Failure, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for failure in failures:
        found.setdefault(failure.where, []).append(failure.reason)
    return found
