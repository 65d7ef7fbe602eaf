cimport cython
from cpython.array cimport array
from tracker.domain cimport packed
from tracker.domain.index cimport Index
from tracker.wire cimport udp

cdef unsigned int _low

cdef class Rate:
    cdef public unsigned long long _ahead_us, _cost_us
    cdef public Index _index
    cdef public array _senders, _spread_us

    cdef _clear(self)
    @cython.locals(high=cython.ulonglong, low=cython.ulonglong)
    cdef bint admits(self, char *address, bint v6, unsigned long long now_us) except -1
    @cython.locals(
        index=Index, senders=array, spread_us=array, key=cython.ulonglong, table=array, mask=Py_ssize_t, at=Py_ssize_t,
        number=Py_ssize_t, due=cython.ulonglong,
    )
    cpdef bint spend(self, unsigned long long sender, unsigned long long now_us) except -1
    @cython.locals(number=Py_ssize_t)
    cdef Py_ssize_t _enter(self, unsigned long long key, unsigned long long sender) except -1
