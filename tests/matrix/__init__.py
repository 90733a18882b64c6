"""Real clients of every generation against the real server over a folder: `python -m tests.matrix`.

`clients.toml` says which. The upstream is on loopback, so that a run shows what the clients and the index do and
nothing else. The clients themselves come from the public index, once, into a folder that is kept.
"""
