"""Tests of `indexer.publication`."""
