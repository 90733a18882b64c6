"""Tests of `pypi_lambda.migrate`."""
