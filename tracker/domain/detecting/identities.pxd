cimport cython
from tracker.domain.detecting.intervals cimport Detector, Interval

cdef class SharedPeerId(Detector):
    cdef public object parameters
    cdef public dict _listed, _doubled

    @cython.locals(peer=tuple, first=cython.longlong, account=cython.longlong)
    cpdef heard(self, Interval interval)
    cpdef _went(self, tuple peer, long long account, long long first)

cdef class AnotherClient(Detector):
    cdef public object parameters, _waiting
    cdef public dict _members, _seen
    cdef public long long _day

    @cython.locals(new=cython.bint)
    cpdef heard(self, Interval interval)
