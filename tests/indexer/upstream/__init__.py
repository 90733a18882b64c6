"""Tests of `indexer.upstream`."""
