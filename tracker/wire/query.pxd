cimport cython
from tracker.wire cimport scan

cdef class AnnounceQuery:
    cdef public bytes info_hash, peer_id, key, passkey, ip
    cdef public int port, event
    cdef public unsigned long long uploaded, downloaded, left
    cdef public Py_ssize_t numwant
    cdef public bint compact, no_peer_id

    cdef _clear(self)
    cpdef take(self, announce)
    @cython.locals(end=Py_ssize_t, at=Py_ssize_t, mark=Py_ssize_t, value=Py_ssize_t, stop=Py_ssize_t, seen=cython.int, bit=cython.int)
    cpdef bint read(self, bytes text, Py_ssize_t start) except -1
    @cython.locals(size=Py_ssize_t, number=Py_ssize_t)
    cdef int _field(self, bytes text, Py_ssize_t at, Py_ssize_t mark, Py_ssize_t value, Py_ssize_t stop) except -2
    cdef int _read_event(self, bytes text, Py_ssize_t value, Py_ssize_t stop) except -2
