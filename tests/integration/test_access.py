"""There is no anonymous access to anything but `GET /health`."""

import pytest

from tests.integration.catalog import APP
from tests.integration.clients import Clients
from tests.integration.running import Server, User

pytestmark = pytest.mark.parametrize("shared_server", ["folder"], indirect=True)

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND")
PATHS = (
    "/",
    "/simple",
    "/simple/",
    "/+simple/",
    "/simple/demo-app",
    "/simple/demo-app/",
    "/simple/Demo.App/",
    "/simple/demo-nothing/",
    "/simple/demo-app/" + APP.filename,
    f"/simple/demo-app/{APP.filename}.metadata",
    "/simple/demo-app/nothing-1.0.tar.gz",
    "/simple/-bad-/",
    "/legacy/",
    "/nothing",
    "/health/",
    "/health/more",
    "/users/",
    "/log/00000000000000000001.json",
    "/_/oidc/audience",
)


@pytest.fixture
def server(shared_server: Server) -> Server:
    """A server that these tests leave as it is."""
    return shared_server


def _refusals(server: Server, user: User | None) -> set[tuple[str, str, int]]:
    """Return what is answered otherwise than with 401 and a challenge."""
    answers = [(method, path, server.request(method, path, user=user)) for method in METHODS for path in PATHS]
    return {
        (method, path, answer.status_code)
        for method, path, answer in answers
        if answer.status_code != 401 or not answer.headers["WWW-Authenticate"].startswith("Basic ")
    }


def test_without_credentials(server: Server, clients: Clients) -> None:
    """Without credentials every method on every path is refused alike, there or not; health alone is answered."""
    clients.install("uv", server.index, "demo-app")  # so that page and file are there
    assert _refusals(server, None) == {("GET", "/health/", 200), ("HEAD", "/health/", 200)}
    answer = server.request("GET", "/health", user=None)
    assert (answer.status_code, set(answer.json())) == (
        200,
        {"status", "version", "seq", "upstreamListAgeSeconds", "reasons"},
    )
    assert server.request("POST", "/health", user=None).status_code == 401


def test_wrong_credentials(server: Server) -> None:
    """An unknown user and a wrong password get the same answer."""
    users = [User(name="nobody", password=server.user.password), User(name=server.user.name, password="wrong")]
    answers = [server.request("GET", "/simple/requests/", user=user) for user in users]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].text == answers[1].text == "the username or the password is wrong\n"
    assert set(answers[0].headers) == set(answers[1].headers)
