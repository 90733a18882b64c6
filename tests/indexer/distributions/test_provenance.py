"""Attestations of an upload are kept and served as provenance when they are of this file, and nothing is claimed."""

import base64
import json
from typing import Any

import pytest
from pypi_simple import ProjectPage

from indexer.distributions.provenance import MAX_BYTES, STATEMENT, make_provenance
from indexer.errors import InvalidValue
from indexer.log.events import FileAdded, FileRemoved
from indexer.log.log import ORIGIN, Log
from indexer.names import Filename, ProjectName
from indexer.simple.page import Renderer, decode_page
from tests.support.apps import JSON, Answer, Site
from tests.support.builders import added, file, project, sha256, upload_form
from tests.support.distributions import Distribution, make_sdist, make_wheel

WHEEL = make_wheel("demo", "1.0")
SDIST = make_sdist("demo", "1.0")
NAME = Filename(WHEEL.filename)
KEY = f"/simple/demo/{NAME}.provenance"


def encoded(document: object) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def statement(**changes: Any) -> dict[str, Any]:
    return {
        "_type": STATEMENT,
        "subject": [{"name": str(NAME), "digest": {"sha256": WHEEL.sha256}}],
        "predicateType": "https://attestations.example/publish/v1",
        "predicate": None,
        **changes,
    }


def attestation(**changes: Any) -> dict[str, Any]:
    """Build an attestation whose signature nobody made."""
    return {
        "version": 1,
        "verification_material": {"certificate": "MIIB", "transparency_entries": [{"logIndex": "1"}]},
        "envelope": {"statement": encoded(statement()), "signature": "c2lnbmF0dXJl"},
        **changes,
    }


def of(*, name: str = str(NAME), digest: str = WHEEL.sha256, **changes: Any) -> dict[str, Any]:
    """Build an attestation of this subject."""
    said = statement(subject=[{"name": name, "digest": {"sha256": digest}}], **changes)
    return attestation(envelope={"statement": encoded(said), "signature": "c2lnbmF0dXJl"})


def upload(site: Site, distribution: Distribution, attestations: object) -> Answer:
    body, content_type = upload_form(distribution)
    field = f'--b\r\nContent-Disposition: form-data; name="attestations"\r\n\r\n{json.dumps(attestations)}\r\n'
    whole = body.removesuffix(b"--b--\r\n") + field.encode() + b"--b--\r\n"
    return site.request("POST", "/", body=whole, content_type=content_type)


def test_served(site: Site) -> None:
    """What was attested is served below the file, to the letter, and page and object say that nobody verified it."""
    found = attestation()
    assert upload(site, WHEEL, [found]).status == 200
    [wire] = json.loads(site.get("/simple/demo/", accept=JSON).body)["files"]
    assert wire["provenance"] == f"{NAME}.provenance"  # nobody says where the index is
    page = json.loads(site.get("/simple/demo/", accept=JSON, headers={"host": "pypi.example"}).body)
    assert page["files"][0]["provenance"] == f"http://pypi.example{KEY}"
    assert ProjectPage.from_json_data(page).packages[0].provenance_url == f"http://pypi.example{KEY}"
    html = site.get("/simple/demo/", accept="text/html", headers={"host": "h", "x-forwarded-proto": "https"}).text
    assert f' data-provenance="https://h{KEY}"' in html
    assert wire["_provenance"]["verified"] is False
    answer = site.get(KEY)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/vnd.pypi.integrity.v1+json")
    assert json.loads(answer.body) == {
        "version": 1,
        "attestation_bundles": [{"publisher": {"kind": "unverified", "claims": None}, "attestations": [found]}],
    }
    assert wire["_provenance"]["sha256"] == sha256(answer.body)
    assert f'data-provenance="{NAME}.provenance"' in site.get("/simple/demo/", accept="text/html").text
    assert "attestations, not verified" in site.get("/project/demo/", accept="text/html").text


