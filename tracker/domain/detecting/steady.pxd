cimport cython
from tracker.domain.detecting.intervals cimport Detector, Interval

cdef class _Run:
    cdef public object begin_us, rate
    cdef public list seqs

cdef class ConstantRate(Detector):
    cdef public object parameters
    cdef public dict _runs
    cdef long long _least_us

    @cython.locals(run=_Run, peer=tuple, length_us=cython.longlong)
    cpdef heard(self, Interval interval)
