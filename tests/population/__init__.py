"""Simulates the members of a private site, honest ones and cheats, to measure the detectors.

It knows nothing of how a detector works: it is written from BEP 3, and from what clients and
networks do.
`python -m tests.population --help` runs it.
"""
