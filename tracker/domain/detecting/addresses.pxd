cimport cython
from tracker.domain.detecting.intervals cimport Detector, Interval

cdef class _Stay:
    cdef public long long account, begin_us, last_us, seq
    cdef public int client, port
    cdef public object key

cdef class SharedAddress(Detector):
    cdef public object parameters
    cdef public dict _stays, _found
    cdef public tuple _ports
    cdef public long long _day, _learnt_us
    cdef object _hide, _shared
    cdef dict _names
    cdef long long _pause_us, _named_day

    @cython.locals(stays=dict, stay=_Stay)
    cpdef heard(self, Interval interval)
    @cython.locals(stays=dict, name=bytes)
    cdef dict _at(self, bytes address, long long day)
