cimport cython
from cpython.array cimport array
from tracker.domain cimport packed
from tracker.wire cimport id_mac, udp

cdef class ConnectionIds:
    cdef public object _slot_seconds, checked
    cdef public bytes state
    cdef public long long slot
    cdef public int accepted
    cdef public array _known
    cdef public dict _good

    @cython.locals(known=array, at=Py_ssize_t, high=cython.ulonglong, low=cython.ulonglong)
    cdef bint knows(self, unsigned long long connection_id, char *address, bint v6) except -1

@cython.locals(age=cython.longlong)
cdef bint holds(char *state, long long slot, int accepted, unsigned long long connection_id, char *address, bint v6) noexcept nogil
