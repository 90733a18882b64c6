"""The command that looks for damage, and repairs what is derived."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

from indexer.derive.master import encode_names, get_names, put_master
from indexer.derive.rebuild import rebuild
from indexer.derive.root import repair_root
from indexer.errors import InvalidValue
from indexer.keys import MIRRORED_PAGES, mirrored_check_key, mirrored_page_key, mirrored_sources_key, project_of
from indexer.log.log import Head
from indexer.names import ProjectName
from indexer.store.base import ObjectStore
from indexer.value import value
from indexer.verify.findings import Finding, Findings, Severity
from indexer.verify.whole import verify
from pypi_lambda.access.examiner import AccessExaminer
from pypi_lambda.app.service import policy_of, renderer_of
from pypi_lambda.command.context import Context, Result
from pypi_lambda.mirror.examiner import MirrorExaminer

MAX_SHOWN = 1_000  # findings in the result; a function answers at most 6 MB
# A function has 900 s, and the log, the listing and the pages come before the files.
DEEP_SECONDS = 600

_NOTED = re.compile(r"([1-9][0-9]{0,18}):([0-9a-f]{64})")


def _parse_noted(field: str, value: object) -> Head | None:
    match = None if value is None else _NOTED.fullmatch(str(value))
    if value is not None and match is None:
        raise InvalidValue(field, value, "SEQ:DIGEST, as an earlier verification said it")
    return None if match is None else Head(seq=int(match[1]), digest=match[2])


@value
class Verify:
    """Compare everything in the store with a fold of the log from zero.

    Attributes:
        deep: read every file and compare its digest, too.
        repair: write again what is derived and damaged; truth is never touched.
        expect: the head that was noted earlier, which must still be in the log.
        after: the `next` of an earlier answer: where reading files goes on.
        seconds: how long it may take until no more files are read.
    """

    deep: bool = False
    repair: bool = False
    expect: Annotated[Head | None, _parse_noted] = None
    after: str = ""
    seconds: int = DEEP_SECONDS

    def run(self, context: Context) -> Result:
        """Carry it out."""
        store, shown = context.service.store, list[Finding]()

        def show(finding: Finding) -> None:
            if len(shown) < MAX_SHOWN:
                shown.append(finding)

        findings = Findings(show)
        access, mirror = AccessExaminer(store, findings), MirrorExaminer(store, findings)
        done = verify(
            store,
            renderer_of(context.settings),
            findings,
            now=context.now(),
            removed_days=context.settings.removed_retention_days,
            selection=policy_of(context.settings),
            noted=self.expect,
            deep=self.deep,
            after=self.after,
            stop=self._stopper(context),
            examiners=(access, mirror),
            on_progress=context.on_progress,
        )
        repaired = _repair(context, findings) if self.repair else []
        return {
            "head": f"{done.head.seq}:{done.head.digest}" if done.head.seq else None,
            "projects": done.projects,
            "files": done.files,
            "mirroredFiles": mirror.files,
            "mirroredFilesUnproved": mirror.unproved,
            "bytesRead": done.bytes_hashed,
            "next": done.next or None,
            "damage": findings.damage,
            "counts": {severity.value: findings.count(severity) for severity in Severity},
            "findings": [_shown(finding) for finding in shown],
            "repaired": repaired,
        }

    def _stopper(self, context: Context) -> Callable[[], bool]:
        end = context.now() + timedelta(seconds=self.seconds)
        return lambda: context.now() >= end


def _shown(finding: Finding) -> Result:
    return {
        "key": finding.key,
        "problem": finding.problem,
        "severity": finding.severity.value,
        "remedy": finding.remedy.value,
    }


def _repair(context: Context, findings: Findings) -> list[str]:
    """Write again what is derived, and return what was done, in words."""
    store, repaired = context.service.store, []
    if findings.to_fetch:
        _forget(store, findings.to_fetch)
        repaired.append(f"{len(findings.to_fetch):,} mirrored objects are deleted, to be fetched again")
    if not (findings.to_rebuild or findings.to_list):
        return repaired
    if findings.log_is_damaged:
        return [*repaired, "nothing was rebuilt: the log is damaged, and what was derived of it may be all there is"]
    done = rebuild(store, renderer_of(context.settings), from_zero=findings.to_rebuild)
    upstream = done.snapshot.upstream
    if findings.lists_are_whole and upstream is not None:
        put_master(store, encode_names(get_names(store, upstream.names_sha256)))
    repair_root(store, done.snapshot, policy_of(context.settings))
    context.on_rebuilt(done.snapshot.head.seq)
    return [*repaired, f"snapshot, root listings and the pages of {done.pages:,} projects are written again"]


def _forget(store: ObjectStore, keys: list[str]) -> None:
    for key in keys:
        together: tuple[str, ...] = (key,)
        if key.startswith(MIRRORED_PAGES):
            name = ProjectName(project_of(MIRRORED_PAGES, key))
            # The check first: without it the rest is out of use.
            together = (mirrored_check_key(name), mirrored_page_key(name), mirrored_sources_key(name))
        for each in together:
            store.delete(each)
