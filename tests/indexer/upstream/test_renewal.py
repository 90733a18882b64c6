"""A mirrored page that an older version stored has today's form, whatever it passed on then."""

from typing import Any

from indexer.upstream.renewal import renewed

DIGEST, WEAK = "ab" * 32, "cd" * 16
WHEEL = "six-1.0-py3-none-any.whl"


def page(*files: dict[str, Any]) -> dict[str, Any]:
    return {"meta": {"api-version": "1.4"}, "name": "six", "versions": ["1.0"], "files": list(files), "more": 1}


def entry(filename: str = WHEEL, **changes: Any) -> dict[str, Any]:
    entry = {"filename": filename, "url": filename, "hashes": {"sha256": DIGEST}}
    return entry | {key[0] + key[1:].replace("_", "-"): value for key, value in changes.items()}


def test_old_faults() -> None:
    """Values that clients cannot read are gone, of several digests one is left, and what nothing proves is marked."""
    old = entry(
        hashes={"md5": WEAK, "sha256": DIGEST},
        size=7,
        upload_time="yesterday",
        yanked="",
        requires_python=">=dog",
        core_metadata=True,
        dist_info_metadata=True,
        _filled=["upload-time", "core-metadata", "dist-info-metadata"],
    )
    odd = entry("six_x-1.0-py3-none-any.whl", core_metadata=True, hashes={"md5": WEAK})
    weak = entry("six_x-1.0-py3-none-any.whl", hashes={"md5": WEAK}, _unverified=True)
    assert renewed(page(old, odd)) == page(
        entry(size=7, yanked=False, core_metadata=True, _filled=["core-metadata"]), weak
    )


def test_a_digest_that_was_not_understood() -> None:
    """A file whose digest was passed over is left out, and named."""
    found = renewed(page(entry(), entry("six-1.0.tar.gz", hashes={"sha256": "12"})))
    assert found["files"] == [entry()]
    assert found["_dropped"]["files"][0]["filename"] == "six-1.0.tar.gz"


def test_today_s_form() -> None:
    """A page of today is returned as it is."""
    today = page(entry(size=7, _filled=["size"]), entry("six-1.0.tar.gz", hashes={}, _unverified=True))
    assert renewed(today) is today
