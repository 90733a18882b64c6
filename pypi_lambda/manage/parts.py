"""The command by which the function publishes a large upload, while its client asks whether that is done."""

from indexer.errors import InvalidValue
from indexer.names import Filename
from indexer.value import value
from pypi_lambda.command.arguments import Text
from pypi_lambda.command.context import Context, Result
from pypi_lambda.http.faults import RequestError
from pypi_lambda.publish.announced import parse_announced


@value
class PublishParts:
    """Put the parts of an upload together, check and publish them.

    Attributes:
        client: from where they came, for the log of events.
    """

    username: Text
    filename: Filename
    size: int
    sha256: Text
    client: str = ""

    def run(self, context: Context) -> Result:
        """Carry it out; what is refused is told to the client when it asks again."""
        announced = parse_announced({"filename": self.filename, "size": self.size, "sha256": self.sha256})
        parts = context.service.parts
        try:
            return {"published": parts.publish(announced, self.username, client=self.client)}
        except (RequestError, InvalidValue) as error:
            parts.reject(announced, self.username, str(error))
            return {"refused": str(error)}
