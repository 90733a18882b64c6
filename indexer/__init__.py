"""What the index is and how it is built; knows no HTTP server and no Lambda event."""
