"""Tests of `pypi_lambda`."""
