"""The health check API: one address that says whether all the others answer (contract, section 1.7).

It asks as a client would, over sockets, so it knows nothing of the tracker but where it listens.
"""
