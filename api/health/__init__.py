"""The health check API: one address that reports whether all others answer (contract, 1.7).

It asks them over sockets, as a client would. So all it knows of the tracker is where it listens.
"""
