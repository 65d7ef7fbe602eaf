cimport cython
from cpython.array cimport array
from tracker.domain cimport packed
from tracker.domain.index cimport Index

cdef unsigned int _low

cdef class Budgets:
    cdef public long long day
    cdef public Index _index
    cdef public array started
    cdef public bytearray torrents

    cpdef long long used(self, unsigned int account) except -1
    @cython.locals(index=Index, key=cython.ulonglong, table=array, mask=Py_ssize_t, at=Py_ssize_t, entry=cython.ulonglong, name=Py_ssize_t)
    cdef bint knows(self, unsigned int account, char *info_hash) except -1
    cdef int note(self, unsigned int account, char *info_hash, bint new) except -1
    @cython.locals(at=Py_ssize_t, key=cython.ulonglong, missing=Py_ssize_t)
    cdef int _add(self, unsigned int account, char *info_hash, bint new) except -1
