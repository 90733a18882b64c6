"""The terminal: where a typed command is carried out, and what a person reads of it."""
