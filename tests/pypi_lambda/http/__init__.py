"""Tests of `pypi_lambda.http`."""
