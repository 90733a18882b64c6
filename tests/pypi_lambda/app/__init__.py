"""Tests of `pypi_lambda.app`."""
