"""Front doors: how a request reaches the function, and its answer the client."""
