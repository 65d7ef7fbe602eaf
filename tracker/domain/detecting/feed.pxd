cimport cython
from tracker.domain cimport packed
from tracker.domain.detecting.intervals cimport Interval
from tracker.domain.detecting.watch cimport Watch
from tracker.domain.state cimport State
from cpython.array cimport array

cdef int _stopped, _rule_first, _rule_restarted
cdef unsigned long long _left_unknown
cdef bytes _v4_mapped

cdef class _Last:
    cdef public unsigned long long left, uploaded, downloaded
    cdef public long long time_us
    cdef public int client
    cdef public bint named
    cdef public tuple name, peer, unowned
    cdef public object size

    cdef enter(self, Interval one, unsigned long long left, bint named)

cdef class Feed:
    cdef public Watch _watch
    cdef public bytes _secret
    cdef public dict _last, _away
    cdef dict _shared

    @cython.locals(account_of=array, number=Py_ssize_t, account=cython.uint, interval=Interval, last=_Last, found=list)
    cpdef list announced(self, State state, long long seq, bytearray plain, bytearray protected)
    @cython.locals(at=Py_ssize_t, hidden=Py_ssize_t, time_us=cython.ulonglong, left=cython.ulonglong, uploaded=cython.ulonglong, downloaded=cython.ulonglong, what=cython.int, rule=cython.int, v4=cython.bint, one=Interval)
    cdef Interval _interval(self, State state, long long seq, unsigned int account, Py_ssize_t number, bytearray plain, bytearray protected, _Last before)
    @cython.locals(before=_Last)
    cdef _Last _before(self, unsigned long long last_seq, int rule)
    cdef _call(self, Interval one, _Last before)
    cdef _same(self, name)
    cdef bytes _end_of(self, Py_ssize_t number, bytearray protected)
    @cython.locals(found=list)
    cdef list _heard(self, Interval interval)

cdef _left_of(_Last last)
@cython.locals(one=Interval)
cdef Interval _still(_Last last, long long seq, long long time_us, bint gone)
