"""Tests of `pypi_lambda.view`."""
