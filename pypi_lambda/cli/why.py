"""`serverless-pypi why`: what may enter, and what keeps it out."""

import click

from pypi_lambda.mirror import file_hosts
from pypi_lambda.terminal.place import Place, Result, at_place


@click.command(short_help="Say whether a project or file may enter, and why.")
@click.argument("project")
@click.argument("filename", required=False)
@at_place
def why(place: Place, project: str, filename: str | None) -> None:
    """Say whether PROJECT, or its file FILENAME, may enter, and which rule says so.

    Exits with 1 where it may not.
    """
    done = place.run("why", {"project": project, "filename": filename})
    place.show(done, *lines_of(done))
    offered = done["file"]["delivered"] if "file" in done else done["standing"] in ("private", "upstream")
    if not offered:
        raise SystemExit(1)


def lines_of(done: Result) -> list[str]:
    """Return the command's result as a person reads it."""
    lines = [f"{done['project']} is {done['standing']}: {done['because']}"]
    if done.get("statusReason") or done.get("status", "active") != "active":
        lines.append(f"its status is {done['status']}" + (f": {done['statusReason']}" if done["statusReason"] else ""))
    if done.get("upstreamFault"):
        lines.append(done["upstreamFault"])
    if done.get("minAgeExempt"):
        lines.append(f"files of any age may enter: {done['minAgeExempt']!r} of UPSTREAM_MIN_AGE_EXEMPT covers it")
    if done.get("privateHosts"):
        lines.append(file_hosts.sentence(done["privateHosts"]))
    if "file" in done:
        return [*lines, *_file_lines(done["file"])]
    held = done.get("heldBack", [])
    if held:
        days = f"{done['minAgeDays']:g}"
        lines.append(
            f"{len(held)} of {done['files']} files are younger than {days} days (UPSTREAM_MIN_AGE_DAYS), or may be:"
        )
    lines += [f"  {each['filename']}  until {each['until'] or 'its upload time is known'}" for each in held]
    if done.get("unverified"):
        lines.append(f"no digest that proves it is announced of {done['unverified']} of {done['files']} files")
    return [*lines, *_dropped_lines(done.get("dropped", {"count": 0, "files": []}))]


def _dropped_lines(dropped: Result) -> list[str]:
    if not dropped["count"]:
        return []
    named = [f"  {each['filename']!r}: {each['reason']}" for each in dropped["files"]]
    return [f"{dropped['count']} files of the upstream are left out, among them:", *named]


def _file_lines(file: Result) -> list[str]:
    offered = "is delivered" if file["delivered"] else "is not delivered"
    verified = {None: None, True: "by its digest", False: "no: the upstream announces no digest that proves it"}
    facts = {"uploaded": file["uploadTime"], "sha256": file["sha256"], "stored": "yes" if file["stored"] else "no"}
    facts["verified"] = verified[file.get("verified")]
    return [
        f"{file['filename']} {offered}: {file['because']}",
        *(f"  {fact}: {content}" for fact, content in facts.items() if content is not None),
    ]
