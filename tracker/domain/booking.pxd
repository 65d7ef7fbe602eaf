cimport cython
from tracker.domain cimport packed
from tracker.domain.accounts cimport Accounts
from tracker.domain.daily cimport Daily
from tracker.domain.judging cimport Judge
from tracker.domain.swarms cimport Swarms
from cpython.array cimport array

cdef unsigned long long _nothing_before

cdef class Booking:
    cdef public dict numbers, corrections, moves
    cdef public array rows
    cdef public list ended
    cdef public Judge judge
    cdef public object seeded, milestones
    cdef public Daily daily
    cdef public unsigned long long day, cut
    cdef public long long lead_us
    cdef unsigned long long _up, _down, _credited_up, _credited_down, _seeding_us, _partial_us, _sessions, _snatched
    cdef unsigned int _seeders, _leechers
    cdef Py_ssize_t _torrent

    cpdef begin(self, Accounts accounts, unsigned int account, Swarms swarms, Py_ssize_t torrent)
    @cython.locals(rows=array, at=Py_ssize_t, up=cython.ulonglong, down=cython.ulonglong, snatched=cython.ulonglong, date_us=cython.longlong, seeders=cython.uint)
    cpdef announced(self, Accounts accounts, unsigned int account, bytes info_hash, unsigned long long seq, unsigned long long time_us, int client, Swarms swarms, Py_ssize_t peer)
    @cython.locals(at=Py_ssize_t)
    cpdef counted(self, Accounts accounts, unsigned int account, bytes info_hash, unsigned long long seen_us, unsigned long long time_us, Swarms swarms)
    @cython.locals(date_us=cython.longlong)
    cpdef left(self, Accounts accounts, unsigned int account, bytes info_hash, unsigned long long seen_us, unsigned long long seq, unsigned long long time_us, Swarms swarms, Py_ssize_t peer)
    cpdef _seeders_now(self, unsigned int account, bytes info_hash, unsigned long long seq, unsigned long long date_us, unsigned int seeders)
    @cython.locals(down=cython.ulonglong, credited=cython.ulonglong)
    cdef (unsigned long long, unsigned long long, unsigned long long, unsigned long long, unsigned long long) gained(self, Accounts accounts, unsigned int account)
    cpdef Judge judging(self)
    @cython.locals(partial_us=cython.ulonglong)
    cpdef _time(self, Accounts accounts, unsigned int account, Py_ssize_t at)
    @cython.locals(name=bytes, at=Py_ssize_t)
    cpdef Py_ssize_t _row(self, unsigned int account, bytes info_hash) except -1
    @cython.locals(
        daily=Daily, seeders=cython.uint, leechers=cython.uint, seeders_now=cython.uint, leechers_now=cython.uint, torrent=Py_ssize_t, whose=Py_ssize_t, where=Py_ssize_t,
        up=cython.ulonglong, down=cython.ulonglong, credited_up=cython.ulonglong, credited_down=cython.ulonglong, seeding_us=cython.ulonglong, snatched=cython.ulonglong,
    )
    cpdef unsigned int _enter_day(self, Accounts accounts, unsigned int account, bytes info_hash, unsigned long long date_us, Swarms swarms, Py_ssize_t peer) except? 0xFFFFFFFF
