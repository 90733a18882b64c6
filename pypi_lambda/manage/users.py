"""Commands on users."""

from typing import Annotated

from indexer.errors import InvalidValue
from indexer.value import field, value
from pypi_lambda.access.admin import Users
from pypi_lambda.command.arguments import Secret, Text
from pypi_lambda.command.context import Context, Result
from pypi_lambda.manage.names import parse_pattern_list


def _users(context: Context) -> Users:
    return Users(context.service.store, context.journal())


def _parse_projects(field: str, value: object) -> tuple[str, ...]:
    return () if value is None else parse_pattern_list(field, value)


@value
class PutUser:
    """Add a user, or give one another password or other rights.

    Attributes:
        projects: patterns of the names under which the user may upload; empty for all.
    """

    username: Text
    password: Secret = field(repr=False)
    upload: bool = False
    projects: Annotated[tuple[str, ...], _parse_projects] = ()

    def run(self, context: Context) -> Result:
        """Carry it out."""
        if self.projects and not self.upload:
            shown = ", ".join(self.projects)
            raise InvalidValue("putUser.projects", shown, "they limit uploads, and this user may not upload at all")
        changed = _users(context).put(self.username, self.password, upload=self.upload, projects=self.projects)
        return {"put": self.username, "upload": self.upload, "projects": self.projects, "changed": changed}


@value
class RemoveUser:
    """Remove a user; the next request is refused."""

    username: Text
    short = "username"

    def run(self, context: Context) -> Result:
        """Carry it out."""
        return {"removed": self.username, "existed": _users(context).remove(self.username)}


@value
class ListUsers:
    """List users and what they may."""

    def run(self, context: Context) -> Result:
        """Carry it out."""
        users = [
            {
                "username": listed.username,
                "digest": listed.digest,
                "upload": listed.upload,
                "projects": listed.projects,
            }
            for listed in _users(context).list()
        ]
        return {"users": users}
