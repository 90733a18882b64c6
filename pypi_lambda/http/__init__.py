"""HTTP: requests and responses as values, and what headers and paths mean."""
