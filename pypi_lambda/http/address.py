"""The index's address as a client knows it: said by the front door, or read off the request's headers. Pure.

What a header says is only ever told to the client that sent it.
"""

import re

from pypi_lambda.http.model import Request
from pypi_lambda.http.percent import quote_path

_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:]{2,39}\](:[0-9]{1,5})?")


def find_root(request: Request) -> str | None:
    """Return the index's address as this client knows it, without a slash at its end, or None when it is not known."""
    if request.root_url:
        return request.root_url
    host = request.headers.get("host", "")
    scheme = request.headers.get("x-forwarded-proto", "http")
    is_plain = _HOST.fullmatch(host) and scheme in ("http", "https")
    return f"{scheme}://{host}{quote_path(request.base_path)}" if is_plain else None
