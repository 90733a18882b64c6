"""Tests of `pypi_lambda.access`."""
