"""Detectors: they hear what announces say, and find what staff should look at."""
