"""A mirrored file that no digest proves is an archive of its project, or is refused."""

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import pytest

from indexer.distributions.unproved import check_unproved
from indexer.errors import InvalidValue
from indexer.names import Filename, ProjectName
from indexer.value import replace
from pypi_lambda.app.service import make_service
from tests.support.apps import JSON, Site, running_site
from tests.support.contexts import run_command
from tests.support.distributions import make_sdist, make_wheel
from tests.support.fake_upstream import LOGIN_PAGE

SIX = ProjectName("six")
WHEEL, SDIST = make_wheel("six", "1.0"), make_sdist("six", "1.0")
TAR = gzip.decompress(SDIST.content)
NONE: dict[str, str] = {}


def zipped(**members: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in members.items():
            archive.writestr(path.replace("__", "/").replace("_INFO", "-INFO"), text)
    return file.getvalue()


def _name_alone(value: str | bytes) -> str:
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize(
    ("filename", "content"),
    [
        (WHEEL.filename, WHEEL.content),
        (SDIST.filename, SDIST.content),
        ("six-1.0.tgz", SDIST.content),
        ("six-1.0.tar.bz2", bz2.compress(TAR)),
        ("six-1.0.tbz", bz2.compress(TAR[:600]) + bz2.compress(TAR[600:])),
        ("Six-1.0.tar.xz", lzma.compress(TAR)),
        ("six-1.0.tar.xz", lzma.compress(TAR[:600], check=lzma.CHECK_CRC32) + lzma.compress(TAR[600:])),
        ("six-1.0.tar.lzma", lzma.compress(TAR, lzma.FORMAT_ALONE)),
        ("Six-1.0.zip", zipped(six__PKG_INFO="Name: Six\nVersion: 1.0\n\n")),
        ("six-1.0.zip", zipped(six__setup="")),
        ("six-1.0-py3.egg", zipped(EGG_INFO__PKG_INFO="Name: six\nVersion: 1.0\n\n")),
    ],
)
def test_archives_of_the_project(filename: str, content: bytes) -> None:
    """What opens and names the project is taken, the oldest kinds, too."""
    check_unproved(io.BytesIO(content), Filename(filename), SIX)


@pytest.mark.parametrize(
    ("filename", "content"),
    [
        (WHEEL.filename, LOGIN_PAGE),
        (WHEEL.filename, WHEEL.content[:-30]),
        (WHEEL.filename, make_wheel("seven", "1.0").content),
        (WHEEL.filename, b""),
        (SDIST.filename, LOGIN_PAGE),
        (SDIST.filename, SDIST.content[:-30]),
        (SDIST.filename, make_sdist("seven", "1.0").content),
        ("seven-1.0.tar.gz", SDIST.content),
        ("six-1.0.zip", zipped(six__PKG_INFO="Name: seven\nVersion: 1.0\n\n")),
        ("six-1.0.zip", LOGIN_PAGE),
        ("six-1.0.exe", zipped(a="")),
        ("six-1.0.tar.bz2", b""),
        ("six-1.0.tar.bz2", LOGIN_PAGE),
        ("six-1.0.tar.bz2", SDIST.content),
        ("six-1.0.tar.bz2", bz2.compress(TAR)[:-30]),
        ("six-1.0.tar.bz2", bz2.compress(gzip.decompress(make_sdist("seven", "1.0").content))),
        ("seven-1.0.tar.xz", lzma.compress(TAR)),
        ("six-1.0.tar.xz", lzma.compress(TAR)[:-30]),
        ("six-1.0.tar.xz", lzma.compress(TAR) + b"junk"),
        ("six-1.0.tar.lzma", (data := lzma.compress(TAR, lzma.FORMAT_ALONE))[:1] + b"\0\0\0\x20" + data[5:]),  # 512 MiB
        ("six-1.0.tar.xz", lzma.compress(bytes(65 << 20))),
    ],
    ids=_name_alone,  # an archive has the time of its making
)
def test_what_is_none(filename: str, content: bytes) -> None:
    """A login page, a part of a file, another project's, and what is not looked into are refused."""
    with pytest.raises(InvalidValue):
        check_unproved(io.BytesIO(content), Filename(filename), SIX)


def test_through_the_index(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Such a file is delivered, marked and logged; what is no archive of the project is 502 and leaves nothing."""
    with running_site(tmp_path) as site:
        site.upstream.add(WHEEL, hashes=NONE)
        path = site.upstream.add(SDIST, hashes=NONE, size=None)
        site.upstream.override(path, body=LOGIN_PAGE)
        assert site.get(f"/simple/six/{WHEEL.filename}").body == WHEEL.content
        assert f"{WHEEL.filename} of six is unverified" in caplog.text
        assert site.get("/simple/six/", accept=JSON).text.count('"_unverified":true') == 2
        refused = site.get(f"/simple/six/{SDIST.filename}")
        assert (refused.status, "is no archive of six" in refused.text) == (502, True)
        assert [stat.key for stat in site.store.list("cache/six/")] == [f"cache/six/{WHEEL.filename}"]
        assert list(site.store.list("staging/")) == []


def test_a_setting_refuses_them(tmp_path: Path) -> None:
    """With UPSTREAM_REQUIRE_DIGEST such files are neither listed nor delivered, those that are stored neither."""
    with running_site(tmp_path) as site:
        site.upstream.add(WHEEL, hashes=NONE)
        site.upstream.add(SDIST)
        assert site.get(f"/simple/six/{WHEEL.filename}").status == 200
        described = replace(site.settings, upstream_require_digest=True)
        service = make_service(described, store=site.store)
        strict = Site(service=service, store=site.store, settings=described, upstream=site.upstream)
        page = strict.get("/simple/six/", accept=JSON).text
        assert (WHEEL.filename in page.partition("_dropped")[0], "UPSTREAM_REQUIRE_DIGEST" in page) == (False, True)
        refused = strict.get(f"/simple/six/{WHEEL.filename}")
        assert (refused.status, "no digest that proves it (UPSTREAM_REQUIRE_DIGEST)" in refused.text) == (403, True)
        assert strict.get(f"/simple/six/{WHEEL.filename}.metadata").status == 403
        assert strict.get(f"/simple/six/{SDIST.filename}").status == 200
        assert strict.get("/simple/six/six-9.tar.gz").status == 404
        service.rebuilder.wait()


def test_verify_names_them(tmp_path: Path) -> None:
    """`verify` notes a stored file that no digest proves; a wrong size beside the right digest is nothing to note."""
    with running_site(tmp_path) as site:
        site.upstream.add(WHEEL, hashes=NONE)
        site.upstream.add(SDIST, size=1)
        for file in (WHEEL, SDIST):
            assert site.get(f"/simple/six/{file.filename}").status == 200
        done = run_command(site.store, "verify", None, upstream=site.upstream.url)
        noted = {found["key"]: found["severity"] for found in done["findings"] if found["key"].startswith("cache/")}
        assert noted == {f"cache/six/{WHEEL.filename}": "note"}
