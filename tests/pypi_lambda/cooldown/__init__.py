"""Tests of `pypi_lambda.cooldown`."""
