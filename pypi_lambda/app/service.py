"""Putting the parts together: from settings to an app. Shared by the Lambda handler and the local server."""

import time
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Protocol

from indexer.errors import InvalidValue
from indexer.simple.page import Renderer
from indexer.store.base import ObjectStore
from indexer.store.open import open_store
from indexer.value import value
from pypi_lambda import __version__
from pypi_lambda.access.auth import Authenticator
from pypi_lambda.app.app import App
from pypi_lambda.app.delivery import Delivery
from pypi_lambda.app.rebuilder import Rebuilder
from pypi_lambda.clock import new_id, utc_now
from pypi_lambda.http.model import Request, Response
from pypi_lambda.metrics.metrics import Metrics, TimedStore, metered
from pypi_lambda.mirror.files import Mirror
from pypi_lambda.mirror.ingestion import Ingestions
from pypi_lambda.mirror.pages import MirroredPages
from pypi_lambda.settings import Settings, default_upstream
from pypi_lambda.view.index import Index

if TYPE_CHECKING:
    from indexer.store.base import Stat, Stored
    from indexer.upstream.client import Upstream
    from pypi_lambda.access.tokens import TokenChecker
    from pypi_lambda.app.documents import Documents
    from pypi_lambda.app.health import Health
    from pypi_lambda.cooldown.offered import Offers
    from pypi_lambda.mirror.uses import Uses
    from pypi_lambda.publish.parts import Commits, Parts
    from pypi_lambda.publish.upload import Publisher
    from pypi_lambda.view.policy import Policy


@value
class Service:
    """An app with what it works on.

    Attributes:
        metrics: what the app, the store and the upstream took.
    """

    app: Callable[[Request], Response]
    metrics: Metrics
    store: ObjectStore
    index: Index
    mirror: Mirror
    rebuilder: Rebuilder
    rebuilds: "Rebuilds"
    make_publisher: "Callable[[], Publisher]"
    make_parts: "Callable[[], Parts]"
    make_offers: "Callable[[], Offers]"


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


def make_service(
    settings: Settings,
    *,
    store: ObjectStore | None = None,
    find_snapshot: "Callable[[], Stored | None] | None" = None,
    rebuilds: Rebuilds | None = None,
    ingestions: Ingestions | None = None,
    commits: "Commits | None" = None,
) -> Service:
    """Return the app that these settings describe, with its snapshot loaded.

    Args:
        store: in the place of the one that the settings name.
        find_snapshot: returns the first stored snapshot, where somebody asked for it already.
        rebuilds: in the place of rebuilds in the background of this process.
        ingestions: in the place of downloads that go on in this process.
        commits: in the place of uploads in parts that are checked in this process.
    """
    metrics = Metrics()
    store = store or open_store(settings.bucket, settings.repo_base_prefix, region=settings.bucket_region)
    store = TimedStore(store, metrics, clock=time.perf_counter)
    renderer = renderer_of(settings)
    policy = policy_of(settings)
    rebuilder = Rebuilder(
        store, renderer, clock=time.perf_counter, on_timed=lambda seconds: metrics.time("rebuilds", seconds)
    )
    rebuilds = rebuilds or rebuilder
    index = Index(
        store,
        renderer,
        max_staleness_seconds=settings.max_staleness_seconds,
        clock=time.monotonic,
        request_repair=rebuilds.request_repair,
        policy=policy,
        find_snapshot=find_snapshot,
    )
    rebuilder.on_rebuilt = index.reload
    pages = MirroredPages(store, renderer, make_upstream=lambda: make_upstream(settings, metrics), now=utc_now)
    note_use = _make_uses(store).note if settings.mirror_retention_days else _note_nothing
    mirror = Mirror(store, pages, ingestions=ingestions or Ingestions(), note_use=note_use)
    make_publisher = partial(_make_publisher, store, index, rebuilds)
    make_parts = cache(partial(_make_parts, store, make_publisher, commits))
    make_offers = cache(partial(_make_offers, store, renderer, policy))
    app = App(
        store,
        index=index,
        authenticator=Authenticator(
            clock=time.monotonic,
            make_token_checker=partial(_make_token_checker, store),
            password_key=settings.password_key,
            keep_verifier=partial(_keep_verifier, store),
        ),
        mirror=mirror,
        make_publisher=make_publisher,
        make_parts=make_parts,
        delivery=Delivery(store, clock=time.monotonic),
        policy=policy,
        make_offers=make_offers,
        make_documents=cache(partial(_make_documents, store, index, mirror)),
        make_health=cache(partial(_make_health, index, store, settings)),
        render_metrics=partial(_render_metrics, metrics, index),
        count_page=lambda kept: metrics.count("pages", ("cache", "hit" if kept else "miss")),
    )
    return Service(
        app=metered(app, metrics, clock=time.perf_counter),
        metrics=metrics,
        store=store,
        index=index,
        mirror=mirror,
        rebuilder=rebuilder,
        rebuilds=rebuilds,
        make_publisher=make_publisher,
        make_parts=make_parts,
        make_offers=make_offers,
    )


