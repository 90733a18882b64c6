"""Putting the parts together: from settings to what the Lambda handler, the local server and the commands work with."""

import time
from collections.abc import Callable
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Protocol

from indexer.errors import InvalidValue
from indexer.simple.page import Renderer
from indexer.store.base import ObjectStore
from indexer.store.open import open_store
from pypi_lambda import __version__
from pypi_lambda.access.auth import Authenticator
from pypi_lambda.app.delivery import Delivery, PageDelivery
from pypi_lambda.app.rebuilder import Rebuilder
from pypi_lambda.clock import new_id, utc_now
from pypi_lambda.metrics.metrics import Metrics, TimedStore
from pypi_lambda.mirror.files import Mirror
from pypi_lambda.mirror.ingestion import Ingestions
from pypi_lambda.mirror.pages import MirroredPages
from pypi_lambda.settings import Settings, default_upstream
from pypi_lambda.shared import part
from pypi_lambda.view.index import Index

if TYPE_CHECKING:
    from datetime import datetime

    from indexer.store.base import Stat, Stored
    from indexer.upstream.client import Upstream
    from pypi_lambda.access.tokens import TokenChecker
    from pypi_lambda.app.documents import Documents
    from pypi_lambda.app.health import Health
    from pypi_lambda.cooldown.past import Past
    from pypi_lambda.mirror.offer import Offer
    from pypi_lambda.mirror.uses import Uses
    from pypi_lambda.publish.parts import Commits, Parts
    from pypi_lambda.publish.upload import Publisher
    from pypi_lambda.view.policy import Policy


def renderer_of(settings: Settings) -> Renderer:
    """Return how pages are rendered under these settings."""
    return Renderer(hash_dist_info_metadata=settings.hash_dist_info_metadata)


def make_upstream(settings: Settings, metrics: Metrics | None = None) -> "Upstream":
    """Return the client of the upstream, timed where that is wanted.

    Raises:
        InvalidValue: this index has no upstream; nothing that answers a request comes here then.
    """
    if not settings.has_upstream:
        raise InvalidValue("UPSTREAM_INDEX_URL", settings.upstream_index_url, "this index has no upstream to ask")
    from indexer.upstream.client import Upstream

    def time_answer(seconds: float, status: int) -> None:
        if metrics is not None:
            metrics.time("upstream_requests", seconds, ("status", str(status)))

    return Upstream(
        settings.upstream_index_url or default_upstream(),
        user_agent=f"serverless-pypi/{__version__}",
        private_hosts=settings.upstream_private_hosts,
        on_answer=time_answer,
    )


def policy_of(settings: Settings) -> "Policy | None":
    """Return what may enter from the upstream under these settings; None for all that it lists."""
    rules = (
        settings.upstream_min_age_days,
        settings.upstream_allow,
        settings.upstream_deny,
        settings.upstream_ask_unknown,
        settings.upstream_require_digest,
        not settings.has_upstream,
    )
    if not any(rules):
        return None
    from datetime import timedelta

    from pypi_lambda.view.policy import Policy

    return Policy(
        allow=settings.upstream_allow,
        deny=settings.upstream_deny,
        ask_unknown=settings.upstream_ask_unknown,
        min_age=timedelta(days=settings.upstream_min_age_days),
        min_age_exempt=settings.upstream_min_age_exempt,
        require_digest=settings.upstream_require_digest,
        has_upstream=settings.has_upstream,
    )


class Rebuilds(Protocol):
    """Where rebuilds are asked for; whether one ever happens changes no answer."""

    def request(self, seq: int) -> None:
        """Have the snapshot brought up to event `seq` at least, soon."""

    def request_repair(self) -> None:
        """Have everything derived written again, soon."""


