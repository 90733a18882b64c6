"""The root listing's text: its head, an entry for each project, its foot; as HTML and as JSON. Pure.

Names are normalised, so nothing in them needs an escape. Of the upstream's names, which are many, each entry is text
that depends on nothing but the name: so they are compressed once, and put together with the rest
(`indexer.derive.blocks`).

Simple repository API (PEP 503, 691); `_last-serial` is what bandersnatch reads, as the public index has it.
"""

import re
from collections.abc import Callable, Iterable, Mapping

from indexer.names import ProjectName
from indexer.simple.html import FOOT, HEAD
from indexer.simple.wire import API_VERSION
from indexer.value import value


@value
class RootText:
    """One format of the listing.

    Attributes:
        head: given the serial of the listing.
        private: the entries of private projects, given their names and serials.
        upstream: the entries of the upstream's names, each with what stands between two entries before it.
        between: what that is; the listing's first entry must not have it.
        entry: finds the upstream's entries and, as its only group, their names.
    """

    head: Callable[[int], str]
    private: Callable[[Iterable[tuple[ProjectName, int]]], str]
    upstream: Callable[[Iterable[ProjectName]], str]
    foot: str
    between: str
    entry: re.Pattern[bytes]


def _html_head(_serial: int) -> str:
    return f"{HEAD}<title>Simple index</title>\n</head>\n<body>\n"


def _html_private(projects: Iterable[tuple[ProjectName, int]]) -> str:
    return _html_upstream(name for name, _ in projects)


def _html_upstream(names: Iterable[ProjectName]) -> str:
    return "".join([f'<a href="{name}/">{name}</a>\n' for name in names])


def _json_head(serial: int) -> str:
    return f'{{"meta":{{"api-version":"{API_VERSION}","_last-serial":{serial}}},"projects":['


def _json_private(projects: Iterable[tuple[ProjectName, int]]) -> str:
    return ",".join([f'{{"name":"{name}","_last-serial":{serial}}}' for name, serial in projects])


def _json_upstream(names: Iterable[ProjectName]) -> str:
    return "".join([f',{{"name":"{name}"}}' for name in names])


ROOT_TEXTS: Mapping[str, RootText] = {
    "json": RootText(
        head=_json_head,
        private=_json_private,
        upstream=_json_upstream,
        foot="]}",
        between=",",
        entry=re.compile(rb',\{"name":"([^"]*)"\}'),
    ),
    "html": RootText(
        head=_html_head,
        private=_html_private,
        upstream=_html_upstream,
        foot=FOOT,
        between="",
        entry=re.compile(rb'<a href="([^"/]*)/">[^<]*</a>\n'),
    ),
}
