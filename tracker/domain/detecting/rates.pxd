cimport cython
from tracker.domain.detecting.intervals cimport Detector, Interval

cdef class _Span:
    cdef public long long begin_us
    cdef public object up, down, network_limit
    cdef public list seqs

cdef class ImpossibleRate(Detector):
    cdef public object parameters
    cdef public dict _spans
    cdef dict _of_accounts
    cdef list _of_networks
    cdef long long _least_us

    @cython.locals(span=_Span, who=tuple)
    cpdef heard(self, Interval interval)
    @cython.locals(length_us=cython.longlong)
    cdef bint _is_usual(self, Interval interval) except -1
