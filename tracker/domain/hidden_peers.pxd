cimport cython
from tracker.domain cimport packed
from tracker.domain.directory cimport Directory
from tracker.domain.peer_by_seq cimport Recent
from tracker.domain.swarms cimport Swarms

cdef class Hidden:
    cdef public dict _older
    cdef public Recent _recent
    cdef public set _suspects
    cdef public unsigned long long _known_to
    cdef public Py_ssize_t _unlooked

    cpdef prepare(self, Swarms swarms, bytes plain)
    @cython.locals(peer=Py_ssize_t, last_seq=cython.ulonglong)
    cpdef Py_ssize_t find(self, Swarms swarms, unsigned long long prev_seq, unsigned long long seq)
    @cython.locals(peer=Py_ssize_t, last_seq=cython.ulonglong)
    cpdef _look(self, Swarms swarms, unsigned long long seq)
    @cython.locals(directory=Directory)
    cpdef bint stands_in(self, Swarms swarms, Py_ssize_t peer, int what)
    cpdef bytes peer_id(self, Swarms swarms, Py_ssize_t peer, unsigned long long seq, bytes peer_id, bint keyed)
    cpdef note(self, unsigned long long seq, Py_ssize_t peer, bint fresh)
