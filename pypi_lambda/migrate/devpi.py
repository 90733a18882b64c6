"""A folder that `devpi-export` wrote: the files of its stage indexes, with who uploaded them when.

`dataindex.json` of devpi-server 6.20 (dump version 2): docs/facts.md. Users are not brought over: devpi hashes
passwords in a way of its own. Neither are mirrors, documentation and test results.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from indexer.errors import InvalidValue
from indexer.log.events import timestamp
from indexer.names import ProjectName, check_filename, normalize_name
from indexer.store.reader import chunks_of
from pypi_lambda.migrate.origin import Failure, OriginFile, OriginProject

DATA_INDEX = "dataindex.json"
MAX_DATA_INDEX_BYTES = 1_073_741_824  # 1 GiB: an export of 100,000 releases has about 200 MB
KNOWN_DUMP = "2"


class DevpiOrigin:
    """One index of an export.

    Args:
        folder: what `devpi-export` wrote.
        index: `user/index`; "" where the export has just one stage index.

    Raises:
        InvalidValue: it is no export, or has no such index.
    """

    def __init__(self, folder: Path, index: str) -> None:
        self._folder = folder
        self._projects: dict[ProjectName, list[dict[str, Any]]] = {}
        self.failures: list[Failure] = []
        for file in _read_index(folder, index).get("files", []):
            self._add(file)

    def _add(self, file: dict[str, Any]) -> None:
        if file.get("type") != "releasefile":
            return
        try:
            name = normalize_name(str(file["projectname"]), field="projectname")
            check_filename(str(file["relpath"]).rpartition("/")[2])
        except (InvalidValue, KeyError) as fault:
            self.failures.append(Failure(where=str(file.get("relpath")), reason=str(fault)))
            return
        self._projects.setdefault(name, []).append(file)

    def names(self) -> tuple[ProjectName, ...]:
        """Return the projects that have files."""
        return tuple(sorted(self._projects))

    def read_project(self, name: ProjectName) -> OriginProject:
        """Return a project."""
        return OriginProject(name=name, files=tuple(map(self._file, self._projects[name])))

    def _file(self, file: dict[str, Any]) -> OriginFile:
        relpath = str(file["relpath"])

        @contextmanager
        def open_() -> Iterator[Iterator[bytes]]:
            path = (self._folder / relpath).resolve()
            if not path.is_relative_to(self._folder.resolve()) or not path.is_file():
                raise InvalidValue("relpath", relpath, "a file inside the export")
            with path.open("rb") as content:
                yield chunks_of(content)

        entry = file.get("entrymapping", {})
        return OriginFile(
            filename=check_filename(relpath.rpartition("/")[2]),
            where=relpath,
            hashes={str(name): str(digest) for name, digest in entry.get("hashes", {}).items()},
            upload_time=_find_upload_time(file.get("log", [])),
            yanked=_yank_reason(entry.get("yanked")),
            open=open_,
        )


def _read_index(folder: Path, index: str) -> dict[str, Any]:
    path = folder / DATA_INDEX
    if not path.is_file() or path.stat().st_size > MAX_DATA_INDEX_BYTES:
        raise InvalidValue("folder", str(folder), f"what devpi-export wrote, with a {DATA_INDEX}")
    try:
        document = json.loads(path.read_bytes())
        version, indexes = document["dumpversion"], document["indexes"]
    except (ValueError, TypeError, KeyError):
        raise InvalidValue("folder", str(folder), f"what devpi-export wrote; its {DATA_INDEX} cannot be read") from None
    if version != KNOWN_DUMP:
        raise InvalidValue("dumpversion", version, f"{KNOWN_DUMP!r}, as devpi-server 5 and 6 write it")
    stages = {name: found for name, found in indexes.items() if found.get("indexconfig", {}).get("type") != "mirror"}
    if index in stages:
        found: dict[str, Any] = stages[index]
        return found
    if index or len(stages) != 1:
        raise InvalidValue("index", index, f"one of {', '.join(sorted(stages))}")
    return next(iter(stages.values()))


def _find_upload_time(log: list[dict[str, Any]]) -> str | None:
    try:
        upload = next(entry for entry in log if entry.get("what") == "upload")
        year, month, day, hour, minute, second = upload["when"]
        return timestamp(datetime(year, month, day, hour, minute, second, tzinfo=UTC))
    except (TypeError, ValueError, LookupError, StopIteration):
        return None


def _yank_reason(yanked: object) -> str | None:
    return None if yanked in (None, False) else yanked if isinstance(yanked, str) else ""
