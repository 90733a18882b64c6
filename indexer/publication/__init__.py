"""Publication: by which rules, and in which steps, a file that was checked becomes part of the index."""
