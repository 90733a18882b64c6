"""Tests of `pypi_lambda.function`."""
