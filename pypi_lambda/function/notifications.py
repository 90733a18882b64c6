"""Notifications of S3, sent by itself or by EventBridge: which objects were put. Pure.

"Event message structure" and "EventBridge event message structure" in the Amazon S3 user guide.
"""

from typing import Any


def find_created(event: object, *, bucket: str, prefix: str) -> tuple[str, ...] | None:
    """Return the keys of the objects that a notification says were created, or None when the event is none.

    Args:
        bucket: objects of another one are left out.
        prefix: the folder below which our keys lie, "" or without a slash at its end; others are left out.
    """
    if not isinstance(event, dict):
        return None
    folder = f"{prefix}/" if prefix else ""
    if event.get("source") == "aws.s3":
        key = _find_key_in_rule(event, bucket, folder)
        return () if key is None else (key,)
    records = event.get("Records")
    if not isinstance(records, list) or not records or not all(_is_s3(record) for record in records):
        return None
    found = (_find_key(record, bucket, folder) for record in records)
    return tuple(key for key in found if key is not None)


def _find_key_in_rule(event: dict[str, Any], bucket: str, prefix: str) -> str | None:
    """Return the key in an event of EventBridge, which has it as it is, and each object in an event of its own."""
    try:
        key = event["detail"]["object"]["key"]
        created = event["detail-type"] == "Object Created"
        ours = event["detail"]["bucket"]["name"] == bucket and key.startswith(prefix)
    except (LookupError, TypeError, AttributeError):
        return None
    return str(key[len(prefix) :]) if created and ours else None


def _is_s3(record: Any) -> bool:
    return isinstance(record, dict) and isinstance(record.get("s3"), dict)


def _find_key(record: dict[str, Any], bucket: str, prefix: str) -> str | None:
    from urllib.parse import unquote_plus  # with `ipaddress` 2 ms, which a cold start need not pay

    try:
        created = record["eventName"].removeprefix("s3:").startswith("ObjectCreated:")
        # "The key name is URL encoded": as a form is, with + for a space
        key = unquote_plus(record["s3"]["object"]["key"])
        ours = record["s3"]["bucket"]["name"] == bucket and key.startswith(prefix)
    except (LookupError, TypeError, AttributeError):
        return None
    return key[len(prefix) :] if created and ours else None
