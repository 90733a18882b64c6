"""The store: objects under keys, each written whole; in a bucket or a folder."""
