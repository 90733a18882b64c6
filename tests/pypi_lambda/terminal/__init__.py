"""Tests of `pypi_lambda.cli`."""
