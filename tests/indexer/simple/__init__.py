"""Tests of `indexer.simple`."""
