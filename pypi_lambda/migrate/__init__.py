"""Moving in from another index: where its files are, one module for each kind of index, and how they are published."""
