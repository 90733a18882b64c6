"""The view: the index as one process has it, and whose a name is."""
