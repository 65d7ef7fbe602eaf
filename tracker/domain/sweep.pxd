cimport cython
from tracker.domain cimport packed
from tracker.domain.directory cimport Directory
from tracker.domain.swarms cimport Swarms
from cpython.array cimport array

cdef class Sweep:
    cdef public array _torrents
    cdef public Py_ssize_t _at, _family, _place

    @cython.locals(gone_us=cython.ulonglong, cost=Py_ssize_t, budget=Py_ssize_t, torrents=array, torrent=Py_ssize_t)
    cpdef step(self, Swarms swarms, before_us, bint drop_empty, remove, bint remembers)
    @cython.locals(directory=Directory, row=Py_ssize_t, first=Py_ssize_t, size=Py_ssize_t, _=Py_ssize_t, last=Py_ssize_t, place=Py_ssize_t, peer=Py_ssize_t)
    cdef Py_ssize_t _walk(self, Swarms swarms, Py_ssize_t torrent, unsigned long long gone_us, Py_ssize_t budget, remove, Py_ssize_t cost) except? -1
