"""Tests of `pypi_lambda.manage`."""
