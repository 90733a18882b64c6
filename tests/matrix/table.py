"""The pinned clients, as `clients.toml` has them."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parent / "clients.toml"
KINDS = ("installer", "uploader", "downstream", "tool")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One version of a client.

    Attributes:
        kind: one of `KINDS`.
        driver: the name of the function that runs it.
        package: the distribution that has it.
        pythons: the versions of Python that it may run on, best first.
        ways: how it is given the password.
        legacy: it knows no `pyproject.toml` with a build backend inside, so its sdist has a `setup.py`.
        together: what else is installed with it.
        cannot: by scenario or way, why it is not to succeed; it is an error if it does.
        told: what it needs to be told, for people.
        short: it belongs to the short form.
    """

    kind: str
    name: str
    driver: str
    package: str
    version: str
    pythons: tuple[str, ...]
    ways: tuple[str, ...]
    legacy: bool
    together: tuple[str, ...]
    cannot: Mapping[str, str]
    told: str
    short: bool

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def key(self) -> tuple[str, ...]:
        """What no other client has."""
        return (self.kind, self.title, self.pythons[0])

    @property
    def number(self) -> tuple[int, ...]:
        """The version, for comparisons."""
        return tuple(int(part) for part in self.version.split(".") if part.isdigit())


def read_table() -> list[Client]:
    """Return all clients in the order of the table."""
    document = tomllib.loads(TABLE.read_text("utf-8"))
    return [
        _client(kind, {"pythons": document["pythons"], "ways": document["ways"][kind], **entry}, release)
        for kind in KINDS
        for entry in document[kind]
        for release in entry["releases"]
    ]


def find_client(kind: str, name: str) -> Client:
    """Return the newest version of a client, which is the last in the table."""
    return [client for client in read_table() if (client.kind, client.name) == (kind, name)][-1]


def _client(kind: str, entry: Mapping[str, Any], release: Mapping[str, Any]) -> Client:
    return Client(
        kind=kind,
        name=entry["name"],
        driver=entry.get("driver", entry["name"]).replace("-", "_"),
        package=entry.get("package", entry["name"]),
        version=release["version"],
        pythons=tuple(release.get("pythons", entry["pythons"])),
        ways=tuple(entry["ways"]),
        legacy=release.get("legacy", False),
        together=(*entry.get("together", ()), *release.get("together", ())),
        cannot={**entry.get("cannot", {}), **release.get("cannot", {})},
        told=entry.get("told", ""),
        short=release.get("short", False),
    )
