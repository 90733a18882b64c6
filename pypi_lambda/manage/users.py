"""Commands on users."""

from indexer.value import field, value
from pypi_lambda.admin import Users
from pypi_lambda.arguments import Secret, Text
from pypi_lambda.context import Context, Result


def _users(context: Context) -> Users:
    return Users(context.service.store, now=context.now, new_id=context.new_id, by=context.by)


@value
class PutUser:
    """Add a user, or give one another password or role."""

    username: Text
    password: Secret = field(repr=False)
    upload: bool = False

    def run(self, context: Context) -> Result:
        """Carry it out."""
        _users(context).put(self.username, self.password, upload=self.upload)
        return {"put": self.username, "upload": self.upload}


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
    """List users and roles."""

    def run(self, context: Context) -> Result:
        """Carry it out."""
        users = [
            {"username": listed.username, "digest": listed.digest, "upload": listed.upload}
            for listed in _users(context).list()
        ]
        return {"users": users}
