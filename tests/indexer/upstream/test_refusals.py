"""What of an upstream's refusal is passed on: the reason, short and printable, and nothing that is not for clients."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.upstream.refusals import MAX_SHOWN, find_reason

QUARANTINED = "Requested item is quarantined: CVE-2024-1"


def plain(text: str, *secrets: str) -> str | None:
    return find_reason("text/plain; charset=utf-8", text.encode(), "Forbidden", secrets=secrets)


@pytest.mark.parametrize(
    ("content_type", "body", "reason"),
    [
        ("text/plain", QUARANTINED, QUARANTINED),
        ("application/problem+json", {"title": "Forbidden", "detail": QUARANTINED}, QUARANTINED),
        ("application/json", {"errors": [{"status": 403, "message": QUARANTINED}]}, QUARANTINED),
        ("application/json", {"error": {"message": QUARANTINED}}, QUARANTINED),
        ("application/json", [QUARANTINED], QUARANTINED),
        (
            "text/html",
            f"<style>p {{}}</style><h1>403</h1><p>{QUARANTINED} &amp; <b>more</b>",
            f"403 {QUARANTINED} & more",
        ),
        ("application/json", {"ok": False}, None),
        ("application/json", "{", None),
        ("application/xml", "<Error><Code>AccessDenied</Code></Error>", None),
        ("", QUARANTINED, None),
        ("text/plain", "", None),
        ("text/plain", "Forbidden", None),
        ("text/html", "<html><head><title>403 Forbidden</title></head><center>nginx</center>", None),
        ("text/html", "<p>You don't have permission to access this resource.</p>", None),
    ],
)
def test_the_body(content_type: str, body: Any, reason: str | None) -> None:
    """Text, JSON and HTML are read for a reason; where there is only the word, there is none."""
    content = body.encode() if isinstance(body, str) else orjson.dumps(body)
    assert find_reason(content_type, content, "Forbidden") == reason


def test_the_status_line() -> None:
    """A reason in the status line counts where the body has none."""
    assert find_reason("", b"", QUARANTINED) == QUARANTINED
    assert find_reason("text/plain", b"licence", QUARANTINED) == "licence"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("blocked\r\nSet-Cookie: x\x00\x1b[31m", "blocked Set-Cookie: x [31m"),
        ("see https://user:pw@firewall.example/why?token=1 for it", "see … for it"),
        ("in /var/lib/nexus/blobs/a.whl by rule 7", "in … by rule 7"),
        ("in C:\\data\\x by rule 7", "in … by rule 7"),
        ("you sent hunter22, which may not", "you sent …, which may not"),
        ("and/or numpy", "and/or numpy"),
    ],
)
def test_what_is_not_for_clients(text: str, shown: str) -> None:
    """Control characters, addresses, paths and our credentials are left out."""
    assert plain(text, "hunter22") == shown


@given(st.text(max_size=2_000))
def test_every_reason_is_short_and_printable(text: str) -> None:
    """No answer of an upstream makes a header, a log line or a page of ours more than a sentence."""
    shown = plain(text)
    assert shown is None or (shown.isprintable() and len(shown) <= MAX_SHOWN + 1)
