"""What is stored of a user, and what is known of one who proved to be it.

A record lies under the sha256 of its username and holds a role and a password hash, as serverless-pypi 0.0.6 had it.
"""

import json

from indexer.errors import CorruptObject
from indexer.json_bytes import encode_json
from indexer.names import ProjectName
from indexer.patterns import matches_any
from indexer.value import field, value

MAX_RECORD_BYTES = 65_536  # 64 KiB: a record is about 200 bytes
TOKEN_PREFIX = "spypi_"  # noqa: S105 - what scanners look for; no secret
TOKEN_USERNAME = "__token__"  # noqa: S105 - whose password is a token, as clients have it; the name of no user


@value
class UserRecord:
    """What is stored of a user.

    Attributes:
        hash: of the password, in passlib's format.
        upload: whether uploading is allowed.
        projects: patterns of the names under which the user may upload; empty for all.
        username: for lists; empty in records of serverless-pypi 0.0.6.
        id: random; given when a user is added and kept when one is changed. Tokens name it, so a user who is added
            again under an old name revives none. Empty in records that no token was made for and that are older.
        verifier: of the password, as `pypi_lambda.access.verifiers` makes it; empty until the password was right
        somewhere,
            and always without an installation's key.
    """

    hash: str
    upload: bool
    projects: tuple[str, ...] = ()
    username: str = ""
    id: str = ""
    verifier: str = field(default="", repr=False)


@value
class User:
    """Somebody who proved to be this user.

    Attributes:
        upload: whether uploading is allowed.
        projects: patterns of the names under which the user may upload; empty for all.
        token: the id of the token that was shown; empty for a password.
        token_projects: what the token limits uploads to besides; empty for nothing.
    """

    username: str
    upload: bool
    projects: tuple[str, ...] = ()
    token: str = ""
    token_projects: tuple[str, ...] = ()

    def may_publish(self, project: ProjectName) -> bool:
        """Tell whether the user, and the token if one was shown, may upload files of this project."""
        limits = (self.projects, self.token_projects)
        return self.upload and all(not patterns or matches_any(project, patterns) for patterns in limits)


def encode_user(record: UserRecord) -> bytes:
    """Return the record's bytes."""
    optional = {
        "projects": list(record.projects),
        "username": record.username,
        "id": record.id,
        "verifier": record.verifier,
    }
    given = {name: member for name, member in optional.items() if member}
    return encode_json({"hash": record.hash, "upload": record.upload, **given})


def decode_user(key: str, body: bytes) -> UserRecord:
    """Return the record; CorruptObject when the bytes are none."""
    try:
        document = json.loads(body)  # the runtime client has it loaded; orjson takes 5 ms of the first request
        projects = document.get("projects", [])
        record = UserRecord(
            hash=document["hash"],
            upload=document.get("upload", False),
            projects=tuple(projects),
            username=document.get("username", ""),
            id=document.get("id", ""),
            verifier=document.get("verifier", ""),
        )
        texts = (record.hash, record.username, record.id, record.verifier, *record.projects)
        if type(projects) is not list or type(record.upload) is not bool or {type(text) for text in texts} != {str}:
            raise TypeError("upload is a flag, projects a list, the others are texts")
        return record
    except (ValueError, TypeError, LookupError, AttributeError) as fault:
        # The fault's text could quote the hash.
        raise CorruptObject(key, f"no readable user record ({type(fault).__name__})") from None
