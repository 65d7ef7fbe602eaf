cimport cython
from tracker.domain cimport packed
from cpython.array cimport array

cdef unsigned long long _day_us
cdef Py_ssize_t _words

cdef class Daily:
    cdef public dict numbers, corrections
    cdef public array rows
    cdef public unsigned int day
    cdef array _accounts
    cdef bytearray _torrents

    @cython.locals(day=cython.uint)
    cpdef date(self, unsigned long long date_us)
    @cython.locals(places=array, number=Py_ssize_t)
    cpdef Py_ssize_t account(self, unsigned int account) except -1
    @cython.locals(places=bytearray, place=Py_ssize_t, number=Py_ssize_t, at=Py_ssize_t)
    cpdef Py_ssize_t torrent(self, bytes info_hash, Py_ssize_t torrent, unsigned long long seeders, unsigned long long leechers) except -1
    cdef Py_ssize_t _row(self, bytes name) except -1
    cpdef gain(
        self, Py_ssize_t at, unsigned long long uploaded, unsigned long long downloaded, unsigned long long credited_up,
        unsigned long long credited_down, unsigned long long seeding_us, unsigned long long completed,
    )
