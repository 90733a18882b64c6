"""Tests of `indexer.derive`."""
