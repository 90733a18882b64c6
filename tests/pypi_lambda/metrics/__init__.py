"""Tests of `pypi_lambda.metrics`."""
