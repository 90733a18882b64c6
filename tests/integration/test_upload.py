"""twine and uv upload, and pip and uv see it at once."""

from uuid import uuid4

import pytest

from tests.integration.clients import Clients
from tests.integration.commands import run_command
from tests.integration.running import Server, User
from tests.support.distributions import make_metadata, make_sdist, make_wheel

on_a_folder = pytest.mark.parametrize("shared_server", ["folder"], indirect=True)
with_each_tool = pytest.mark.parametrize("tool", ["twine", "uv"])


@pytest.fixture
def name() -> str:
    """A project's name that is normalised and no other test's."""
    return f"own-{uuid4().hex}"


@with_each_tool
def test_an_upload_can_be_installed_at_once(tool: str, name: str, shared_server: Server, clients: Clients) -> None:
    """A wheel and an sdist are there for pip and uv when the upload ends, by whatever form of the name."""
    unnormalised = name.replace("-", "_.").title()
    wheel, sdist = make_wheel(unnormalised, "1.0"), make_sdist(unnormalised, "1.0")
    clients.upload(tool, shared_server, wheel, sdist)
    assert shared_server.get_filenames(name) == [wheel.filename, sdist.filename]
    assert clients.install("pip", shared_server.index, name) == {unnormalised: "1.0"}
    assert clients.install("uv", shared_server.index, f"--no-binary={name}", unnormalised) == {unnormalised: "1.0"}


@on_a_folder
@pytest.mark.parametrize(("tool", "path"), [("twine", ""), ("twine", "/legacy/"), ("uv", ""), ("uv", "/simple")])
def test_where_uploads_go(path: str, tool: str, name: str, shared_server: Server, clients: Clients) -> None:
    """Uploads are taken at the root, under `legacy` and under `simple`, with and without a slash at the end."""
    wheel = make_wheel(name, "1.0")
    clients.try_upload(tool, shared_server, wheel, url=f"{shared_server.url}{path}").succeeded()
    assert shared_server.get_filenames(name) == [wheel.filename]


@with_each_tool
def test_the_same_again_is_a_success(tool: str, name: str, shared_server: Server, clients: Clients) -> None:
    """Uploading what is there already succeeds and changes nothing."""
    made = [make_wheel(name, "1.0"), make_sdist(name, "1.0")]
    clients.upload(tool, shared_server, *made)
    page = shared_server.get_page(name)
    clients.upload(tool, shared_server, *made)
    assert shared_server.get_page(name) == page


@with_each_tool
def test_other_content_is_refused(tool: str, name: str, shared_server: Server, clients: Clients) -> None:
    """A published file is never replaced, and the client shows why."""
    wheel, other = make_wheel(name, "1.0"), make_wheel(name, "1.0", files={"more.py": b"more = 1\n"})
    clients.upload(tool, shared_server, wheel)
    arguments = ["--verbose"] if tool == "twine" else []  # without it twine shows the status alone
    output = clients.try_upload(tool, shared_server, other, arguments=arguments).failed()
    assert f"File already exists: '{wheel.filename}' was published with sha256 {wheel.sha256}" in output
    (file,) = shared_server.get_page(name)["files"]
    assert file["hashes"] == {"sha256": wheel.sha256}


@on_a_folder
@with_each_tool
def test_who_may_not(tool: str, name: str, shared_server: Server, clients: Clients) -> None:
    """A reader's upload fails with 403 and a wrong password's with 401; nothing is published."""
    wheel = make_wheel(name, "1.0")
    reader = User(name=f"reader with {tool}", password="reader's password")
    run_command(shared_server.place, "user", "add", reader.name, input=f"{reader.password}\n").succeeded()
    assert "403" in clients.try_upload(tool, shared_server, wheel, user=reader).failed()
    stranger = User(name=shared_server.user.name, password="guess")
    assert "401" in clients.try_upload(tool, shared_server, wheel, user=stranger).failed()
    assert shared_server.get(f"/simple/{name}/").status_code == 404


def test_a_private_project_replaces_the_public_one(server: Server, clients: Clients) -> None:
    """From its first upload on a name is private: the public files are gone from the page, however new they are."""
    assert clients.install("pip", server.index, "demo-shared") == {"demo-shared": "9.0"}
    assert clients.install("uv", server.index, "demo-shared") == {"demo-shared": "9.0"}
    clients.upload("twine", server, make_wheel("demo-shared", "0.1"))
    assert clients.install("pip", server.index, "demo-shared") == {"demo-shared": "0.1"}
    assert clients.install("uv", server.index, "demo-shared") == {"demo-shared": "0.1"}
    hidden = clients.try_install("pip", server.index, clients.new_folder("hidden"), "demo-shared==9.0").failed()
    assert "(from versions: 0.1)" in hidden
    assert server.get("/simple/demo-shared/demo_shared-9.0-py3-none-any.whl").status_code == 404


@on_a_folder
def test_uv_skips_what_the_index_has(name: str, shared_server: Server, clients: Clients) -> None:
    """With `--check-url` uv uploads only files that are not there yet, and notices other content."""
    wheel, sdist = make_wheel(name, "1.0"), make_sdist(name, "1.0")
    clients.upload("uv", shared_server, wheel)
    check = ["--check-url", shared_server.index]
    output = clients.try_upload("uv", shared_server, wheel, sdist, arguments=check).succeeded()
    assert f"File {wheel.filename} already exists, skipping" in output
    assert shared_server.get_filenames(name) == [wheel.filename, sdist.filename]
    other = make_wheel(name, "1.0", files={"more.py": b"more = 1\n"})
    clients.try_upload("uv", shared_server, other, arguments=check).failed()


@pytest.mark.parametrize(("tool", "version"), [("twine", "1.0+local.1"), ("uv", "1!2.0")])
def test_versions_with_marks(tool: str, version: str, name: str, shared_server: Server, clients: Clients) -> None:
    """A local version and an epoch pass through uploading, listing and installing, as wheel and as sdist."""
    wheel, sdist = make_wheel(name, version), make_sdist(name, version)
    clients.upload(tool, shared_server, wheel, sdist)
    page = shared_server.get_page(name)
    assert [file["filename"] for file in page["files"]] == [wheel.filename, sdist.filename]
    assert page["versions"] == [version]
    for installer in ("pip", "uv"):
        for options in ([], [f"--no-binary={name}"]):
            assert clients.install(installer, shared_server.index, *options, f"{name}=={version}") == {name: version}


@on_a_folder
def test_an_archive_that_disagrees(name: str, shared_server: Server, clients: Clients) -> None:
    """What the index cannot take is refused with a sentence that the client shows, field and value in it."""
    broken = make_wheel(name, "1.0", metadata=make_metadata("own-brother", "1.0"))
    output = clients.try_upload("uv", shared_server, broken).failed()
    assert f"400 Bad Request. Server says: invalid name 'own-brother': the file's name says '{name}'" in output
