cimport cython
from cpython.array cimport array
from tracker.domain cimport packed
from tracker.domain.index cimport Index

cdef unsigned int _low

cdef class Budgets:
    cdef public long long hour
    cdef public unsigned long long since_seq
    cdef public Index _index
    cdef public array handed_hour, handed_today, started
    cdef public bytearray torrents

    cpdef long long used(self, array column, unsigned int account) except -1
    cdef int hand(self, unsigned int account, unsigned int count) except -1
    @cython.locals(index=Index, key=cython.ulonglong, table=array, mask=Py_ssize_t, at=Py_ssize_t, entry=cython.ulonglong, name=Py_ssize_t)
    cdef bint knows(self, unsigned int account, char *info_hash) except -1
    cdef int note(self, unsigned int account, char *info_hash, bint new) except -1
    @cython.locals(at=Py_ssize_t, key=cython.ulonglong)
    cdef int _add(self, unsigned int account, char *info_hash, bint new) except -1

@cython.locals(missing=Py_ssize_t)
cdef int _add(array column, unsigned int account, unsigned int amount) except -1
