"""Tests of `pypi_lambda.front_doors`."""
