"""The whole index at once: crashes, races, round trips, memory."""
