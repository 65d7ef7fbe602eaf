cimport cython
from cpython.array cimport array
from tracker.domain cimport packed
from tracker.domain.index cimport Index

cdef class Names:
    cdef public Index _index
    cdef public bytearray _hashes
    cdef public array _free
    cdef public Py_ssize_t _size

    cdef Py_ssize_t number(self, char *info_hash) except -1
    @cython.locals(number=Py_ssize_t)
    cpdef add(self, bytes info_hash)
    @cython.locals(number=Py_ssize_t)
    cpdef remove(self, bytes info_hash)
