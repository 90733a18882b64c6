"""The command that explains what may enter: whose a name is, by which rule, and what holds a file back."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from indexer.errors import UpstreamUnavailable
from indexer.json_bytes import decode_json
from indexer.keys import cache_key, file_key
from indexer.log.events import timestamp
from indexer.log.project import WITHHELD_STATUS, Project
from indexer.names import Filename, ProjectName
from indexer.patterns import find_match
from indexer.simple.marks import DROPPED, UNVERIFIED, find_dropped
from indexer.simple.page import decompress
from indexer.store.base import Stat
from indexer.value import value
from pypi_lambda.app.service import policy_of
from pypi_lambda.command.context import Context, Result
from pypi_lambda.cooldown.choice import is_old, release_of
from pypi_lambda.cooldown.moments import find_moment
from pypi_lambda.http.faults import RequestError
from pypi_lambda.mirror.file_hosts import MAX_HOSTS, WHY_SECONDS, sentence, within
from pypi_lambda.mirror.offer import FileQuery
from pypi_lambda.view.policy import Policy
from pypi_lambda.view.view import CLOSED_STANDINGS, Standing, View

NOT_LISTED = "the upstream does not list it"

Entry = Mapping[str, Any]
Told = dict[str, object]


@value
class Why:
    """Say whether a project, or a file of it, may enter, and why."""

    project: ProjectName
    filename: Filename | None = None
    short = "project"

    def run(self, context: Context) -> Result:
        """Carry it out."""
        view = context.service.index.refresh()
        policy = policy_of(context.settings) or Policy()
        standing = view.standing(self.project)
        rule, sentence = _rule(view, policy, self.project, standing)
        done: Told = {"project": self.project, "standing": standing.value, "rule": rule, "because": sentence}
        if standing is Standing.PRIVATE:
            return done | self._of_private(context, context.service.index.project(view, self.project))
        return done | self._of_upstream(context, policy, standing)

    def _of_private(self, context: Context, project: Project) -> Told:
        found: Told = {"status": project.status, "statusReason": project.status_reason}
        if self.filename is None:
            return found
        file = project.files.get(self.filename)
        stat = context.service.store.stat(file_key(self.project, self.filename))
        if file is None:
            because = "no such file was published"
        elif file.removed:
            because = f"it was removed at {file.removed_at}"
        elif project.status == WITHHELD_STATUS:
            because = "its project is quarantined"
        elif file.yanked is not None:
            because = f"it is private and published, and yanked: {file.yanked}"
        else:
            because = "it is private and published"
        told = {
            "filename": self.filename,
            "delivered": file is not None and not file.removed and project.status != WITHHELD_STATUS,
            "because": because,
            "uploadTime": None if file is None else file.upload_time,
            "until": None,
            "stored": stat is not None,
            "sha256": None if file is None else file.sha256,
        }
        return found | {"file": told}

    def _of_upstream(self, context: Context, policy: Policy, standing: Standing) -> Told:
        min_age, now = policy.min_age_of(self.project), context.now()
        page, fault = _read_page(context, self.project, standing)
        entries: list[Entry] = page["files"]
        held = [entry for entry in entries if not is_old(find_moment(entry.get("upload-time")), min_age, now)]
        hosts = self._find_private_hosts(context, standing, entries)
        told: Told = {
            "minAgeDays": min_age / timedelta(days=1),
            "minAgeExempt": find_match(self.project, policy.min_age_exempt),
            "upstreamFault": fault,
            "files": len(entries),
            "heldBack": [_times(entry, min_age) for entry in held],
            "unverified": sum(UNVERIFIED in entry for entry in entries),
            "dropped": page.get(DROPPED, {"count": 0, "files": []}),
            "privateHosts": list(hosts),
        }
        if self.filename is None:
            return told
        file = self._of_file(context, self.filename, standing, page, min_age)
        if hosts and file["delivered"] and not file["stored"]:
            file |= {"delivered": False, "because": sentence(hosts)}
        return told | {"file": file}

    def _find_private_hosts(self, context: Context, standing: Standing, entries: list[Entry]) -> tuple[str, ...]:
        """Return the hosts of the project's files, or of the one that is meant, that may not be asked."""
        if standing is not Standing.UPSTREAM or not entries:
            return ()
        pages = context.service.mirror.pages

        def find() -> tuple[str, ...]:
            sources = pages.find_sources(self.project) or {}
            urls = [source.url for name, source in sources.items() if self.filename in (None, name)]
            return pages.upstream().find_private_hosts(urls, MAX_HOSTS)

        return within(WHY_SECONDS, find) or ()

    def _of_file(
        self, context: Context, filename: Filename, standing: Standing, page: Entry, min_age: timedelta
    ) -> Told:
        stat = context.service.store.stat(cache_key(self.project, filename))
        entry = next((entry for entry in page["files"] if entry["filename"] == filename), None)
        uploaded = None if entry is None else find_moment(entry.get("upload-time"))
        known = uploaded or (None if stat is None else stat.modified)
        refusal = self._refusal(context, filename, standing, entry, stat)
        if entry is None and refusal == NOT_LISTED and (reason := find_dropped(page, filename)) is not None:
            refusal = f"the upstream lists it, and it is left out: {reason}"
        return {
            "filename": filename,
            "delivered": refusal is None,
            "because": refusal or ("it is old enough" if min_age else "files of any age may enter"),
            "uploadTime": None if uploaded is None else timestamp(uploaded),
            "until": timestamp(release_of(known, min_age)) if known is not None and min_age else None,
            "stored": stat is not None,
            "sha256": None if entry is None else entry["hashes"].get("sha256"),
            "verified": None if entry is None else UNVERIFIED not in entry,
        }

    def _refusal(
        self, context: Context, filename: Filename, standing: Standing, entry: Entry | None, stat: Stat | None
    ) -> str | None:
        """Return why a file is not delivered, or None when it is."""
        if standing in CLOSED_STANDINGS:
            return f"its project is {standing.value}"
        if stat is None and standing is Standing.UNKNOWN:
            return "its project is unknown, and it is not stored"
        if stat is None and entry is None:
            return NOT_LISTED
        try:
            file = FileQuery(
                name=self.project,
                filename=filename,
                moment=None,
                is_asked=standing is not Standing.UNKNOWN,
                is_stored=stat is not None,
                stored_at=None if stat is None else stat.modified,
            )
            context.service.offer().check_file(file)
        except RequestError as refusal:
            return refusal.message
        return None


