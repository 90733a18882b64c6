"""The command that throws away what nobody needs any more; the scheduled reindex does the same, but for orphans."""

from indexer.derive.snapshot import Snapshot
from indexer.errors import Missing
from indexer.store.base import Stat
from indexer.upkeep.retention import (
    ORPHANED,
    Expired,
    Retention,
    Sweep,
    find_removed,
    find_unpublishable,
    sweep_mirror,
    sweep_removed,
    sweep_superseded,
)
from indexer.upkeep.survey import Folder, survey
from indexer.value import value
from pypi_lambda.command.context import Context, Result
from pypi_lambda.settings import Settings

MAX_SHOWN = 1_000  # keys in the result; a function answers at most 6 MB


def retention_of(settings: Settings) -> Retention:
    """Return for how long what could be deleted is kept under these settings."""
    return Retention(mirror_days=settings.mirror_retention_days, removed_days=settings.removed_retention_days)


@value
class CollectGarbage:
    """Delete what is superseded, left behind, unused or over.

    Attributes:
        dry_run: delete nothing, and say what would be.
        orphans: also delete what has lain below `projects/` for 30 days, that no event names, and that cannot be
            published. Never done on a schedule: somebody may want to have it yet.
    """

    dry_run: bool = False
    orphans: bool = False

    def run(self, context: Context) -> Result:
        """Carry it out."""
        store, now, shown = context.service.store, context.now(), list[Result]()

        def show(reason: str, stat: Stat) -> None:
            if len(shown) < MAX_SHOWN:
                shown.append({"key": stat.key, "bytes": stat.size, "reason": reason})

        sweep, retention = Sweep(store, dry_run=self.dry_run, on_object=show), retention_of(context.settings)
        view = context.service.index.refresh()
        sweep_superseded(store, sweep, view.current, now)
        sweep_mirror(store, sweep, retention.mirror_days, now)
        removed: list[Expired] = []
        for count, folder in enumerate(survey(store, view.base), 1):
            removed += find_removed(folder, retention.removed_days, now)
            if self.orphans and _is_current(folder, view.current):
                _sweep_orphans(context, sweep, folder)
            context.on_progress(count, None)
        sweep_removed(sweep, removed, context.service.index.refresh().current)
        amounts = sweep.amounts
        return {
            "dryRun": self.dry_run,
            "objects": sum(amount.objects for amount in amounts.values()),
            "bytes": sum(amount.size for amount in amounts.values()),
            "reasons": {
                reason: {"objects": amount.objects, "bytes": amount.size} for reason, amount in amounts.items()
            },
            "keys": shown,
        }


def _is_current(folder: Folder, current: Snapshot) -> bool:
    """Tell whether the folder's project was read as it is now."""
    return (current.projects.find(folder.project.name) or 0) == folder.project.seq


def _sweep_orphans(context: Context, sweep: Sweep, folder: Folder) -> None:
    try:
        sweep.take(ORPHANED, list(find_unpublishable(context.service.store, folder, context.now())))
    except Missing:  # somebody tidies up there at this moment
        return
    sweep.flush()
