"""Tests of `pypi_lambda.browse`."""
