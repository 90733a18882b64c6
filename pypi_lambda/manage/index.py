"""Commands on what is derived: reindex, rebuild, and taking a file in from the upstream."""

from typing import TYPE_CHECKING, Annotated

from indexer.derive.claim import FROM_ZERO, rebuild_up_to
from indexer.derive.rebuild import rebuild
from indexer.derive.root import repair_root
from indexer.errors import InvalidValue
from indexer.names import Filename, ProjectName
from indexer.upkeep.reindex import reindex
from indexer.value import value
from pypi_lambda.app.service import make_upstream, policy_of, renderer_of
from pypi_lambda.command.context import Context, Result
from pypi_lambda.manage.retention import retention_of
from pypi_lambda.mirror.file_hosts import LOOK_EVERY_SECONDS, find_hosts, keep, look
from pypi_lambda.publish.dropbox import take_all

if TYPE_CHECKING:
    from indexer.upstream.client import Upstream


@value
class Reindex:
    """Refresh the upstream's list, publish files that were put into the store, rebuild, clear the superseded."""

    ignored: Annotated[object, lambda _field, value: value] = None
    short = "ignored"  # serverless-pypi 0.0.6 let anything pass

    def run(self, context: Context) -> Result:
        """Carry it out."""
        store = context.service.store
        taken = take_all(store, context.service.publisher)
        upstream = make_upstream(context.settings) if context.settings.has_upstream else None
        done = reindex(
            store,
            upstream,
            renderer_of(context.settings),
            now=context.now,
            new_id=context.new_id,
            by="reindex",
            on_progress=context.on_progress,
            selection=policy_of(context.settings),
            retention=retention_of(context.settings),
        )
        seq = done.rebuilt.snapshot.head.seq
        if done.rebuilt.changed:
            context.on_rebuilt(seq)
        return {
            "seq": seq,
            "upstream": done.upstream_count,
            "upstreamFault": done.upstream_fault,
            "privateHosts": list(_find_private_hosts(context, upstream, done.sample)),
            "incoming": list(taken),
            "adopted": list(done.adopted),
            "refused": {refusal.key: refusal.reason for refusal in done.refused},
            "deleted": {
                reason: {"objects": amount.objects, "bytes": amount.size} for reason, amount in done.swept.items()
            },
        }


def _find_private_hosts(
    context: Context, upstream: "Upstream | None", names: tuple[ProjectName, ...]
) -> tuple[str, ...]:
    """Return the hosts of the upstream's files that may not be asked, looked at once a day while all is well."""
    if upstream is None:
        return ()
    store, now = context.service.store, context.now()
    known, at = find_hosts(store, upstream.index_url, context.settings.upstream_private_hosts)
    if not names or (not known and 0 <= now.timestamp() - at < LOOK_EVERY_SECONDS):
        return known
    hosts = look(upstream, names)
    if hosts is None:
        return known
    keep(store, upstream, hosts, now)
    return hosts


def _parse_up_to(field: str, value: object) -> int | None:
    if value == FROM_ZERO:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidValue(field, value, f"an event's number, or {FROM_ZERO!r}")
    return value


@value
class Rebuild:
    """Bring the snapshot and the pages up to the end of the log.

    Attributes:
        up_to: the number of an event that is to be in; None stands for writing everything derived again.
    """

    up_to: Annotated[int | None, _parse_up_to]
    short = "up_to"

    def run(self, context: Context) -> Result:
        """Carry it out."""
        store, renderer = context.service.store, renderer_of(context.settings)
        if self.up_to is None:
            done = rebuild(store, renderer, from_zero=True)
            repair_root(store, done.snapshot, policy_of(context.settings))
        else:
            done = rebuild_up_to(store, renderer, self.up_to, now=context.now, sleep=context.sleep)
        if done.changed:
            context.on_rebuilt(done.snapshot.head.seq)
        return {"seq": done.snapshot.head.seq, "changed": done.changed, "pages": done.pages}


@value
class Ingest:
    """Take a file in from the upstream, however long that takes."""

    project: ProjectName
    filename: Filename

    def run(self, context: Context) -> Result:
        """Carry it out."""
        if not context.settings.has_upstream:
            raise InvalidValue("ingest", self.project, "this index has no upstream (UPSTREAM_INDEX_URL=none)")
        context.service.mirror.take_in(self.project, self.filename)
        return {"ingested": f"{self.project}/{self.filename}"}
