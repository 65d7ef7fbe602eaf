cimport cython
from tracker.domain cimport packed
from tracker.domain.accounts cimport Accounts
from cpython.array cimport array

cdef unsigned long long _most, _nothing_before

cdef class Booking:
    cdef public dict numbers, corrections
    cdef public array rows
    cdef public list ended
    cdef public object judge
    cdef public unsigned long long day, cut
    cdef public long long lead_us
    cdef unsigned long long _up, _down, _credited_up, _credited_down, _seeding_us, _partial_us, _sessions, _snatched

    cpdef begin(self, Accounts accounts, unsigned int account)
    @cython.locals(rows=array, at=Py_ssize_t, up=cython.ulonglong, down=cython.ulonglong, snatched=cython.ulonglong, date_us=cython.longlong)
    cpdef announced(self, Accounts accounts, unsigned int account, bytes info_hash, unsigned long long time_us, int client)
    @cython.locals(at=Py_ssize_t)
    cpdef left(self, Accounts accounts, unsigned int account, bytes info_hash, unsigned long long seen_us)
    @cython.locals(down=cython.ulonglong, credited=cython.ulonglong)
    cpdef tuple gained(self, Accounts accounts, unsigned int account)
    @cython.locals(partial_us=cython.ulonglong)
    cpdef _time(self, Accounts accounts, unsigned int account, Py_ssize_t at)
    @cython.locals(name=bytes, at=Py_ssize_t)
    cpdef Py_ssize_t _row(self, unsigned int account, bytes info_hash) except -1

@cython.locals(total=cython.ulonglong)
cpdef _plus(array rows, Py_ssize_t at, unsigned long long amount)
