"""Descriptions of any kind are rendered, and nothing in them is more than text or a link."""

import pytest

from pypi_lambda.browse.readme import MAX_MARKUP_BYTES, render_description


@pytest.mark.parametrize(
    ("content_type", "description", "expected"),
    [
        ("text/markdown", "*a* <b onclick=x>b</b>", "<em>a</em>"),
        ("text/markdown; variant=GFM", "~~a~~", "<del>a</del>"),
        ("text/x-rst", "*a*", "<em>a</em>"),
        ("", "*a*", "<em>a</em>"),
        ("text/x-rst", "Title\n=\n\n.. unknown:: x", '<pre class="plain">'),
        ("text/plain", "<b>a</b>", '<pre class="plain">&lt;b&gt;a&lt;/b&gt;'),
        ("text/unheard-of", "<b>a</b>", '<pre class="plain">&lt;b&gt;a&lt;/b&gt;'),
    ],
)
def test_descriptions(content_type: str, description: str, expected: str) -> None:
    """Each kind of description is rendered as what it is, or shown as it is written."""
    kind = f"Description-Content-Type: {content_type}\n" if content_type else ""
    rendered = render_description(f"Metadata-Version: 2.1\nName: x\n{kind}\n{description}\n".encode())
    assert rendered is not None
    assert expected in rendered
    assert "onclick" not in rendered


def test_description_in_every_script() -> None:
    """A description is UTF-8, whatever letters it has."""
    rendered = render_description("Name: x\nDescription-Content-Type: text/markdown\n\ngrüße 日本\n".encode())
    assert rendered == "<p>grüße 日本</p>\n"


@pytest.mark.parametrize(
    ("content_type", "description"),
    [
        ("text/markdown", "<table><tr><td>" * 30_000),
        ("text/markdown", "[^1]: x\n" + "[^1] " * 90_000),
        (
            "text/x-rst",
            "".join(f".. |a{n}| replace:: {f'|a{n + 1}| ' * 8}\n" for n in range(9)) + ".. |a9| replace:: x\n\n|a0|",
        ),
    ],
    ids=["nested tags", "long result", "substitutions of substitutions"],
)
def test_description_made_to_take_for_ever(content_type: str, description: str) -> None:
    """A description that would keep its renderer busy for hours, or make a page too long to send, is shown as it is."""
    metadata = f"Name: x\nDescription-Content-Type: {content_type}\n\n{description}\n".encode()
    rendered = render_description(metadata)
    assert rendered is not None
    assert rendered.startswith('<pre class="plain">')
    assert len(rendered.encode()) <= MAX_MARKUP_BYTES + 100


@pytest.mark.parametrize("metadata", [b"", b"Name: x\n", b"Name: x\n\n \n"])
def test_no_description(metadata: bytes) -> None:
    """Metadata without a description gives none."""
    assert render_description(metadata) is None
