"""Pages of the simple API: their shapes, and how they are written and read back."""
