"""Which objects a notification of S3 tells of."""

from typing import Any

import pytest

from pypi_lambda.function.notifications import find_created
from tests.aws.event_builders import edge_viewer, function_url


def record(key: str, *, name: str = "ObjectCreated:Put", bucket: str = "mybucket") -> dict[str, Any]:
    """Build a record as in "Event message structure" in the Amazon S3 user guide."""
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-west-2",
        "eventTime": "1970-01-01T00:00:00.000Z",
        "eventName": name,
        "userIdentity": {"principalId": "AIDAJDPLRKLG7UEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "testConfigRule",
            "bucket": {
                "name": bucket,
                "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                "arn": f"arn:aws:s3:::{bucket}",
            },
            "object": {
                "key": key,
                "size": 1024,
                "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                "versionId": "096fKKXTRTtl3on89fVO.nfljtsv6qko",
                "sequencer": "0055AED6DCD90281E5",
            },
        },
    }


def notification(*keys: str, **changes: str) -> dict[str, Any]:
    return {"Records": [record(key, **changes) for key in keys]}


@pytest.mark.parametrize(
    ("key", "prefix", "found"),
    [
        ("incoming/demo-1.0.tar.gz", "", "incoming/demo-1.0.tar.gz"),
        ("incoming/demo-1.0%2Blocal-py3-none-any.whl", "", "incoming/demo-1.0+local-py3-none-any.whl"),
        ("incoming/a+folder/demo-1%212.0.tar.gz", "", "incoming/a folder/demo-1!2.0.tar.gz"),
        ("some/folder/incoming/demo-1.0.tar.gz", "some/folder", "incoming/demo-1.0.tar.gz"),
        ("some+folder/incoming/demo-1.0.tar.gz", "some folder", "incoming/demo-1.0.tar.gz"),
        ("incoming/d%C3%A9mo.txt", "", "incoming/démo.txt"),
    ],
)
def test_created(key: str, prefix: str, found: str) -> None:
    """A key comes decoded, and without the folder below which ours lie."""
    assert find_created(notification(key), bucket="mybucket", prefix=prefix) == (found,)


def test_several() -> None:
    """All the records of a notification count."""
    assert find_created(notification("a", "b"), bucket="mybucket", prefix="") == ("a", "b")


def rule_event(key: object = "incoming/a", **changes: Any) -> dict[str, Any]:
    """Build an event of EventBridge as in "EventBridge event message structure" in the Amazon S3 user guide."""
    bucket = changes.pop("bucket", "mybucket")
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "123456789012",
        "time": "2026-11-12T00:00:00Z",
        "region": "us-west-2",
        "resources": [f"arn:aws:s3:::{bucket}"],
        "detail": {
            "version": "0",
            "bucket": {"name": bucket},
            "object": {
                "key": key,
                "size": 5,
                "etag": "b1946ac92492d2347c6235b4d2611184",
                "sequencer": "00617F08299329D189",
            },
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": "123456789012",
            "source-ip-address": "192.0.2.7",
            "reason": "PutObject",
        },
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }


@pytest.mark.parametrize(
    ("key", "prefix", "found"),
    [
        ("incoming/demo-1.0.tar.gz", "", "incoming/demo-1.0.tar.gz"),
        ("incoming/demo-1.0+local-py3-none-any.whl", "", "incoming/demo-1.0+local-py3-none-any.whl"),
        ("incoming/a folder/demo-1%212.0.tar.gz", "", "incoming/a folder/demo-1%212.0.tar.gz"),
        ("some folder/incoming/demo-1.0.tar.gz", "some folder", "incoming/demo-1.0.tar.gz"),
    ],
)
def test_by_a_rule(key: str, prefix: str, found: str) -> None:
    """EventBridge tells of one object, whose key is as it is."""
    assert find_created(rule_event(key), bucket="mybucket", prefix=prefix) == (found,)


@pytest.mark.parametrize(
    ("event", "prefix"),
    [
        (rule_event(bucket="another"), ""),
        (rule_event(detail_type="Object Deleted"), ""),
        (rule_event(), "folder"),
        (rule_event(1), ""),
        (rule_event(detail=None), ""),
        (rule_event(detail={"bucket": "mybucket", "object": []}), ""),
        (notification("incoming/a", bucket="another"), ""),
        (notification("incoming/a", name="ObjectRemoved:Delete"), ""),
        (notification("incoming/a"), "folder"),
        (notification("folder2/incoming/a"), "folder"),
        ({"Records": [{"s3": {}}]}, ""),
        ({"Records": [{"eventName": None, "s3": {"object": {"key": "a"}}}]}, ""),
        ({"Records": [{"eventName": "ObjectCreated:Put", "s3": {"object": None, "bucket": []}}]}, ""),
        ({"Records": [{"eventName": "ObjectCreated:Put", "s3": {"object": {"key": 1}}}]}, ""),
    ],
)
def test_not_ours(event: object, prefix: str) -> None:
    """Other buckets, other folders, other happenings and damaged records are left out."""
    assert find_created(event, bucket="mybucket", prefix=prefix) == ()


@pytest.mark.parametrize(
    "name", ["ObjectCreated:Put", "ObjectCreated:CompleteMultipartUpload", "s3:ObjectCreated:Copy"]
)
def test_ways_to_create(name: str) -> None:
    """However an object was made, it counts, also as S3-compatible servers write it."""
    assert find_created(notification("a", name=name), bucket="mybucket", prefix="") == ("a",)


@pytest.mark.parametrize(
    "event",
    [
        None,
        "reindex",
        {},
        {"Records": []},
        {"Records": "s3"},
        {"Records": [{"eventSource": "aws:sqs", "body": "{}"}]},
        {"Records": [record("a"), {"eventSource": "aws:sqs"}]},
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "mybucket"},
        function_url(),
        edge_viewer(),
    ],
)
def test_no_notification(event: object) -> None:
    """Other events are no notifications of S3, and the one that S3 sends when it is set up tells of no object."""
    assert find_created(event, bucket="mybucket", prefix="") is None
