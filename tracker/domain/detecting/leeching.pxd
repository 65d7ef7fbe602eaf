cimport cython
from tracker.domain.detecting.intervals cimport Detector, Interval

cdef class _Swarm:
    cdef public object received, sent
    cdef public long long heard_us

cdef class _Download:
    cdef public object back, downloaded, left, most, own_received, own_sent, received, sent, size
    cdef public tuple name
    cdef public long long begin_us, seq
    cdef public bint ended, twice

cdef class GhostLeech(Detector):
    cdef public object parameters, _ended, _silent
    cdef public dict _swarms, _downloads, _by_member, _torrents, _members, _counted
    cdef public long long _day

    @cython.locals(swarm=_Swarm, download=_Download, name=tuple)
    cpdef heard(self, Interval interval)
    @cython.locals(apart_us=cython.longlong)
    cpdef _go_on(self, Interval interval, _Download download, _Swarm swarm, received)
    cpdef _fell_silent(self, Interval interval, _Swarm swarm, _Download download)
    cpdef _end(self, Interval interval, _Download download)
    @cython.locals(download=_Download)
    cpdef _came_complete(self, Interval interval)
    cpdef _came_back(self, tuple back, _Download download, long long time_us)

cdef _received(Interval interval)