def test_after_a_rebuild(site: Site) -> None:
    """It stays when the page is made anew."""
    upload(site, WHEEL, [attestation()])
    before = site.get("/simple/demo/", accept=JSON).body
    site.rebuild()
    assert site.get("/simple/demo/", accept=JSON).body == before
    assert site.get(KEY).status == 200


def test_page_round_trip() -> None:
    """A page with provenance is read back as the project that it shows."""
    shown = project(file(provenance_sha256="0" * 64), file("demo-1.0.tar.gz"))
    assert decode_page("page", Renderer().render_json(shown)) == shown


def test_without(site: Site) -> None:
    """A file without attestations has no provenance, and neither has one that was removed, or a mirrored name."""
    site.upload(SDIST)
    assert "provenance" not in json.loads(site.get("/simple/demo/", accept=JSON).body)["files"][0]
    assert site.get(f"/simple/demo/{SDIST.filename}.provenance").status == 404
    upload(site, WHEEL, [attestation()])
    site.happen(FileRemoved(project=ProjectName("demo"), filename=NAME))
    assert site.get(KEY).status == 404


def test_again(site: Site) -> None:
    """The same file again is a success; attestations that come too late are not kept, and the answer says so."""
    assert upload(site, WHEEL, [attestation()]).text == upload(site, WHEEL, [attestation()]).text
    late = upload(site, WHEEL, [attestation(), attestation()])
    assert (late.status, "its attestations are not kept" in late.text) == (200, True)
    [event] = Log(site.store).read_after(ORIGIN)
    assert isinstance(event.change, FileAdded)


@pytest.mark.parametrize(
    ("attestations", "sentence"),
    [
        ({}, "a JSON array"),
        ([], "a JSON array of 1 to 8"),
        ([attestation()] * 9, "a JSON array of 1 to 8"),
        (["x"], "version 1"),
        ([attestation(version=2)], "version 1"),
        ([attestation(verification_material={})], "a certificate"),
        ([attestation(verification_material={"certificate": "x", "transparency_entries": []})], "a certificate"),
        ([attestation(envelope={"statement": encoded(statement())})], "signature"),
        ([attestation(envelope={"statement": "!", "signature": "eA=="})], "of one subject"),
        ([attestation(envelope={"statement": encoded([]), "signature": "eA=="})], "of one subject"),
        ([of(_type="https://in-toto.io/Statement/v0.1")], "a statement's type"),
        ([of(name="demo-1.1-py3-none-any.whl")], "a statement's subject"),
        ([of(name=SDIST.filename)], "a statement's subject"),
        ([of(digest="0" * 64)], "a statement's digest"),
        ([attestation(), of(digest="0" * 64)], "a statement's digest"),
        ([attestation(verification_material="x" * MAX_BYTES)], "characters"),
    ],
)
def test_others_are_refused(site: Site, attestations: object, sentence: str) -> None:
    """Attestations of another file or form are refused with the upload: nothing is published, nothing is dropped."""
    answer = upload(site, WHEEL, attestations)
    assert (answer.status, answer.text.startswith("invalid attestations ")) == (400, True)
    assert sentence in answer.text
    assert list(Log(site.store).read_after(ORIGIN)) == []


def test_no_json_is_refused() -> None:
    """What is no JSON at all is refused."""
    with pytest.raises(InvalidValue, match="a JSON array"):
        make_provenance("[", NAME, WHEEL.sha256)


def test_a_subject_by_another_spelling() -> None:
    """A client may attest to the file by the name as it normalises it."""
    wheel = make_wheel("demo", "1.0", tag="py2.py3-none-any")
    name = Filename(wheel.filename)
    other = of(name="Demo-1.0.0-py3.py2-none-any.whl", digest=wheel.sha256)
    assert json.loads(make_provenance(json.dumps([other]), name, wheel.sha256))["version"] == 1


def test_older_events_have_none() -> None:
    """An event without the field is a file without provenance."""
    assert added().provenance_sha256 is None
