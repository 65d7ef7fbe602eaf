cimport cython
from tracker.domain cimport packed
from cpython.array cimport array

cdef class PeerLists:
    cdef public array _first, _links

    cpdef Py_ssize_t first(self, Py_ssize_t owner) except -1
    cpdef Py_ssize_t after(self, Py_ssize_t peer) except -1
    @cython.locals(peer=Py_ssize_t)
    cpdef list peers(self, Py_ssize_t owner)
    cpdef Py_ssize_t list_of(self, Py_ssize_t peer) except -1
    @cython.locals(missing=Py_ssize_t, links=array, following=Py_ssize_t)
    cpdef move(self, Py_ssize_t peer, Py_ssize_t owner)
    @cython.locals(owner=Py_ssize_t, links=array, before=Py_ssize_t, after=Py_ssize_t)
    cpdef remove(self, Py_ssize_t peer)
