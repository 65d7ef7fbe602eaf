cimport cython
from tracker.domain.detecting.intervals cimport Detector, Interval
from tracker.domain.detecting.outages cimport Outages

cdef class _Swarm:
    cdef public set present
    cdef public list silent, waiting, went

cdef class _Window:
    cdef public object sent
    cdef public tuple peer
    cdef public bytes info_hash
    cdef public long long begin_us, due_us
    cdef public bint silent, somebody

cdef class UploadWithoutLeechers(Detector):
    cdef public object parameters, _waiting
    cdef public dict _swarms, _found
    cdef public Outages _outages
    cdef public long long _day
    cdef long long _timeout_us

    @cython.locals(swarm=_Swarm, window=_Window, name=tuple, stays=cython.bint, leeches=cython.bint, new=cython.bint)
    cpdef heard(self, Interval interval)
