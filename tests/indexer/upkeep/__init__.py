"""Tests of `indexer.upkeep`."""