class Service:
    """What answers and commands are made with, by the Lambda function, the server and the command line alike.

    A part that is set before it is wanted takes the place of the one that would be made.

    Attributes:
        metrics: what the app, the store and the upstream took.
        now: the current time.
        clock: monotonic seconds.
        new_id: 128 random bits as hex.
        find_snapshot: returns the first stored snapshot, where somebody asked for it already.
        filters: what is put around the mirror, from the inside out.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        store: ObjectStore | None = None,
        rebuilds: Rebuilds | None = None,
        ingestions: Ingestions | None = None,
        commits: "Commits | None" = None,
    ) -> None:
        self.settings = settings
        self.lock = RLock()
        self.metrics = Metrics()
        self.now, self.clock, self.new_id = utc_now, time.monotonic, new_id
        opened = store or open_store(settings.bucket, settings.repo_base_prefix, region=settings.bucket_region)
        self.store: ObjectStore = TimedStore(opened, self.metrics, clock=time.perf_counter)
        self.find_snapshot: Callable[[], Stored | None] | None = None
        self.filters: tuple[PutAround, ...] = FILTERS
        self._rebuilds = rebuilds
        self._ingestions = ingestions
        self._commits = commits

    @part
    def renderer(self) -> Renderer:
        """How pages are rendered."""
        return renderer_of(self.settings)

    @part
    def policy(self) -> "Policy | None":
        """What may enter from the upstream; None for all that it lists."""
        return policy_of(self.settings)

    @part
    def rebuilder(self) -> Rebuilder:
        """Rebuilds in the background of this process."""
        return Rebuilder(self.store, self.renderer, clock=time.perf_counter, on_timed=self._time_rebuild)

    @part
    def rebuilds(self) -> Rebuilds:
        """Where rebuilds are asked for."""
        return self._rebuilds or self.rebuilder

    @part
    def index(self) -> Index:
        """This process's view; it loads the snapshot."""
        index = Index(
            self.store,
            self.renderer,
            max_staleness_seconds=self.settings.max_staleness_seconds,
            clock=self.clock,
            request_repair=self.rebuilds.request_repair,
            policy=self.policy,
            find_snapshot=self.find_snapshot,
        )
        self.rebuilder.on_rebuilt = index.reload
        return index

    @part
    def authenticator(self) -> Authenticator:
        """Who checks credentials."""
        return Authenticator(
            clock=self.clock,
            make_token_checker=self._make_token_checker,
            password_key=self.settings.password_key,
            keep_verifier=self._keep_verifier,
        )

    @part
    def mirror(self) -> Mirror:
        """The upstream's projects."""
        pages = MirroredPages(self.store, self.renderer, make_upstream=self._make_upstream, now=self.now)
        note_use = self._make_uses().note if self.settings.mirror_retention_days else _note_nothing
        return Mirror(self.store, pages, ingestions=self._ingestions or Ingestions(), note_use=note_use)

    def offer(self, moment: "datetime | None" = None) -> "Offer":
        """Return what of the upstream is offered: the mirror within the filters, for now or for an earlier moment."""
        return self._offer_now if moment is None else self._offer_then

    @part
    def _offer_now(self) -> "Offer":
        return self._filtered(is_dated=False)

    @part
    def _offer_then(self) -> "Offer":
        return self._filtered(is_dated=True)

    def _filtered(self, *, is_dated: bool) -> "Offer":
        offer: Offer = self.mirror
        for put_around in self.filters:
            offer = put_around(offer, self, is_dated)
        return offer

    @part
    def past(self) -> "Past":
        """Private projects as they were."""
        from pypi_lambda.cooldown.past import Past

        return Past(self.renderer, now=self.now)

    @part
    def publisher(self) -> "Publisher":
        """Who publishes files."""
        from pypi_lambda.publish.upload import Publisher

        return Publisher(
            self.store, self.index, now=self.now, new_id=self.new_id, request_rebuild=self.rebuilds.request
        )

    @part
    def parts(self) -> "Parts":
        """Uploads that come in parts."""
        from pypi_lambda.publish.parts import LocalCommits, Parts

        return Parts(self.store, self.publisher, self._commits or LocalCommits())

    @part
    def delivery(self) -> Delivery:
        """Who sends files."""
        return Delivery(self.store, clock=self.clock)

    @part
    def page_delivery(self) -> PageDelivery:
        """Who sends pages."""
        return PageDelivery(self.store, self.renderer, self.policy)

    @part
    def documents(self) -> "Documents":
        """The legacy JSON API."""
        from pypi_lambda.app.documents import Documents

        return Documents(self.store, index=self.index, mirror=self.mirror)

    @part
    def health(self) -> "Health":
        """Whether this process can answer."""
        from pypi_lambda.app import health

        find_advice = partial(health.find_advice, self.store, self.settings)
        return health.Health(self.index, now=self.now, clock=self.clock, find_advice=find_advice)

    def render_metrics(self) -> bytes:
        """Return the text of the metrics."""
        from pypi_lambda.metrics.prometheus import render

        view = self.index.view
        gauges = {"log_seq": view.current.head.seq, "tail_length": view.tail_length}
        return render(self.metrics.read(), self.metrics.read_counts(), gauges)

    def count_page(self, *, kept: bool) -> None:
        """Count a project's page, by whether it was kept in memory."""
        self.metrics.count("pages", ("cache", "hit" if kept else "miss"))

    def _time_rebuild(self, seconds: float) -> None:
        self.metrics.time("rebuilds", seconds)

    def _make_upstream(self) -> "Upstream":
        return make_upstream(self.settings, self.metrics)

    def _make_token_checker(self) -> "TokenChecker":
        from pypi_lambda.access.tokens import TokenChecker

        return TokenChecker(self.store, now=self.now)

    def _keep_verifier(self, key: str, stored: "Stored", verifier: str) -> None:
        from pypi_lambda.access.verifiers import write_beside, write_verifier

        write_beside(partial(write_verifier, self.store, key, stored, verifier))

    def _make_uses(self) -> "Uses":
        from pypi_lambda.access.tokens import run_in_thread
        from pypi_lambda.mirror.uses import Uses

        return Uses(self.store, now=self.now, run=run_in_thread)


def _hold_back(offer: "Offer", service: Service, is_dated: bool) -> "Offer":
    """Put the cooldown around an offer where files must have an age or a digest, and for an earlier moment."""
    if not is_dated and (service.policy is None or not service.policy.is_about_files):
        return offer
    from pypi_lambda.cooldown.offered import Cooldown

    return Cooldown(offer, service.renderer, service.policy, now=service.now)


PutAround = Callable[["Offer", Service, bool], "Offer"]
"""Puts a filter around an offer, or none where it would hide nothing; told whether it is for an earlier moment."""

FILTERS: tuple[PutAround, ...] = (_hold_back,)


def make_service(
    settings: Settings,
    *,
    store: ObjectStore | None = None,
    find_snapshot: "Callable[[], Stored | None] | None" = None,
    rebuilds: Rebuilds | None = None,
    ingestions: Ingestions | None = None,
    commits: "Commits | None" = None,
) -> Service:
    """Return the service that these settings describe, with its snapshot loaded.

    Args:
        store: in the place of the one that the settings name.
        find_snapshot: returns the first stored snapshot, where somebody asked for it already.
        rebuilds: in the place of rebuilds in the background of this process.
        ingestions: in the place of downloads that go on in this process.
        commits: in the place of uploads in parts that are checked in this process.
    """
    service = Service(settings, store=store, rebuilds=rebuilds, ingestions=ingestions, commits=commits)
    service.find_snapshot = find_snapshot
    service.index  # noqa: B018 - what a process starts with
    return service


def _note_nothing(_stat: "Stat") -> None:
    """Mirrored files are kept for ever, whenever they were used."""
