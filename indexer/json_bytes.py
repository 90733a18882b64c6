"""JSON as bytes, by orjson.

orjson is imported by the first call, because it brings `uuid` and `dataclasses` along and most cold starts read no
JSON: the snapshot is msgpack, and pages are sent as they are stored.
"""

from typing import Any


def encode_json(document: Any) -> bytes:
    """Return the document as compact UTF-8; equal documents with keys in the same order give equal bytes."""
    import orjson

    return orjson.dumps(document)


def decode_json(body: bytes) -> Any:
    """Return the document; ValueError when the bytes are none."""
    import orjson

    return orjson.loads(body)
