cimport cython
from tracker.domain cimport packed
from cpython.array cimport array

cdef class Directory:
    cdef public Py_ssize_t width
    cdef public Py_ssize_t total
    cdef public bytearray addresses
    cdef public array owners
    cdef public array first
    cdef public array count
    cdef public array seeds
    cdef public bytearray _room
    cdef public array position
    cdef public list free
    cdef public list _tables
    cdef public array _used

    @cython.locals(width=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t, at=Py_ssize_t)
    cpdef Py_ssize_t find(self, Py_ssize_t torrent, bytes endpoint)
    @cython.locals(key=cython.ulonglong, table=array, mask=Py_ssize_t, at=Py_ssize_t, entry=cython.ulonglong, first=Py_ssize_t, peer=Py_ssize_t, place=Py_ssize_t, start=Py_ssize_t)
    cpdef Py_ssize_t _find_indexed(self, Py_ssize_t torrent, bytes endpoint)
    @cython.locals(size=Py_ssize_t, first=Py_ssize_t, place=Py_ssize_t, width=Py_ssize_t, addresses=bytearray, own=Py_ssize_t, before=bytearray, boundary=Py_ssize_t, seeders=Py_ssize_t, leechers=Py_ssize_t, of_leechers=Py_ssize_t, of_seeders=Py_ssize_t, some=bytearray)
    cpdef bytes pick(self, bytes prefix, Py_ssize_t torrent, Py_ssize_t want, Py_ssize_t peer, bint seeder, unsigned long long draw)
    @cython.locals(width=Py_ssize_t, size=Py_ssize_t, within=bint, taken=Py_ssize_t, begin=Py_ssize_t, stop=Py_ssize_t, skipped=Py_ssize_t, drop=Py_ssize_t)
    cpdef bytearray _run(self, Py_ssize_t start, Py_ssize_t end, Py_ssize_t want, Py_ssize_t place, unsigned long long chance)
    @cython.locals(place=Py_ssize_t)
    cpdef bint is_at(self, Py_ssize_t peer, bytes endpoint)