def _make_token_checker(store: ObjectStore) -> "TokenChecker":
    from pypi_lambda.access.tokens import TokenChecker

    return TokenChecker(store, now=utc_now)


def _keep_verifier(store: ObjectStore, key: str, stored: "Stored", verifier: str) -> None:
    from pypi_lambda.access.verifiers import write_beside, write_verifier

    write_beside(partial(write_verifier, store, key, stored, verifier))


def _make_publisher(store: ObjectStore, index: Index, rebuilds: Rebuilds) -> "Publisher":
    from pypi_lambda.publish.upload import Publisher

    return Publisher(store, index, now=utc_now, new_id=new_id, request_rebuild=rebuilds.request)


def _make_offers(store: ObjectStore, renderer: Renderer, policy: "Policy | None") -> "Offers":
    from pypi_lambda.cooldown.offered import Offers

    return Offers(store, renderer, policy, now=utc_now)


def _make_documents(store: ObjectStore, index: Index, mirror: Mirror) -> "Documents":
    from pypi_lambda.app.documents import Documents

    return Documents(store, index=index, mirror=mirror)


def _make_parts(store: ObjectStore, make_publisher: "Callable[[], Publisher]", commits: "Commits | None") -> "Parts":
    from pypi_lambda.publish.parts import LocalCommits, Parts

    return Parts(store, make_publisher(), commits or LocalCommits())


def _note_nothing(_stat: "Stat") -> None:
    """Mirrored files are kept for ever, whenever they were used."""


def _make_uses(store: ObjectStore) -> "Uses":
    from pypi_lambda.access.tokens import run_in_thread
    from pypi_lambda.mirror.uses import Uses

    return Uses(store, now=utc_now, run=run_in_thread)


def _make_health(index: Index, store: ObjectStore, settings: Settings) -> "Health":
    from pypi_lambda.app.health import Health

    return Health(index, now=utc_now, clock=time.monotonic, find_advice=partial(find_advice, store, settings))


def find_advice(store: ObjectStore, settings: Settings) -> str | None:
    """Return what is known to keep all files of the upstream away, with the cure, or None where nothing is."""
    if not settings.has_upstream:
        return None
    from indexer.upstream.url import parse_index_url
    from pypi_lambda.mirror.file_hosts import find_hosts, sentence

    index_url = parse_index_url(settings.upstream_index_url or default_upstream()).root
    hosts, _ = find_hosts(store, index_url, settings.upstream_private_hosts)
    return sentence(hosts) if hosts else None


def gauges(index: Index) -> dict[str, float]:
    """Return what can be read off a process at any moment."""
    view = index.view
    return {"log_seq": view.current.head.seq, "tail_length": view.tail_length}


def _render_metrics(metrics: Metrics, index: Index) -> bytes:
    from pypi_lambda.metrics.prometheus import render

    return render(metrics.read(), metrics.read_counts(), gauges(index))
