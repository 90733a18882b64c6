"""Whether the hosts of the upstream's files may be asked: looked at when its list of names is read, and kept.

Where a network puts a mirror of its own at public names, its files lie at a private address; every page would come, and
every file be refused, without a word that an installer shows. So it is said before anybody asks for a file.
"""

import logging
from collections.abc import Callable, Sequence
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

from indexer.errors import CorruptObject, UpstreamUnavailable
from indexer.json_bytes import decode_json, encode_json
from indexer.keys import HOSTS_KEY
from indexer.names import ProjectName
from indexer.store.base import ObjectStore

if TYPE_CHECKING:
    from datetime import datetime

    from indexer.upstream.client import Upstream

logger = logging.getLogger(__name__)

LOOK_SECONDS = 20.0  # for all of it: nobody waits for a reindex, but it holds up what comes behind it
WHY_SECONDS = 5.0  # for the hosts of one page, of which the addresses are asked for
LOOK_EVERY_SECONDS = 86_400.0  # a page a day, unless something was wrong
Found = TypeVar("Found")
MAX_HOSTS = 5  # that are looked at: indexes have one, some a second for old files


def look(upstream: "Upstream", names: Sequence[ProjectName]) -> tuple[str, ...] | None:
    """Return the private hosts to which the first page with files leads, or None where that was not to be learnt."""

    def find() -> tuple[str, ...] | None:
        from indexer.upstream.client import Fetched
        from indexer.upstream.listing import parse_listing

        failed: UpstreamUnavailable | None = None
        for name in names:
            try:
                page = upstream.fetch_page(name)
                if not isinstance(page, Fetched):
                    continue
                listing = parse_listing(name, page.content, content_type=page.content_type, url=page.url)
            except UpstreamUnavailable as fault:  # of one page: a firewall's refusal, or a broken one
                failed = fault
                continue
            if listing.sources:
                return upstream.find_private_hosts([source.url for source in listing.sources.values()], MAX_HOSTS)
        if failed is not None:
            raise failed
        return None

    return within(LOOK_SECONDS, find)


def within(seconds: float, work: Callable[[], Found]) -> Found | None:
    """Return what the work does, or None where it fails at the upstream or takes longer: names are looked up without a
    deadline of their own.
    """
    done: list[Found] = []

    def run() -> None:
        try:
            done.append(work())
        except UpstreamUnavailable as fault:
            logger.info("the hosts of the upstream's files are not known: %s", fault)

    thread = Thread(target=run, name="file hosts", daemon=True)
    thread.start()
    thread.join(seconds)
    return done[0] if done else None


def keep(store: ObjectStore, upstream: "Upstream", hosts: Sequence[str], now: "datetime") -> None:
    """Keep what was found, for all processes."""
    document = {"v": 1, "upstream": upstream.index_url, "hosts": list(hosts), "at": now.timestamp()}
    store.put(HOSTS_KEY, encode_json(document))


def find_hosts(store: ObjectStore, index_url: str, private_hosts: frozenset[str]) -> tuple[tuple[str, ...], float]:
    """Return the hosts that were found and are not allowed, and when, in seconds since the epoch; 0 for never."""
    stored = store.find(HOSTS_KEY)
    if stored is None:
        return (), 0.0
    try:
        document = decode_json(stored.body)
        if document["v"] != 1 or document["upstream"] != index_url:
            return (), 0.0
        hosts = tuple(host for host in map(str, document["hosts"]) if host.lower() not in private_hosts)
        return hosts, float(document["at"])
    except (ValueError, TypeError, LookupError) as fault:
        raise CorruptObject(HOSTS_KEY, f"no readable list of hosts: {fault}") from fault


def sentence(hosts: Sequence[str]) -> str:
    """Return what to say of private hosts, with the cure."""
    named = ", ".join(repr(host) for host in hosts)
    return (
        f"the upstream's files are at {named}, whose address is private, and none is fetched from there: "
        f"set UPSTREAM_PRIVATE_HOSTS={','.join(hosts)} to allow that"
    )
