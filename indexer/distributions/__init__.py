"""Distributions: their names, their versions, and what is said inside a wheel or an sdist."""
