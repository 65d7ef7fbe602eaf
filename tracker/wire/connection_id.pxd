cimport cython
from cpython.array cimport array
from tracker.domain cimport packed
from tracker.wire cimport udp

cdef class ConnectionIds:
    cdef public object _accepted, _key, _slot, _slot_seconds, checked
    cdef public array _known

    @cython.locals(known=array, at=Py_ssize_t, high=cython.ulonglong, low=cython.ulonglong)
    cdef bint knows(self, unsigned long long connection_id, char *address, bint v6) except -1
