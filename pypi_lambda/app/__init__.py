"""The app: a request goes in, an answer comes out."""
