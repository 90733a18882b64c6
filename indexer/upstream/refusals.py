"""Why an upstream refuses something, in its own words: short, of printable text, and without what is not for clients.

A firewall in front of an index answers 403 with the rule that a file breaks; a wrong password is answered 403, too, but
without more than the word. Pure.

RFC 9110 (15.5.4: "[the] server generating the response [can] describe that reason in the response content"), RFC 9457
(`detail`).
"""

import re
from collections.abc import Iterable
from html import unescape
from typing import Any

MAX_READ_BYTES = 8_192  # of a page that says it in HTML, and of what comes before the text there
MAX_SHOWN = 300
_MEMBERS = ("detail", "message", "reason", "error", "description", "title")
_TAGS = re.compile(r"<(style|script)\b.*?</\1\s*>|<[^<>]{0,2000}>", re.DOTALL | re.IGNORECASE)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://\S+")
_PATH = re.compile(r"(?<![\w.:])/[\w.~%+@-]+(?:/[\w.~%+@-]*)+|[A-Za-z]:\\\S+")
# What is said of every refusal, and so is no reason.
_EMPTY = """403 451 http error forbidden access denied is not allowed unauthorized you don t have do permission to on
    this server resource the request page please url requested view a for of your nginx apache openresty cloudflare"""


def find_reason(content_type: str, body: bytes, phrase: str, *, secrets: Iterable[str] = ()) -> str | None:
    """Return the reason of a refusal, or None where none is given.

    Args:
        body: its beginning.
        phrase: of the status line.
        secrets: patterns of what must not be repeated.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    text = body.decode("utf-8", "replace")
    if media_type.endswith(("/json", "+json")):
        text = _said_in_json(text)
    elif media_type in ("text/html", "application/xhtml+xml"):
        text = unescape(_TAGS.sub(" ", text))
    elif media_type != "text/plain":
        text = ""
    return next((shown for each in (text, phrase) if (shown := _shown(each, secrets)) is not None), None)


def _said_in_json(text: str) -> str:
    import orjson

    try:
        document: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        return ""
    for _ in range(4):  # {"errors": [{"status": 403, "message": "…"}]}
        if isinstance(document, str):
            return document
        if isinstance(document, list):
            document = next(iter(document), None)
        elif isinstance(document, dict):
            document = next((document[key] for key in (*_MEMBERS, "errors") if document.get(key)), None)
    return document if isinstance(document, str) else ""


def _shown(text: str, secrets: Iterable[str]) -> str | None:
    for secret in secrets:
        text = re.sub(secret, "…", text)
    text = "".join([mark if mark.isprintable() else " " for mark in text])
    text = " ".join(_PATH.sub("…", _ADDRESS.sub("…", text)).split())
    words = re.findall(r"\w+", text.lower())
    if set(words) <= set(_EMPTY.split()):
        return None
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
