"""An index with one of everything in it, to be damaged: private files, a removed one, users, tokens, mirrored pages.

with whole_index(folder) as index:
    index.store.delete(index.keys["event"])
    done = run(index, Verify())
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from indexer.derive.root import entries_key
from indexer.keys import SNAPSHOT_KEY, log_key, user_key
from indexer.store.base import ObjectStore
from pypi_lambda.clock import utc_now
from pypi_lambda.command.context import Context
from pypi_lambda.manage.registry import parse_command
from pypi_lambda.settings import Settings
from tests.support.apps import READER, UPLOADER, Site, running_site
from tests.support.distributions import make_sdist, make_wheel

WHEEL, SECOND, SDIST = make_wheel("demo", "1.0"), make_wheel("demo", "2.0"), make_sdist("other", "1.0")
SIX, GONE = make_wheel("six", "1.17.0"), make_wheel("demo", "0.9")
USERNAME = "ada"


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeIndex:
    """A running index.

    Attributes:
        keys: of one object of each kind, by the kind's name.
    """

    site: Site
    keys: Mapping[str, str]

    @property
    def store(self) -> ObjectStore:
        return self.site.store

    def run(self, name: str, *, now: Callable[[], datetime] = utc_now, settings: Any = None, **argument: Any) -> Any:
        """Give a command, as the function and the command line do."""
        return give(self.site, name, now=now, settings=settings, **argument)


def give(
    site: Site, name: str, *, now: Callable[[], datetime] = utc_now, settings: Settings | None = None, **argument: Any
) -> Any:
    """Give a command, as the function and the command line do."""

    def reload(_seq: int) -> None:
        site.service.index.reload()

    context = Context(
        service=site.service,
        settings=settings or site.settings,
        now=now,
        new_id=site.new_id,
        sleep=lambda seconds: None,
        by="tests",
        on_rebuilt=reload,
    )
    done = parse_command(name, argument).run(context)
    site.service.rebuilder.wait()
    return done


def ask_for_six(site: Site) -> None:
    """Have the upstream's project stored: its page, a file and the file's metadata."""
    for path in ("", SIX.filename, f"{SIX.filename}.metadata"):
        assert site.get(f"/simple/six/{path}").status in (200, 302)


@contextmanager
def whole_index(folder: Path, store: ObjectStore | None = None, **settings: Any) -> Iterator[WholeIndex]:
    """Run an index with one of everything, nothing of it damaged, and nothing left to do."""
    with running_site(folder, store=store, **settings) as site:
        site.upstream.add(SIX)
        for distribution in (GONE, WHEEL, SECOND, SDIST):
            assert site.upload(distribution).status == 200
        for username, password in (UPLOADER, READER):
            give(site, "putUser", username=username, password=password, upload=username == UPLOADER[0])
        give(site, "putUser", username=USERNAME, password="a password", upload=True)
        give(site, "createToken", username=USERNAME, upload=True)
        give(site, "yank", project="demo", version="1.0", reason="too early")
        give(site, "remove", project="demo", version="0.9", yes=True)
        ask_for_six(site)
        give(site, "reindex")
        yield WholeIndex(site=site, keys=_keys(site))


def _keys(site: Site) -> Mapping[str, str]:
    snapshot = site.service.index.refresh().current
    upstream, seq = snapshot.upstream, snapshot.projects.find("demo")  # type: ignore[arg-type]
    assert upstream is not None
    renderer = site.service.rebuilder._renderer
    file = f"projects/demo/{WHEEL.filename}"
    (token,) = site.store.list("tokens/")
    return {
        "first event": log_key(1),
        "event": log_key(3),
        "last event": log_key(snapshot.head.seq),
        "snapshot": SNAPSHOT_KEY,
        "page": renderer.json_key("demo", seq),  # type: ignore[arg-type]
        "HTML page": renderer.html_key("demo", seq),  # type: ignore[arg-type]
        "root": entries_key(upstream.names_sha256, "json"),
        "HTML root": entries_key(upstream.names_sha256, "html"),
        "file": file,
        "metadata": f"{file}.metadata",
        "removed file": f"projects/demo/{GONE.filename}",
        "user": user_key(USERNAME),
        "token": token.key,
        "names": f"upstream/lists/{upstream.names_sha256}.names.zst",
        "filter": f"upstream/lists/{upstream.names_sha256}.filter.zst",
        "mirrored page": "upstream/pages/six.json.gz",
        "check": "upstream/pages/six.check",
        "sources": "upstream/pages/six.sources",
        "mirrored file": f"cache/six/{SIX.filename}",
        "mirrored metadata": f"cache/six/{SIX.filename}.metadata",
    }
