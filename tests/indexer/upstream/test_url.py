"""What a link of an index leads to."""

import pytest

from indexer.upstream.url import absolute_url

BASE = "https://upstream.example/simple/six/"


@pytest.mark.parametrize("base", ["", BASE])
@pytest.mark.parametrize(
    "url",
    [
        "https://files.upstream.example/packages/55/bf/six-1.0%2Bcpu.tar.gz",
        "http://FILES.upstream.example/a/../b//c/./@x:y=z,(1)!$&'*+~_-",
        "https://upstream.example/",
    ],
)
def test_plain_urls_stay(base: str, url: str) -> None:
    """An absolute URL is taken as it is, wherever it was found."""
    assert absolute_url(url, base=base) == url


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("six.whl", f"{BASE}six.whl"),
        ("../../files/six.whl", "https://upstream.example/files/six.whl"),
        ("//files.example/six.whl", "https://files.example/six.whl"),
        (" https://files.example/six.whl\n", "https://files.example/six.whl"),
        ("https://files.example/six.whl#sha256=0", "https://files.example/six.whl"),
        ("https://files.example/six.whl?token=1", "https://files.example/six.whl?token=1"),
        ("https://user:s3cr3t@files.example/six.whl", "https://files.example/six.whl"),
        ("https://files.example@evil.example/six.whl", "https://evil.example/six.whl"),
        ("https://files.example:8080/six.whl", "https://files.example:8080/six.whl"),
        ("https://files.example", "https://files.example/"),
        ("HTTPS://files.example/six.whl", "https://files.example/six.whl"),
        ("https://files.example\\@evil.example/x", "https://evil.example/x"),
        ("https://files.example:port/six.whl", None),
        ("ftp://files.example/six.whl", None),
        ("javascript:alert(1)", None),
    ],
)
def test_other_links(link: str, url: str | None) -> None:
    """Any other link is resolved, without userinfo and fragment, or is none."""
    assert absolute_url(link, base=BASE) == url
