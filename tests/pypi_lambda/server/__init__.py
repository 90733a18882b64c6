"""Tests of `pypi_lambda.server`."""
