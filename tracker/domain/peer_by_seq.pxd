cimport cython
from tracker.domain cimport packed
from cpython.array cimport array
from tracker.domain.swarms cimport Swarms

cdef class Recent:
    cdef public array _ring
    cdef public unsigned long long _mask

    @cython.locals(places=Py_ssize_t, peer=Py_ssize_t, last_seq=cython.ulonglong)
    cpdef start(self, Swarms swarms)
    cpdef prepare(self, Swarms swarms, bytes plain)
    cpdef Py_ssize_t peer(self, unsigned long long seq)
    cpdef note(self, unsigned long long seq, Py_ssize_t peer)
