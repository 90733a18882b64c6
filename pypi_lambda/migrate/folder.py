"""A folder of distributions, as pypiserver and `pip download` have it: files at any depth, their names say whose."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from indexer.distributions.distribution import check_distribution, parse_filename
from indexer.distributions.filenames import sdist_names
from indexer.errors import InvalidValue
from indexer.log.events import timestamp
from indexer.names import Filename, ProjectName, check_filename
from indexer.store.reader import chunks_of
from pypi_lambda.migrate.origin import Failure, OriginFile, OriginProject

# What build tools leave: a wheel or an sdist. Everything else in the folder is no distribution and no failure.
ENDINGS = (".whl", ".tar.gz", ".zip", ".egg", ".exe", ".msi", ".tar.bz2", ".tar.xz", ".tgz")


class FolderOrigin:
    """A folder.

    Args:
        folder: read at any depth; hidden files and folders are passed over.

    Raises:
        InvalidValue: it is no folder.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InvalidValue("folder", folder, "a folder with wheels and sdists")
        self._folder = folder
        self._projects: dict[ProjectName, list[Path]] = {}
        self.failures: list[Failure] = []
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name.endswith(ENDINGS) and not _is_hidden(path.relative_to(folder)):
                self._add(path)

    def _add(self, path: Path) -> None:
        try:
            name = _find_project(path, check_filename(path.name))
        except InvalidValue as fault:
            self.failures.append(Failure(where=str(path.relative_to(self._folder)), reason=str(fault)))
            return
        self._projects.setdefault(name, []).append(path)

    def names(self) -> tuple[ProjectName, ...]:
        """Return the projects whose files lie there."""
        return tuple(sorted(self._projects))

    def read_project(self, name: ProjectName) -> OriginProject:
        """Return a project; its files were uploaded when they were last written."""
        return OriginProject(name=name, files=tuple(map(self._file, self._projects[name])))

    def _file(self, path: Path) -> OriginFile:
        @contextmanager
        def open_() -> Iterator[Iterator[bytes]]:
            with path.open("rb") as file:
                yield chunks_of(file)

        return OriginFile(
            filename=check_filename(path.name),
            where=str(path.relative_to(self._folder)),
            hashes={},
            upload_time=timestamp(datetime.fromtimestamp(path.stat().st_mtime, UTC)),
            yanked=None,
            open=open_,
        )


def _find_project(path: Path, filename: Filename) -> ProjectName:
    """Return whose file it is: where its name can be read in several ways, the project that its content names."""
    names = sdist_names(filename)
    for said in names if len(names) > 1 else ():
        try:
            with path.open("rb") as content:
                return check_distribution(content, filename, name=said.project).project
        except (InvalidValue, OSError):
            continue
    return parse_filename(filename).project


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
