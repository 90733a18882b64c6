"""Tests of `indexer.verify`."""
