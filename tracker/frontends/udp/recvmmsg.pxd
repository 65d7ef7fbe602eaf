cimport cython
from tracker.frontends.udp cimport mmsg

cdef class Batch:
    cdef public bytearray data, heads, names, replies, vectors, verdicts, _out
    cdef public tuple _buffers
    cdef public int _descriptor
    cdef public bint silent, v6
    cdef public Py_ssize_t first, count
    cdef public unsigned long long base

    cpdef Py_ssize_t receive(self, Py_ssize_t most) except -1
    cpdef bint filled(self, Py_ssize_t most) except -1
    @cython.locals(dropped=Py_ssize_t, last=Py_ssize_t, sent=Py_ssize_t)
    cpdef Py_ssize_t send(self, Py_ssize_t count, Py_ssize_t first=*) except -1
