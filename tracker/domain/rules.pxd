cimport cython
from tracker.domain cimport packed
from tracker.domain.directory cimport Directory
from tracker.domain.swarms cimport Swarms

cdef unsigned int _nowhere

cdef class Rules:
    cdef public tuple _allowed, _denied
    cdef public bytearray _ports
    cdef public unsigned long long _early_us, _max_peers, _max_peers_per_torrent, _max_torrents
    cdef public bint active

    cdef int refusal(self, Swarms swarms, Py_ssize_t torrent, Py_ssize_t peer, char *port, char *peer_id, int event, Py_ssize_t evicted) except 1
    cdef bint counts(self, Swarms swarms, Py_ssize_t torrent, char *info_hash) except -1
    @cython.locals(seeders=cython.ulonglong, leechers=cython.ulonglong)
    cdef int _full(self, Swarms swarms, Py_ssize_t torrent) except 1
    @cython.locals(own=Directory, other=Directory)
    cdef bint early(self, Swarms swarms, Py_ssize_t peer, char *endpoint, bint v6, int event, unsigned long long now_us) except -1

@cython.locals(name=bytes)
cdef bint _begins(char *peer_id, tuple names) except -1
