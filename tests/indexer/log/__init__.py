"""Tests of `indexer.log`."""
