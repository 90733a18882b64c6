"""Web addresses: making them absolute, taking credentials out of them, telling one origin from another.

Owns the rule that no URL that leaves this module carries userinfo, so none can reach a log, a store or a client. Knows
nothing of fetching.

RFC 3986 (syntax), RFC 6454 (origin), RFC 7617 (Basic).
"""

import base64
import re
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit, urlunsplit

from indexer.errors import InvalidValue
from indexer.value import field, value

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_CREDENTIALS = re.compile(r"^(https?:/*)?.*@", re.IGNORECASE | re.DOTALL)
# All that RFC 3986 reserves, and `%`: quoting the rest leaves nothing (a backslash, a space, a line break) on which two
# parsers could disagree about where the host ends.
_KEPT = "!#$%&'()*+,/:;=?@[]~"
# What `absolute_url` leaves as it is, whatever the base: nearly all links of nearly all indexes. Taking one apart and
# putting it together again takes twelve times as long, and a page has thousands.
_PLAIN = re.compile(r"https?://[A-Za-z0-9._-]+/[A-Za-z0-9!$%&'()*+,/:=@~._-]*")


@value
class IndexUrl:
    """Where an index is: its root without credentials, ending in `/`, and the Authorization its own origin wants."""

    root: str
    authorization: str | None = field(default=None, repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Patterns of what must not be repeated to anybody: the credentials as sent, password or token, user name."""
        if self.authorization is None:
            return ()
        encoded = self.authorization.removeprefix("Basic ")
        username, _, password = base64.b64decode(encoded).decode("utf-8", "replace").partition(":")
        secret = password or username
        texts = (encoded, secret, quote(secret, safe="")) if secret else (encoded,)
        # A name may be a letter or a usual word: it goes where it is a word.
        name = (rf"(?<!\w){re.escape(username)}(?!\w)",) if username else ()
        return (*map(re.escape, texts), *name)


def parse_index_url(raw: str, *, source: str = "UPSTREAM_INDEX_URL") -> IndexUrl:
    """Split an index's URL, as an administrator wrote it, into address and credentials.

    Args:
        raw: an http or https URL, optionally with `user:password@` or `token@`.
        source: what the value is called where it came from, for the error.

    Raises:
        InvalidValue: it is no such URL; the error shows it without its credentials.
    """
    root = absolute_url(raw)
    # A password with a raw `/` would become the path, sent to another host and written to the log.
    if root is None or "?" in raw or "#" in raw or "@" in urlsplit(root).path:
        shown = re.split("[?#]", _CREDENTIALS.sub(r"\1", raw))[0]
        raise InvalidValue(
            source, shown, "an http:// or https:// URL without query or fragment, its credentials percent-encoded"
        )
    return IndexUrl(root=root if root.endswith("/") else root + "/", authorization=_authorization(raw))


def _authorization(raw: str) -> str | None:
    userinfo, at, _ = urlsplit(quote(raw.strip(), safe=_KEPT)).netloc.rpartition("@")
    if not at:
        return None
    username, _, password = userinfo.partition(":")
    credentials = unquote_to_bytes(username) + b":" + unquote_to_bytes(password)
    return "Basic " + base64.b64encode(credentials).decode("ascii")


def absolute_url(link: str, *, base: str = "") -> str | None:
    """Return a link as an absolute http or https URL without userinfo and fragment, or None when it is none."""
    if _PLAIN.fullmatch(link):
        return link
    try:
        parts = urlsplit(urljoin(base, quote(link.strip(), safe=_KEPT)))
        port = parts.port
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2]
    name = host if port is None else host.rpartition(":")[0]
    if parts.scheme not in _DEFAULT_PORTS or not _HOST.fullmatch(name.removesuffix(":")):
        return None
    return urlunsplit((parts.scheme, host, parts.path or "/", parts.query, ""))


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of an absolute http or https URL: who gets to see what is sent there."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS[parts.scheme]


def shown_url(url: str) -> str:
    """Return a URL fit for a log or an error: without userinfo, and without the query, where signatures live."""
    absolute = absolute_url(url)
    return "a link that is no http or https URL" if absolute is None else absolute.partition("?")[0]
