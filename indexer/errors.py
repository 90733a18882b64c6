"""The faults of the index: one base class, a subclass only where a caller does something different.

Fields are attributes; the prose is in `__str__`. Faults of a request (with an HTTP status) live in `pypi_lambda.http`.
"""


class IndexerError(Exception):
    """Base of every fault this project raises on purpose."""


class Missing(IndexerError):
    """The store has no object under this key."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"no object at {self.key!r}"


class AlreadyExists(IndexerError):
    """A put-if-absent found the key taken: an ordinary lost race, not a failure."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"an object already exists at {self.key!r}"


class Changed(IndexerError):
    """A replace-if-unchanged found another object than the one it was derived from, or none."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"the object at {self.key!r} changed meanwhile"


class Unpublishable(IndexerError):
    """A file that was checked may not be published here, or not now; `reason` is a sentence for whoever brought it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class Taken(Unpublishable):
    """What it would be is taken: by a file, offered or removed, or by another upload that may be under way."""


class Closed(Unpublishable):
    """Its project takes no files."""


class CorruptObject(IndexerError):
    """An object's bytes are not what was written there: truncated, altered, or of an unknown format."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(key, reason)
        self.key = key
        self.reason = reason

    def __str__(self) -> str:
        return f"corrupt object: {self.reason}, at {self.key!r}"


class UnknownVersion(IndexerError):
    """A derived object is whole, but of a format that this program is too old for; it is not overwritten."""

    def __init__(self, key: str, version: object) -> None:
        super().__init__(key, version)
        self.key = key
        self.version = version

    def __str__(self) -> str:
        return (
            f"{self.key!r} has format {self.version!r}, which this version does not know: a newer version of this "
            "program wrote it; update this one, or delete the object to go back to it"
        )


class TooLarge(IndexerError):
    """Something to be read is longer than the limit of its reader."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(what, limit)
        self.what = what
        self.limit = limit

    def __str__(self) -> str:
        return f"{self.what} is larger than {self.limit:,} bytes"


class StoreUnavailable(IndexerError):
    """The store did not answer, answered with a fault of its own, or refused our credentials."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(key, reason)
        self.key = key
        self.reason = reason

    def __str__(self) -> str:
        return f"the store failed: {self.reason}, at {self.key!r}"


class UnsafeStore(IndexerError):
    """The store lacks something that correctness rests on, so it is refused at set-up."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"this store cannot be used: {self.reason}"


class InvalidValue(IndexerError):
    """A value from outside is not what its field accepts.

    Attributes:
        field: the field's name as the sender knows it.
        value: the offending value.
        accepted: what would have been accepted, as the end of a sentence.
    """

    def __init__(self, field: str, value: object, accepted: str) -> None:
        super().__init__(field, value, accepted)
        self.field = field
        self.value = value
        self.accepted = accepted

    def __str__(self) -> str:
        shown = repr(self.value)
        if len(shown) > 200:  # a hostile value must not fill the log or the response
            shown = shown[:200] + "…"
        return f"invalid {self.field} {shown}: {self.accepted}"


# pip waits for as long as it is told, five times over, before it gives up; most failures are over sooner than that.
DEFAULT_RETRY_SECONDS = 5


class UpstreamUnavailable(IndexerError):
    """The upstream did not answer in time, answered with a fault, or with something that is no index page.

    Attributes:
        retry_after_seconds: when asking again makes sense.
        told_seconds: for how long it asked to be left alone, where it did.
    """

    def __init__(self, reason: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = DEFAULT_RETRY_SECONDS if retry_after_seconds is None else retry_after_seconds
        self.told_seconds = retry_after_seconds

    def __str__(self) -> str:
        return f"the upstream index failed: {self.reason}"


class UpstreamNonsense(UpstreamUnavailable):
    """The upstream answered in time and without a fault, but with something that is no page of the index."""


class UpstreamRefused(UpstreamUnavailable):
    """The upstream has it and will not give it, and says why: to everybody, whatever the credentials."""

    def __str__(self) -> str:
        return f"the upstream index refuses it: {self.reason}"


class PrivateAddress(UpstreamUnavailable):
    """The upstream named a host that must not be reached: its address is not one of the public internet's."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"it names the host {host!r}, whose address is private; list it in UPSTREAM_PRIVATE_HOSTS to allow that"
        )
        self.host = host


class DigestMismatch(IndexerError):
    """Bytes that were fetched do not have the digest or the size that was announced for them."""

    def __init__(self, what: str, *, expected: str, actual: str) -> None:
        super().__init__(what, expected, actual)
        self.what = what
        self.expected = expected
        self.actual = actual

    def __str__(self) -> str:
        return f"{self.what} has {self.actual}, not the announced {self.expected}"
