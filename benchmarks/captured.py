"""What pip 26.3 and uv 0.13.9 sent in November 2026 when told to install a project, as a Function URL hands it over.

Captured on loopback, credentials replaced. With a page of theirs that has gone stale, both add `If-None-Match`. What
twine sends is in tests/data/uploads; a form of the same fields brings as many different files as are wanted.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from tests.aws.event_builders import function_url
from tests.support.builders import upload_form
from tests.support.distributions import Distribution

USERNAME, PASSWORD = "somebody", "a password, with: colons"

_PIP = (
    'pip/26.3 {"ci":null,"cpu":"x86_64","distro":{"id":"bookworm","libc":{"lib":"glibc","version":"2.36"},'
    '"name":"Debian GNU/Linux","version":"12"},"implementation":{"name":"CPython","version":"3.11.7"},'
    '"installer":{"name":"pip","version":"26.3"},"openssl_version":"OpenSSL 3.0.19 27 Jan 2026","python":"3.11.7",'
    '"rustc_version":"1.95.0","setuptools_version":"84.2.1","system":{"name":"Linux","release":"6.18.44"}}'
)
_UV = (
    'uv/0.13.9 {"installer":{"name":"uv","version":"0.13.9","subcommand":["pip","install"]},"python":"3.11.7",'
    '"implementation":{"name":"CPython","version":"3.11.7"},"distro":{"name":"Debian GNU/Linux","version":"12",'
    '"id":"bookworm","libc":{"lib":"glibc","version":"2.36"}},"system":{"name":"Linux","release":"6.18.44"},'
    '"cpu":"x86_64","openssl_version":null,"setuptools_version":null,"rustc_version":null,"ci":null}'
)
_JSON, _HTML = "application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.v1+html"
_AUTHORIZATION = "Basic " + b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()

PIP_PAGE: Mapping[str, str] = {
    "User-Agent": _PIP,
    "Accept-Encoding": "gzip, deflate",
    "Accept": f"{_JSON}, {_HTML}; q=0.1, text/html; q=0.01",
    "Connection": "keep-alive",
    "Authorization": _AUTHORIZATION,
}
PIP_FILE: Mapping[str, str] = {**PIP_PAGE, "Accept-Encoding": "identity", "Accept": "*/*"}
UV_PAGE: Mapping[str, str] = {
    "Authorization": _AUTHORIZATION,
    "Accept-Encoding": "gzip, deflate, zstd",
    "Accept": f"{_JSON}, {_HTML};q=0.2, text/html;q=0.01",
    "User-Agent": _UV,
}
UV_FILE: Mapping[str, str] = {**UV_PAGE, "Accept-Encoding": "zstd,gzip,deflate", "Accept": "*/*"}
_TWINE: Mapping[str, str] = {
    "User-Agent": "twine/7.0.0",
    "Accept-Encoding": "gzip, deflate",
    "Accept": "*/*",
    "Connection": "keep-alive",
    "Authorization": _AUTHORIZATION,
}


def get_event(path: str, headers: Mapping[str, str], *, etag: str | None = None) -> dict[str, Any]:
    """Return the event of a client's GET.

    Args:
        etag: of the page that the client has.
    """
    conditions: Sequence[tuple[str, str]] = () if etag is None else (("If-None-Match", etag),)
    return function_url(path=path, headers=(*headers.items(), *conditions))


def upload_event(distribution: Distribution) -> dict[str, Any]:
    """Return the event of an upload as twine makes it."""
    body, content_type = upload_form(distribution)
    headers = (*_TWINE.items(), ("Content-Type", content_type))
    return function_url(method="POST", path="/", headers=headers, body=body)
