"""Putting the parts together: from settings to an app. Shared by the Lambda handler and the local server."""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from indexer.simple import Renderer
from indexer.store import ObjectStore, open_store
from indexer.value import value
from pypi_lambda import __version__
from pypi_lambda.app import App
from pypi_lambda.auth import Authenticator
from pypi_lambda.clock import new_id, utc_now
from pypi_lambda.copies import Copies
from pypi_lambda.delivery import Delivery
from pypi_lambda.index import Index
from pypi_lambda.ingestion import Ingestions
from pypi_lambda.mirror import Mirror
from pypi_lambda.mirrored_pages import MirroredPages
from pypi_lambda.rebuilder import Rebuilder
from pypi_lambda.settings import Settings, default_upstream

if TYPE_CHECKING:
    from indexer.upstream import Upstream
    from pypi_lambda.upload import Publisher


@value
class Service:
    """An app with what it works on."""

    app: App
    store: ObjectStore
    index: Index
    mirror: Mirror
    rebuilder: Rebuilder
    rebuilds: "Rebuilds"
    make_publisher: "Callable[[], Publisher]"


def renderer_of(settings: Settings) -> Renderer:
    """Return how pages are rendered under these settings."""
    return Renderer(hash_dist_info_metadata=settings.hash_dist_info_metadata)


def make_upstream(settings: Settings) -> "Upstream":
    """Return the client of the upstream."""
    from indexer.upstream import Upstream

    return Upstream(
        settings.upstream_index_url or default_upstream(),
        user_agent=f"serverless-pypi/{__version__}",
        private_hosts=settings.upstream_private_hosts,
    )


def configure_logging(settings: Settings) -> None:
    """Send log records to standard error, from the level that the settings name."""
    logging.basicConfig(level=settings.logging_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


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
    rebuilds: Rebuilds | None = None,
    ingestions: Ingestions | None = None,
) -> Service:
    """Return the app that these settings describe, with its snapshot loaded.

    Args:
        store: in the place of the one that the settings name.
        rebuilds: in the place of rebuilds in the background of this process.
        ingestions: in the place of downloads that go on in this process.
    """
    store = store or open_store(settings.bucket, settings.repo_base_prefix, region=settings.bucket_region)
    renderer = renderer_of(settings)
    rebuilder = Rebuilder(store, renderer)
    rebuilds = rebuilds or rebuilder
    index = Index(
        store,
        renderer,
        max_staleness_seconds=settings.max_staleness_seconds,
        clock=time.monotonic,
        request_repair=rebuilds.request_repair,
    )
    rebuilder.on_rebuilt = index.reload
    pages = MirroredPages(store, renderer, make_upstream=lambda: make_upstream(settings), now=utc_now)
    mirror = Mirror(store, pages, ingestions=ingestions or Ingestions())
    make_publisher = partial(_make_publisher, store, index, rebuilds)
    app = App(
        store,
        index=index,
        authenticator=Authenticator(),
        mirror=mirror,
        make_publisher=make_publisher,
        delivery=Delivery(store, clock=time.monotonic),
        copies=Copies(store),
    )
    return Service(
        app=app,
        store=store,
        index=index,
        mirror=mirror,
        rebuilder=rebuilder,
        rebuilds=rebuilds,
        make_publisher=make_publisher,
    )


def _make_publisher(store: ObjectStore, index: Index, rebuilds: Rebuilds) -> "Publisher":
    from pypi_lambda.upload import Publisher

    return Publisher(store, index, now=utc_now, new_id=new_id, request_rebuild=rebuilds.request)
