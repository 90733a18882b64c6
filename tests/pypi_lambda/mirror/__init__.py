"""Tests of `pypi_lambda.mirror`."""
