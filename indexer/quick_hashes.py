"""BLAKE2b, SHA-256 and the comparison of digests as the interpreter itself has them, for what a cold start needs.

`hashlib` and `hmac` have the same functions and make OpenSSL ready first: 3 ms of every container. OpenSSL's
SHA-256 is three times as fast on megabytes, so contents are hashed by `hashlib`, and names, keys and records here.
An interpreter without these modules gets those of `hashlib`.
"""

import sys

__all__ = ["blake2b", "compare_digest", "sha256"]

try:
    from _blake2 import blake2b
    from _operator import _compare_digest as compare_digest

    if sys.version_info >= (3, 12):
        from _sha2 import sha256  # type: ignore[import-not-found]
    else:
        from _sha256 import sha256  # type: ignore[import-not-found]
except ImportError:
    from hashlib import blake2b, sha256
    from hmac import compare_digest  # type: ignore[no-redef]
