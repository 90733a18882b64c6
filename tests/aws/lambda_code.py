"""The function's zip, built for the Python that runs here, and unpacked as Lambda does it.

Knows nothing of pytest: benchmarks use it too.
"""

import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from deploy.build import build
from deploy.target import Target

ROOT = Path(__file__).parents[2]
VERSION = "0"  # names the file; the code has its own


def build_code(folder: Path, *, settings: Mapping[str, str] | None = None) -> Path:
    """Build the zip, unpack it below the folder and return where.

    Args:
        settings: what to bake in.
    """
    target = Target(python=f"{sys.version_info.major}.{sys.version_info.minor}")
    built = build(ROOT, folder, version=VERSION, target=target, environ=os.environ, settings=settings)
    code = folder / "task"
    with zipfile.ZipFile(built.path) as archive:
        archive.extractall(code)
    return code
