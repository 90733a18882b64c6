"""How clients for a bucket are made, and what their errors mean.

Owns the AWS environment, the timeouts, and the one translation of obstore's errors. Knows no keys and no conditions.

Reading list: "Environment variables" in the AWS SDKs reference; "Error responses" in the Amazon S3 API reference;
obstore 0.12, `ClientConfig` and `RetryConfig`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store as Client

from indexer.errors import AlreadyExists, Changed, Missing, StoreUnavailable

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import ClientConfig, RetryConfig, S3Config

# The app has about 30 s behind an API Gateway and makes a few requests one after the other.
_PROMPT: "ClientConfig" = {
    "connect_timeout": timedelta(
        seconds=2
    ),  # within a region a few ms; leaves room for a lost SYN, sent again after 1 s
    "read_timeout": timedelta(seconds=5),  # until the first byte and between bytes; S3 begins within tens of ms
    "timeout": timedelta(seconds=20),  # all of an object read whole: 4 MB at 2 Mbit/s
}
_BULK: "ClientConfig" = {
    "connect_timeout": timedelta(seconds=2),
    "read_timeout": timedelta(seconds=60),  # runs while a part is sent, too: 3 parts of 8 MiB at 4 Mbit/s
    "timeout": timedelta(seconds=900),  # the longest that a Lambda function lives
}
_RETRY: "RetryConfig" = {
    "max_retries": 3,  # a broken connection or a SlowDown passes within a few hundred milliseconds or not soon
    "retry_timeout": timedelta(seconds=5),  # no new try later than this: with _PROMPT, a request ends within 10 s
    "backoff": {"init_backoff": timedelta(milliseconds=50), "max_backoff": timedelta(seconds=1), "base": 2},
}
# S3's two ways to copy only where nothing is: CompleteMultipartUpload with If-None-Match, and CopyObject with it.
_COPY_IN_PARTS = "multipart"
_COPY_BY_HEADER = "header:if-none-match:*"
_FORBIDDEN = (
    "access denied: the credentials are wrong, expired or lack a permission; and without s3:ListBucket on the bucket, "
    "S3 answers 403 for every object that does not exist"
)
TRIES = 3  # "409 ConditionalRequestConflict: retry the upload"; each is preceded by a look, so they do not race
ATTEMPT = "attempt"  # user metadata (x-amz-meta-attempt): tells our own write from another's of the very same bytes
_MAX_REASON_LENGTH = 500  # obstore appends its whole inner state, which would drown a log line


class Clients:
    """The clients of one bucket, each made when it is first needed: one costs 4 ms.

    Args:
        environ: where the standard AWS settings are read; obstore itself finds the credentials of a container.
    """

    def __init__(self, bucket: str, environ: Mapping[str, str]) -> None:
        self._bucket = bucket
        self._environ = environ

    @cached_property
    def prompt(self) -> Client:
        """For small objects and for requests without a body: fails within seconds."""
        return self._connect(_PROMPT, _COPY_IN_PARTS)

    @cached_property
    def bulk(self) -> Client:
        """For large objects; copies them with the condition on the last step of a multipart upload."""
        return self._connect(_BULK, _COPY_IN_PARTS)

    @cached_property
    def copier(self) -> Client:
        """Like `bulk`, but copies with the condition on the copy itself."""
        return self._connect(_BULK, _COPY_BY_HEADER)

    def _connect(self, options: "ClientConfig", copy_if_not_exists: str) -> Client:
        environ = self._environ
        endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or ""
        config: S3Config = {
            # One DELETE per object: the bulk form is a POST with an XML body, which not every server knows.
            "disable_bulk_delete": True,
            "copy_if_not_exists": copy_if_not_exists,
        }
        if endpoint:
            config["aws_endpoint_url_s3"] = endpoint.rstrip("/")
        if "AWS_ACCESS_KEY_ID" in environ and "AWS_SECRET_ACCESS_KEY" in environ:
            config["access_key_id"] = environ["AWS_ACCESS_KEY_ID"]
            config["secret_access_key"] = environ["AWS_SECRET_ACCESS_KEY"]
            if environ.get("AWS_SESSION_TOKEN"):
                config["session_token"] = environ["AWS_SESSION_TOKEN"]
        region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
        if region:
            config["region"] = region
        return Client(
            self._bucket,
            config=config,
            client_options={**options, "allow_http": endpoint.startswith("http://")},
            retry_config=_RETRY,
        )


def head(client: Client, key: str, path: str) -> "GetResult | None":
    """Return an object's attributes and metadata without its body, or None when there is none."""
    with suppress(Missing), translated(key):
        return obstore.get(client, path, options={"head": True})
    return None


@contextmanager
def translated(key: str) -> Iterator[None]:
    """Turn obstore's errors into ours: Missing, AlreadyExists, Changed, and StoreUnavailable for all the rest.

    obstore reports 404 as FileNotFoundError, 409 and a refused If-None-Match as AlreadyExistsError, and a refused
    If-Match as PreconditionError.
    """
    try:
        yield
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise StoreUnavailable(key, "the bucket does not exist") from error
        raise Missing(key) from error
    except AlreadyExistsError as error:
        raise AlreadyExists(key) from error
    except PreconditionError as error:
        raise Changed(key) from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise StoreUnavailable(key, f"{_FORBIDDEN} ({_reason(error)})") from error
    except (BaseError, OSError) as error:
        reason = _reason(error)
        if "403 Forbidden" in reason:  # of a listing, obstore reports it as a GenericError
            reason = f"{_FORBIDDEN} ({reason})"
        raise StoreUnavailable(key, reason) from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).partition("\n\nDebug source")[0].split())[:_MAX_REASON_LENGTH]
