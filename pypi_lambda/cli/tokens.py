"""`serverless-pypi token`: credentials for machines, each of which can be taken back alone."""

import click

from pypi_lambda.terminal.place import Place, Result, at_place, printable


@click.group()
def token() -> None:
    """Create, list and revoke tokens, for CI and other machines."""


@token.command()
@click.argument("user")
@click.option("--upload", is_flag=True, help="The token may upload, not only read.")
@click.option(
    "--projects",
    metavar="PATTERN",
    multiple=True,
    help="Upload only to projects whose names match, such as 'acme-*'. May be repeated; commas separate.",
)
@click.option(
    "--expires",
    metavar="WHEN",
    default="90d",
    show_default=True,
    help="A lifetime ('90d', '12h'), a date ('2030-01-31', when it begins in UTC), or 'never'.",
)
@click.option("--name", default="", help="What you call it, such as 'ci'.")
@at_place
def create(place: Place, user: str, upload: bool, projects: tuple[str, ...], expires: str, name: str) -> None:
    """Create a token for USER and print it, this once.

    It never may more than USER, and ends with USER. Clients take it as the password of __token__ or of USER, or as the
    username without a password.

    \b
    serverless-pypi token create ci --upload --projects 'acme-*' --expires 90d --name nightly
    """
    patterns = [pattern.strip() for text in projects for pattern in text.split(",") if pattern.strip()]
    argument = {"username": user, "upload": upload, "projects": patterns, "expires": expires, "name": name}
    done = place.run("createToken", argument)
    click.echo(
        printable(f"Token {done['id']} of {user} {_rights(done)}; it expires {_day(done['expires'])}."), err=True
    )
    place.show(done, done["token"])


@token.command("list", short_help="List all tokens, or a user's; no secrets.")
@click.argument("user", required=False)
@at_place
def list_tokens(place: Place, user: str | None) -> None:
    """List all tokens, or USER's: id, user, name, rights, expiry, last use, state. No secret is shown; none is kept."""
    done = place.run("listTokens", {"username": user})
    lines = (
        "\t".join(
            (
                found["id"],
                found["username"],
                found["name"] or "-",
                _rights(found),
                f"expires {_day(found['expires'])}",
                f"used {_day(found['lastUsed'])}",
                found["state"],
            )
        )
        for found in done["tokens"]
    )
    place.show(done, *lines)


@token.command()
@click.argument("id")
@at_place
def revoke(place: Place, id: str) -> None:
    """Revoke the token ID; the next request with it is refused. Of a token that leaked, the whole may be given."""
    done = place.run("revokeToken", {"id": id})
    if not done["existed"]:
        raise click.ClickException(f"there is no token {done['revoked']!r}")
    place.tell(done, f"Token {done['revoked']} of {done['username']} is revoked.")


def _rights(found: Result) -> str:
    if not found["upload"]:
        return "may read"
    return " ".join(["may read and upload", ", ".join(found["projects"])]).rstrip()


def _day(moment: str | None) -> str:
    return "never" if moment is None else moment[:10]
