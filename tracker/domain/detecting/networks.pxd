cimport cython
from tracker.domain.detecting.intervals cimport Detector, Interval

cdef class _Use:
    cdef public long long begin_us, last_us
    cdef public bytes network
    cdef public dict loaded, met

cdef class ManyNetworks(Detector):
    cdef public object parameters
    cdef public dict _uses, _found
    cdef public long long _day
    cdef object _shared
    cdef long long _pause_us, _intervals_us
    cdef Py_ssize_t _torrents, _least

    @cython.locals(uses=dict, use=_Use, network=bytes, time_us=cython.longlong)
    cpdef heard(self, Interval interval)
    @cython.locals(alike=list, old=list, able=Py_ssize_t, size=Py_ssize_t, time_us=cython.longlong, until_us=cython.longlong, latest_us=cython.longlong, use=_Use)
    cpdef _judge(self, Interval interval, _Use own, dict uses)

cpdef bytes network_of(bytes address)
