"""The function in AWS: what it has itself do, and what the store tells it."""
