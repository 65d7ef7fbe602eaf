cimport cython
from tracker.domain.detecting.intervals cimport Detector, Interval
from tracker.domain.detecting.outages cimport Outages
from tracker.domain.detecting.sent cimport SentByDay

cdef class _Peer:
    cdef public long long seq, time_us, begin_us
    cdef public object received, begin_received, left, lacks
    cdef public unsigned long long said_up, said_down, peak_up, peak_down
    cdef public bint said, peaked
    cdef public dict used

    @cython.locals(up=cython.ulonglong, down=cython.ulonglong)
    cpdef announces(self, Interval interval, received, own)
    cpdef again(self, Interval interval)

cdef class _Window:
    cdef public object up, again, explained
    cdef public tuple peer
    cdef public long long account, seq, begin_us, time_us, waits

cdef class _Swarm:
    cdef public object size, received
    cdef public dict listed, away, silent
    cdef public list windows

cdef class UploadBeyondReceived(Detector):
    cdef public object parameters, _left
    cdef public dict _swarms, _found, _overtaken
    cdef public Outages _outages
    cdef public SentByDay _sent
    cdef long long _silent_us

    @cython.locals(swarm=_Swarm, peer=_Peer, name=tuple, was_listed=cython.bint, window=_Window)
    cpdef heard(self, Interval interval)
    @cython.locals(peer=_Peer)
    cpdef _came(self, _Swarm swarm, tuple name, Interval interval)
    @cython.locals(peer=_Peer)
    cpdef _fell_silent(self, _Swarm swarm, tuple name, Interval interval)
    cpdef _goes(self, _Swarm swarm, tuple name, _Peer peer, Interval interval)
    cpdef _window(self, _Swarm swarm, _Peer peer, tuple name, Interval interval)
    cpdef _unexplained(self, _Swarm swarm, up, received)
    @cython.locals(window=_Window, name=tuple, judge=cython.bint)
    cpdef _go_on(self, _Swarm swarm, _Peer peer, received, bint was_listed, Interval interval)

cdef _received(Interval interval, size, _Peer peer)
