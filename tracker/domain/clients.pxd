cimport cython
from tracker.domain cimport packed
from cpython.array cimport array

cdef class Clients:
    cdef public list pairs
    cdef public dict _agents, _numbers
    cdef public array _secret, _table

    cpdef int number(self, bytes prefix, bytes agent) except -1
    @cython.locals(which=cython.ulonglong, prefix=cython.ulonglong, found=cython.ulonglong, at=Py_ssize_t, table=array)
    cdef int find(self, char *peer_id, bytes agent) except -1
