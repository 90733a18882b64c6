"""Whether a mirrored file that no digest proves is what its name says: an archive of its project. Pure.

Nothing tells that it is the file that was meant; but a login page, half a file and another project's wheel are none.
What no installer's archive is of is refused. Who wants more has `UPSTREAM_REQUIRE_DIGEST`.
"""

import re
from typing import IO

from indexer.archives.archive import read_zip
from indexer.archives.tar import read_tar_gz
from indexer.distributions.metadata_identity import find_version
from indexer.distributions.wheel_metadata import read_metadata
from indexer.errors import InvalidValue
from indexer.names import Filename, ProjectName

_ZIPS = (".zip", ".egg")
_TARS = (".tar.gz", ".tgz")
_SEPARATORS = re.compile(r"[-_.]+")


def check_unproved(file: IO[bytes], filename: Filename, project: ProjectName) -> None:
    """Make sure that a file opens as an archive and names the project.

    Args:
        file: seekable.

    Raises:
        InvalidValue: it does not.
    """
    if filename.endswith(".whl"):
        read_metadata(file, filename, project)
        return
    if not filename.lower().endswith((*_ZIPS, *_TARS)):
        raise InvalidValue("content", filename, "without a digest, wheels, .tar.gz and .zip alone are looked into")
    read = read_zip if filename.lower().endswith(_ZIPS) else read_tar_gz
    contents = read(file, filename, wanted=_is_information)
    said = [text for _, text in contents.texts]
    # The oldest archives say nothing of themselves.
    if not _SEPARATORS.sub("-", filename).lower().startswith(f"{project}-") or (
        said and all(find_version(text, project) is None for text in said)
    ):
        raise InvalidValue("content", filename, f"it names the project {project!r}")


def _is_information(path: str) -> bool:
    return path.endswith("/PKG-INFO") and path.count("/") == 1
