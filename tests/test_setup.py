"""What is installed: the whole tree of both packages."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from deploy.contents import OUR_PACKAGES

ROOT = Path(__file__).parent.parent


def test_every_module_is_in_the_wheel(tmp_path: Path) -> None:
    """The wheel has each module of each package, and the marks that they are typed."""
    sources, wheels = tmp_path / "sources", tmp_path / "wheels"
    for folder in OUR_PACKAGES:
        shutil.copytree(ROOT / folder, sources / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, sources / file)
    command = [sys.executable, "setup.py", "--quiet", "bdist_wheel", "--dist-dir", str(wheels)]
    done = subprocess.run(
        command,
        cwd=sources,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = wheels.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    modules = {path.relative_to(ROOT).as_posix() for folder in OUR_PACKAGES for path in (ROOT / folder).rglob("*.py")}
    assert packed == modules | {f"{folder}/py.typed" for folder in OUR_PACKAGES}
