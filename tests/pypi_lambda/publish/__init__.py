"""Tests of `pypi_lambda.publish`."""
