cimport cython
from tracker.domain cimport packed
from cpython.array cimport array

cdef class Bases:
    cdef public Py_ssize_t count, hand
    cdef public bytearray rows
    cdef public array _free, _lists, _used
    cdef public dict _days
    cdef public list _tables

    cpdef Py_ssize_t find(self, unsigned int account, bytes info_hash, bytes peer_id, long long after_us=*)
    @cython.locals(rows=bytearray, number=Py_ssize_t)
    cpdef Py_ssize_t by_seq(self, Py_ssize_t account, unsigned long long seq)
    @cython.locals(number=Py_ssize_t)
    cpdef list of_account(self, Py_ssize_t account)
    @cython.locals(account=Py_ssize_t, seq=cython.ulonglong, number=Py_ssize_t, rows=bytearray, newer=Py_ssize_t, older=Py_ssize_t)
    cpdef add(self, base, unsigned int most)
    cpdef _link(self, Py_ssize_t account, Py_ssize_t newer, Py_ssize_t older)
    @cython.locals(rows=bytearray, slots=Py_ssize_t, account=Py_ssize_t, newer=Py_ssize_t, older=Py_ssize_t, seq=cython.ulonglong)
    cpdef bint _is_linked(self, Py_ssize_t number) except -1
    @cython.locals(at=Py_ssize_t)
    cpdef tuple _links(self, Py_ssize_t number)
