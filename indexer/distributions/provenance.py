"""Attestations that come with an upload, as the provenance that is served: kept as they are, and not verified.

That they speak of this file, by name and digest, is checked; whether a signature holds, and whose it is, is not: that
takes the keys of a transparency log. Whoever wants to know verifies them, as PEP 740 has it.

PEP 740; "Simple repository API: provenance"; in-toto Statement v1.
"""

import base64
import re
from typing import Any

from indexer.errors import InvalidValue
from indexer.json_bytes import decode_json, encode_json
from indexer.log.identity import slot_of
from indexer.names import Filename, check_filename
from indexer.version import version_key

MAX_ATTESTATIONS = 8  # clients send two kinds: publish, and what a build says of itself
MAX_BYTES = 524_288  # 512 KiB; one has 5 to 10 KB
STATEMENT = "https://in-toto.io/Statement/v1"
# "publisher: [...] the JSON object that describes the Trusted Publisher, with at least `kind`": here nobody looked
PUBLISHER = {"kind": "unverified", "claims": None}
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def make_provenance(attestations: str, filename: Filename, sha256: str) -> bytes:
    """Return the provenance object of a file, made of what an upload's field `attestations` has.

    Args:
        sha256: of the file.

    Raises:
        InvalidValue: field `attestations`: they are none, or not this file's.
    """
    if len(attestations) > MAX_BYTES:
        raise _refusal(attestations[:100], f"they have at most {MAX_BYTES:,} characters")
    try:
        found = decode_json(attestations.encode())
    except ValueError:
        raise _refusal(attestations[:100], "they are a JSON array") from None
    if not isinstance(found, list) or not 1 <= len(found) <= MAX_ATTESTATIONS:
        raise _refusal(attestations[:100], f"they are a JSON array of 1 to {MAX_ATTESTATIONS} attestations")
    for attestation in found:
        _check(attestation, filename, sha256)
    bundle = {"publisher": PUBLISHER, "attestations": found}
    return encode_json({"version": 1, "attestation_bundles": [bundle]})


def _check(attestation: Any, filename: Filename, sha256: str) -> None:
    """Make sure that an attestation has PEP 740's form, and that its statement is of this file."""
    if not isinstance(attestation, dict) or attestation.get("version") != 1:
        raise _refusal(attestation, "an attestation has version 1")
    material, envelope = attestation.get("verification_material"), attestation.get("envelope")
    if (
        not isinstance(material, dict)
        or not isinstance(material.get("certificate"), str)
        or not isinstance(material.get("transparency_entries"), list)
        or not material["transparency_entries"]
    ):
        raise _refusal(material, "an attestation has a certificate and its transparency entries")
    signature = envelope.get("signature") if isinstance(envelope, dict) else None
    if not isinstance(envelope, dict) or not isinstance(signature, str) or not _BASE64.fullmatch(signature):
        raise _refusal(envelope, "an attestation has an envelope with statement and signature, in base64")
    _check_statement(envelope.get("statement"), filename, sha256)


def _check_statement(encoded: Any, filename: Filename, sha256: str) -> None:
    try:
        statement = decode_json(base64.b64decode(encoded, validate=True))
        kind, [subject] = statement["_type"], statement["subject"]
        name, digest = subject["name"], subject["digest"]["sha256"]
    except (ValueError, TypeError, LookupError):
        raise _refusal(encoded, "a statement is in-toto's, of one subject with name and sha256") from None
    if kind != STATEMENT:
        raise _refusal(kind, f"a statement's type is {STATEMENT!r}")
    if not isinstance(name, str) or not _is_name(name, filename):
        raise _refusal(name, f"a statement's subject is the file, {filename!r}")
    if digest != sha256:
        raise _refusal(digest, f"a statement's digest is that of the file, {sha256}")


def _is_name(name: str, filename: Filename) -> bool:
    """Tell whether two names are of one file: clients attest to a name that they have normalised."""
    from indexer.distributions.filenames import parse_filename

    if name == filename:
        return True
    try:
        mine, other = parse_filename(filename), parse_filename(check_filename(name))
    except InvalidValue:
        return False
    return (mine.project, version_key(mine.version), slot_of(filename)) == (
        other.project,
        version_key(other.version),
        slot_of(check_filename(name)),
    ) and filename[-3:] == name[-3:]


def _refusal(found: Any, accepted: str) -> InvalidValue:
    return InvalidValue("attestations", found, accepted)
