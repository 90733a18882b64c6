"""`make lock`: renews `requirements.txt`, the wheels that the zip holds, from what setup.py asks for.

https://docs.astral.sh/uv/reference/cli/#uv-pip-compile
"""

import subprocess
import sys

from deploy.contents import IN_THE_RUNTIME
from deploy.target import PYTHONS
from deploy.wheels import REQUIREMENTS

HEADER = """\
# What the zip holds besides our code: every wheel with its digest, so that a zip is the same a year from now.
# boto3 and what only it needs are the runtime's. Made by `make lock`; a test holds it against setup.py.
"""


def main() -> None:
    """Write the file anew."""
    left_out = [word for name in IN_THE_RUNTIME for word in ("--no-emit-package", name)]
    target = ["--universal", "--python-version", PYTHONS[0], "--generate-hashes"]  # markers tell the versions apart
    output = ["--no-header", "--no-annotate", "--quiet"]
    command = [sys.executable, "-m", "uv", "pip", "compile", "setup.py", "--upgrade", *target, *output, *left_out]
    done = subprocess.run(  # noqa: S603
        command, cwd=REQUIREMENTS.parent.parent, stdout=subprocess.PIPE, text=True, check=True
    )
    pins = done.stdout.partition("\n# The following packages")[0].rstrip()
    REQUIREMENTS.write_text(f"{HEADER}{pins}\n", "utf-8")


if __name__ == "__main__":
    main()
