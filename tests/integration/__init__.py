"""Real pip, uv and twine against the real server: the whole program, from outside."""