def _rule(view: View, policy: Policy, name: ProjectName, standing: Standing) -> tuple[Result | None, str]:
    """Return the rule that made a name what it is, and the sentence that says so."""
    reserved = find_match(name, view.current.reserved)
    denied, allowed = find_match(name, policy.deny), find_match(name, policy.allow)
    if standing is Standing.PRIVATE:
        return None, "files were published here under this name, which hides whatever the upstream has"
    if standing is Standing.RESERVED:
        return {"reserved": reserved}, f"the pattern {reserved!r} reserves it, and nothing is published under it yet"
    if standing is Standing.DENIED:
        rule: Result = {"setting": "UPSTREAM_DENY", "pattern": denied}
        return rule, f"the pattern {denied!r} of UPSTREAM_DENY covers it"
    if standing is Standing.NOT_ALLOWED:
        return {"setting": "UPSTREAM_ALLOW", "pattern": None}, "no pattern of UPSTREAM_ALLOW covers it"
    if standing is Standing.UNKNOWN and not view.has_upstream:
        rule = {"setting": "UPSTREAM_INDEX_URL", "pattern": None}
        return rule, "nothing is published here under this name, and this index has no upstream"
    if standing is Standing.UNKNOWN:
        rule = {"setting": "UPSTREAM_ASK_UNKNOWN", "pattern": None}
        return rule, "the upstream's list does not have it, so it is not asked until the next reindex"
    if view.current.upstream is None or view.current.upstream.filter is None:
        return None, "no list of the upstream was read yet, so it is asked for every name"
    if not view.is_on_list(name):
        rule = {"setting": "UPSTREAM_ASK_UNKNOWN", "pattern": None}
        return rule, "the upstream's list does not have it, and UPSTREAM_ASK_UNKNOWN has it asked all the same"
    if allowed is not None:
        return {"setting": "UPSTREAM_ALLOW", "pattern": allowed}, f"the pattern {allowed!r} of UPSTREAM_ALLOW covers it"
    return None, "the upstream's list has it, and no rule keeps it out"


def _read_page(context: Context, name: ProjectName, standing: Standing) -> tuple[Entry, str | None]:
    """Return an upstream project's page as far as its files may be asked for, and why that failed."""
    nothing: Entry = {"files": []}
    if standing in CLOSED_STANDINGS:
        return nothing, None
    try:
        page = context.service.offer().find_listing(name, is_asked=standing is not Standing.UNKNOWN)
    except UpstreamUnavailable as fault:
        return nothing, str(fault)
    return (nothing if page is None else decode_json(decompress("a page", page.body))), None


def _times(entry: Entry, min_age: timedelta) -> Result:
    uploaded = find_moment(entry.get("upload-time"))
    return {
        "filename": entry["filename"],
        "uploadTime": None if uploaded is None else timestamp(uploaded),
        "until": None if uploaded is None else timestamp(release_of(uploaded, min_age)),
    }
