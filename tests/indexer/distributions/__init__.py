"""Tests of `indexer.distributions`."""
