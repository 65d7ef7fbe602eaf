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
    cdef public long long time_us, account
    cdef public int client
    cdef public bint named
    cdef public bytes info_hash, peer_id
    cdef public object left, uploaded, downloaded, size

cdef class Feed:
    cdef public Watch _watch
    cdef public bytes _secret
    cdef public dict _last, _away

    @cython.locals(account_of=array, number=Py_ssize_t, account=cython.uint, interval=Interval, last=_Last, found=list)
    cpdef list announced(self, State state, long long seq, bytearray plain, bytearray protected)
    @cython.locals(at=Py_ssize_t, hidden=Py_ssize_t, time_us=cython.ulonglong, left=cython.ulonglong, last_seq=cython.ulonglong, uploaded=cython.ulonglong, downloaded=cython.ulonglong, what=cython.int, rule=cython.int, v4=cython.bint, before=_Last, one=Interval)
    cdef Interval _interval(self, State state, long long seq, unsigned int account, Py_ssize_t number, bytearray plain, bytearray protected)
    cdef bytes _end_of(self, Py_ssize_t number, bytearray protected)
    @cython.locals(found=list)
    cdef list _heard(self, Interval interval)
