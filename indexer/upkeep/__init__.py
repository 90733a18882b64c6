"""Upkeep: taking in what lies in the store, and throwing away what nobody needs."""
