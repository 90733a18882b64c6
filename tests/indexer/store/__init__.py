"""Tests of `indexer.store`."""
