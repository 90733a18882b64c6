"""Tests of `indexer.archives`."""
