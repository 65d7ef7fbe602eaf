cimport cython
from tracker.domain.detecting.intervals cimport Detector, Interval
from tracker.domain.detecting.outages cimport Outages

cdef class _Member:
    cdef public long long begin_us, sent_us
    cdef public object leechers, sent, told

cdef class _Swarm:
    cdef public object leechers, went
    cdef public set present
    cdef public dict members

cdef class MoreThanTorrentHolds(Detector):
    cdef public object parameters
    cdef public dict _swarms
    cdef public Outages _outages
    cdef public long long _day
    cdef long long _keep_us

    @cython.locals(swarm=_Swarm, name=tuple, unseen=cython.bint)
    cpdef heard(self, Interval interval)
