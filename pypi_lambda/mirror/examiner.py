"""What `verify` looks at in what the mirror stored: pages beside their checks, files beside what was announced.

RFC 9111's freshness plays no part here: a stale page is a whole one.
"""

from collections.abc import Mapping

from indexer.digests import verified
from indexer.errors import CorruptObject, DigestMismatch, Missing
from indexer.json_bytes import decode_json
from indexer.keys import (
    CACHE,
    METADATA,
    MIRRORED_PAGES,
    mirrored_check_key,
    mirrored_page_key,
    mirrored_sources_key,
)
from indexer.log.events import Event
from indexer.names import Filename, ProjectName
from indexer.simple.page import decompress
from indexer.store.base import ObjectStore, Stat, Stored
from indexer.upstream.sources import Source, decode_sources
from indexer.verify.findings import Findings, Remedy, Severity
from indexer.verify.project import Group
from pypi_lambda.mirror.check import decode_check, digest_of


class MirrorExaminer:
    """Checks that mirrored pages and addresses are those of the check beside them, and files those that were announced.

    Attributes:
        files: mirrored files that were seen.
        unproved: those of which nothing says what they must be: their page is not stored, or lists them no more.
    """

    def __init__(self, store: ObjectStore, findings: Findings) -> None:
        self._store = store
        self._findings = findings
        self.files = 0
        self.unproved = 0

    def see_event(self, event: Event) -> None:
        """Nothing of the upstream is in the log."""

    def see_object(self, area: str, stat: Stat) -> None:
        """All of it is ordered by projects."""

    def examine(self, group: Group, *, deep: bool) -> None:
        """Compare a project's pages with their check, and its files with what the upstream announced."""
        sources: Mapping[Filename, Source] = {}
        name = ProjectName(group.name)
        if mirrored_check_key(name) in group.objects:
            sources = self._check_page(name) or {}
        else:
            for key in group.objects:
                if key.startswith(MIRRORED_PAGES):
                    problem = "the page is out of use: its check is missing, as of a project that the upstream dropped"
                    self._findings.unneeded(key, problem)
        cached = {key: held.size for key, held in group.objects.items() if key.startswith(CACHE)}
        for key, size in cached.items():
            if not key.endswith(METADATA):
                self._check_file(key, size, sources, deep=deep)
        self._check_metadata(name, [key for key in cached if key.endswith(METADATA)], deep=deep)

    def finish(self) -> None:
        """All was looked at."""

    def _check_page(self, name: ProjectName) -> Mapping[Filename, Source] | None:
        faults: list[tuple[str, str]] = []
        for _ in range(2):  # another process may write them between one reading and the next
            faults.clear()
            sources = self._read_page(name, faults)
            if not faults:
                return sources
        for key, problem in faults:
            self._findings.add(key, problem, Severity.DERIVED, Remedy.FETCH)
        return None

    def _read_page(self, name: ProjectName, faults: list[tuple[str, str]]) -> Mapping[Filename, Source]:
        keys = (mirrored_check_key(name), mirrored_page_key(name), mirrored_sources_key(name))
        stored_check, page, stored_sources = (stored for _, stored in self._store.find_all(keys))
        if stored_check is None:  # taken out of use meanwhile
            return {}
        try:
            check = decode_check(keys[0], stored_check.body)
        except CorruptObject as fault:
            faults.append((keys[0], fault.reason))
            return {}
        faults += _faults(keys[1], page, check.page_digest) + _faults(keys[2], stored_sources, check.sources_digest)
        try:
            return {} if faults or stored_sources is None else decode_sources(keys[2], stored_sources.body)
        except CorruptObject as fault:
            faults.append((keys[2], fault.reason))
            return {}

    def _check_file(self, key: str, size: int, sources: Mapping[Filename, Source], *, deep: bool) -> None:
        filename = key.rpartition("/")[2]
        source = sources.get(Filename(filename))
        self.files += 1
        if source is None:
            self.unproved += 1
            return
        announced = source.size
        if not source.is_proved:
            problem = "it is unverified: the upstream announced no digest that proves it"
            self._findings.add(key, problem, Severity.NOTE, Remedy.LOOK)
        if announced is not None and announced != size and not source.is_proved:
            problem = f"it has {size:,} bytes, and the upstream announced {announced:,}"
            self._findings.add(key, problem, Severity.DERIVED, Remedy.FETCH)
        elif deep or (announced is not None and announced != size):  # clients go by the digest, not by the size
            self._check_digest(key, source.hashes)

    def _check_metadata(self, name: ProjectName, keys: list[str], *, deep: bool) -> None:
        """Compare the metadata of files with what the page says of it, and with the names of these files."""
        self.files += len(keys)
        said = self._find_said(name) if deep and keys else {}
        for key in keys:
            filename = Filename(key.rpartition("/")[2].removesuffix(METADATA))
            if deep and not self._is_metadata(key, name, filename):
                problem = "it is not the metadata of that file: an earlier version kept whatever the upstream sent"
                self._findings.add(key, problem, Severity.DERIVED, Remedy.FETCH)
            elif isinstance(hashes := said.get(filename), dict):
                self._check_digest(key, hashes)
            else:
                self.unproved += 1

    def _is_metadata(self, key: str, name: ProjectName, filename: Filename) -> bool:
        from indexer.distributions.metadata_identity import is_metadata_of, version_in

        stored = self._store.find(key)
        return stored is None or is_metadata_of(stored.body, name, version_in(filename))

    def _find_said(self, name: ProjectName) -> Mapping[str, object]:
        """Return what the page says of metadata, by file: a digest that was found in the wheel stands there alone."""
        key = mirrored_page_key(name)
        stored = self._store.find(key)
        try:
            files = [] if stored is None else decode_json(decompress(key, stored.body))["files"]
            return {file["filename"]: file.get("core-metadata") for file in files}
        except (CorruptObject, ValueError, TypeError, LookupError):  # which was reported when the page was looked at
            return {}

    def _check_digest(self, key: str, hashes: Mapping[str, str]) -> None:
        if not hashes:
            self.unproved += 1
            return
        try:
            for _ in verified(key, self._store.read(key), hashes=hashes, size=None):
                pass
        except Missing:  # deleted meanwhile
            return
        except DigestMismatch as fault:
            problem = f"it has {fault.actual}, and the upstream announced {fault.expected}"
            self._findings.add(key, problem, Severity.DERIVED, Remedy.FETCH)


def _faults(key: str, stored: Stored | None, digest: str) -> list[tuple[str, str]]:
    if stored is None:
        return [(key, "it is missing, and its check is there")]
    return [] if digest_of(stored.body) == digest else [(key, "it is not what the check beside it was made for")]
