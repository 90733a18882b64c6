"""Where everything lies in the store: each area, each suffix and each key, spelled here and nowhere else.

Keys are relative to `REPO_BASE_PREFIX` and made of checked names only. The layout is a promise: buckets of every
version so far have it.
"""

from indexer.names import Filename, ProjectName
from indexer.quick_hashes import sha256

SNAPSHOT_KEY = "snapshot.msgpack.zst"
LOG, PROJECTS, PAGES, INDEX = "log/", "projects/", "pages/", "index/"
UPSTREAM = "upstream/"
CACHE, MIRRORED_PAGES, LISTS, USES = "cache/", f"{UPSTREAM}pages/", f"{UPSTREAM}lists/", "cache-uses/"
HOSTS = f"{UPSTREAM}hosts/"
HOSTS_KEY = f"{HOSTS}private.json"  # hosts of the upstream's files that may not be asked
USERS, TOKENS, TOKEN_USES, INCOMING = "users/", "tokens/", "token-uses/", "incoming/"
# Copies of pages for one client, probes, claims, and large objects on their way: made anew whenever they are needed.
COPIES, PROBES, CLAIMS, STAGING = "copies/", "probe/", "rebuilding/", "staging/"
TRANSIENT = (COPIES, PROBES, CLAIMS, STAGING)
_NAMED = (SNAPSHOT_KEY, LOG, PROJECTS, PAGES, INDEX, CACHE, MIRRORED_PAGES, LISTS, HOSTS, USES)
AREAS = (*_NAMED, USERS, TOKENS, TOKEN_USES, INCOMING, *TRANSIENT)
UNKNOWN = ""
CLAIM_KEY = f"{CLAIMS}claim"

METADATA = ".metadata"  # beside a file: what METADATA its wheel has (PEP 658)
PROVENANCE = ".provenance"  # beside files: what an upload attested (PEP 740)
OLD_PAGE = "/index.json"  # a project's page of serverless-pypi 0.0.6
LEFT_SUFFIXES = (".asc", OLD_PAGE)  # what 0.0.6 left beside files
BESIDE_SUFFIXES = (METADATA, PROVENANCE, *LEFT_SUFFIXES)
PART_SUFFIX = ".part"  # below `incoming/`: a part of an upload
REJECTED_SUFFIX = ".rejected.txt"  # beside what was refused: why
CHECK_SUFFIX = ".check"
PACKED_SUFFIX = ".gz"


def log_key(seq: int) -> str:
    """Return the key of the event with this number."""
    return f"{LOG}{seq:020}.json"


def find_seq(key: str) -> int | None:
    """Return the number of the event that belongs under this key, or None when it is no event's."""
    digits = key.removeprefix(LOG).removesuffix(".json")
    return int(digits) if digits.isdecimal() and log_key(int(digits)) == key else None


def file_key(project: ProjectName, filename: Filename) -> str:
    """Return the key of a private file."""
    return f"{PROJECTS}{project}/{filename}"


def provenance_key(project: ProjectName, provenance_sha256: str) -> str:
    """Return the key of a file's provenance: by its digest, for two uploads of one file may bring different ones."""
    return f"{PROJECTS}{project}/{provenance_sha256}{PROVENANCE}"


def page_key(name: ProjectName, seq: int, tag: str, extension: str) -> str:
    """Return the key of a project's page after event `seq`, as a renderer with this tag wrote it."""
    return f"{PAGES}{name}/{seq:020}-{tag}.{extension}{PACKED_SUFFIX}"


def blocks_key(names_sha256: str, tag: str, extension: str) -> str:
    """Return the key of the root listing's entries of the upstream's names, of the list with this digest."""
    return f"{INDEX}{names_sha256}-{tag}.{extension}.blocks"


def names_key(names_sha256: str) -> str:
    """Return the key of the list of upstream names with this digest."""
    return f"{LISTS}{names_sha256}.names.zst"


def filter_key(names_sha256: str) -> str:
    """Return the key of the filter made of that list."""
    return f"{LISTS}{names_sha256}.filter.zst"


def mirrored_page_key(project: ProjectName) -> str:
    """Return the key of a mirrored page."""
    return f"{MIRRORED_PAGES}{project}.json{PACKED_SUFFIX}"


def mirrored_check_key(project: ProjectName) -> str:
    """Return the key of what the upstream last said of a mirrored page."""
    return f"{MIRRORED_PAGES}{project}{CHECK_SUFFIX}"


def mirrored_sources_key(project: ProjectName) -> str:
    """Return the key of where the files of a mirrored page come from."""
    return f"{MIRRORED_PAGES}{project}.sources"


def cache_key(project: ProjectName, filename: Filename) -> str:
    """Return the key of a mirrored file."""
    return f"{CACHE}{project}/{filename}"


def unproved_key(id: str) -> str:
    """Return the key of a mirrored file that no digest proves, until it has been looked into."""
    return f"{STAGING}unproved-{id}"


def use_key(cache_key: str) -> str:
    """Return the key whose last change tells when a mirrored file was last used."""
    return USES + cache_key.removeprefix(CACHE)


def user_key(username: str) -> str:
    """Return the key of a user's record."""
    return f"{USERS}{sha256(username.encode()).hexdigest()}.json"


def token_key(digest: str) -> str:
    """Return the key of the record of the token with this digest."""
    return f"{TOKENS}{digest}.json"


def token_use_key(token: str) -> str:
    """Return the key of the note on when a token was used, given its id."""
    return f"{TOKEN_USES}{token}"


def parts_prefix(upload: str) -> str:
    """Return what the keys of an upload in parts begin with."""
    return f"{INCOMING}{upload}/"


def part_key(upload: str, number: int) -> str:
    """Return the key of a part of an upload, which are numbered from 1."""
    return f"{parts_prefix(upload)}{number:05}{PART_SUFFIX}"


def rejection_key(upload: str) -> str:
    """Return the key of the sentence that says why an upload in parts was refused."""
    return f"{parts_prefix(upload)}upload{REJECTED_SUFFIX}"


def page_copy_key(name: str, digest: str, extension: str) -> str:
    """Return the key of a copy of a project's page, given the digest of its content."""
    return f"{COPIES}{name}/{digest}.{extension}"


def listing_copy_key(listing: str, address: str, extension: str) -> str:
    """Return the key of a copy of a root listing, given a digest of the address that its links begin with."""
    return f"{COPIES}{INDEX}{listing}-{address}.{extension}"


def probe_key(nonce: str) -> str:
    """Return the key of an object that only tries what the store does."""
    return f"{PROBES}{nonce}"


def area_of(key: str) -> str:
    """Return the area that a key belongs to, one of `AREAS`, or `UNKNOWN`."""
    first, slash, rest = key.partition("/")
    area = first + slash
    if area == UPSTREAM:
        area += rest.partition("/")[0] + "/"
    return area if area in _AREAS else UNKNOWN


def project_of(area: str, key: str) -> str:
    """Return the name under which an object of an area that is ordered by projects lies."""
    name = key.removeprefix(area)
    return name.partition(".")[0] if area == MIRRORED_PAGES else name.partition("/")[0]


_AREAS = frozenset(AREAS)
