"""A real browser shows the pages for people, in light and dark, and runs no script but the page's own."""

import shutil
import subprocess
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from tests.integration.running import Server
from tests.support.distributions import make_metadata, make_wheel

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--headless",
    "--no-sandbox",  # as root there is none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=900,1200",
)
README = """# acme-core

The **core**. <script>document.title = "README"</script> <img src=x onerror="document.title = 'README'">
"""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]


def browse(server: Server, path: str, folder: Path, *options: str) -> bytes:
    """Run the browser and return what it prints."""
    scheme, _, rest = server.url.partition("://")
    url = f"{scheme}://{server.user.name}:{server.user.password}@{rest}{path}"
    command = [str(CHROMIUM), *QUIET, f"--user-data-dir={folder / 'profile'}", *options, url]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, timeout=120)
    return done.stdout


def test_pages(server: Server, tmp_path: Path) -> None:
    """The browser finds its way, offers to copy lines, and does nothing that a README says."""
    head = make_metadata("acme-core", "1.0").decode().rstrip("\n")
    metadata = f"{head}\nDescription-Content-Type: text/markdown\n\n{README}".encode()
    assert server.upload(make_wheel("acme-core", "1.0", metadata=metadata)).status_code == 200
    overview = BeautifulSoup(browse(server, "/?q=acme", tmp_path, "--dump-dom"), "html.parser")
    assert [link["href"] for link in overview.select("td a")] == ["/project/acme-core/"]
    detail = BeautifulSoup(browse(server, "/project/acme-core/", tmp_path, "--dump-dom"), "html.parser")
    assert detail.title is not None
    assert detail.title.get_text() == "acme-core"
    buttons = detail.select("button[data-copy]")
    assert buttons
    assert not any(button.has_attr("hidden") for button in buttons)  # so the page's own script ran
    assert detail.select_one(".readme strong") is not None


def test_light_and_dark(server: Server, tmp_path: Path) -> None:
    """The page is light or dark, as the browser is."""
    server.upload(make_wheel("acme-web", "1.0"))
    light, dark = tmp_path / "light.png", tmp_path / "dark.png"
    browse(server, "/", tmp_path, f"--screenshot={light}")
    browse(server, "/", tmp_path, f"--screenshot={dark}", "--blink-settings=preferredColorScheme=0")
    assert len({light.read_bytes(), dark.read_bytes()}) == 2
