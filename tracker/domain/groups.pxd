cimport cython
from tracker.domain cimport packed
from cpython.array cimport array
from tracker.domain.peer_lists cimport PeerLists

cdef class Groups:
    cdef public dict _numbers
    cdef public array _free, _sizes
    cdef public PeerLists _order

    @cython.locals(number=Py_ssize_t)
    cpdef Py_ssize_t size(self, unsigned long long name) except -1
    @cython.locals(number=Py_ssize_t)
    cpdef tuple latest(self, unsigned long long name)
    @cython.locals(number=Py_ssize_t)
    cpdef add(self, unsigned long long name, Py_ssize_t peer, int mark)
    @cython.locals(number=Py_ssize_t)
    cpdef announced(self, unsigned long long name, Py_ssize_t peer, int mark)
    @cython.locals(number=Py_ssize_t)
    cpdef left(self, unsigned long long name, Py_ssize_t peer)
