"""The health check API: one address that reports whether all others serve (contract, 1.7).

It asks them over sockets, as a client would. What no socket shows, that announces are refused or
wait for a disk that hangs, it learns from the tracker.
"""
