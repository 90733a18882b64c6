"""The index that all clients use: a real server over a folder, with an upstream on loopback."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.integration.commands import Place, run_command
from tests.integration.running import Server, serving
from tests.matrix.catalog import OWN_YANKED, PRIVATE, publish_upstream
from tests.matrix.commands import Failed
from tests.support.fake_upstream import FakeUpstream


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The running index."""

    server: Server
    upstream: FakeUpstream

    @property
    def username(self) -> str:
        return self.server.user.name

    @property
    def password(self) -> str:
        return self.server.user.password

    @property
    def host(self) -> str:
        return self.server.url.removeprefix("http://")

    def url(self, path: str, *, secret: bool) -> str:
        """Return a URL below the index, with the user's credentials or without."""
        user = f"{quote(self.username, safe='')}:{quote(self.password, safe='')}@" if secret else ""
        return f"http://{user}{self.host}/{path}"


@contextmanager
def running_site(folder: Path, *, logging_format: str = "text") -> Iterator[Site]:
    """Run the index in a folder while the block runs, with all that the scenarios need."""
    place = Place(environ={"BUCKET": f"file://{folder / 'data'}"})
    with FakeUpstream() as upstream:
        publish_upstream(upstream)
        with serving(place, folder, upstream=upstream.url, LOGGING_FORMAT=logging_format) as server:
            server.await_reindexed()
            for distribution in PRIVATE:
                response = server.upload(distribution)
                if response.status_code != 200:
                    raise Failed(f"{distribution.filename}: {response.status_code} {response.text}")
            run_command(place, "yank", OWN_YANKED.project, "2.0", "--reason", "breaks everything").succeeded()
            yield Site(server=server, upstream=upstream)
