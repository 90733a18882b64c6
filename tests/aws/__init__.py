"""AWS on loopback: front doors, the service that runs the function, its runtime."""
