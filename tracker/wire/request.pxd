cimport cython
from tracker.wire cimport scan

cdef class RequestParser:
    cdef bytes _header
    cdef int _flags
    cdef Py_ssize_t _length
    cdef public bytes method, target, forwarded, agent
    cdef public bint keep
    cdef public Py_ssize_t needed
    cdef public str problem

    @cython.locals(at=Py_ssize_t, stop=Py_ssize_t, version=cython.int, flags=cython.int, upgrade=cython.bint)
    cpdef Py_ssize_t parse(self, bytearray data, Py_ssize_t start, Py_ssize_t end) except -2
    cdef Py_ssize_t _bad(self, str problem) except -2
    cdef Py_ssize_t _incomplete(self, Py_ssize_t start, Py_ssize_t end) except -2
    cdef bint _is_target(self) except -1
    @cython.locals(colon=Py_ssize_t, value=Py_ssize_t, stop=Py_ssize_t, size=Py_ssize_t, last=Py_ssize_t, line=bytes, before=bytes)
    cdef Py_ssize_t _headers(self, bytearray data, Py_ssize_t at, Py_ssize_t end, bint trailing) except -2
    cdef _connection(self, bytearray data, Py_ssize_t start, Py_ssize_t end)
    cdef bint _read_length(self, bytes text) except -1
    cdef bint _read_coding(self, bytes text) except -1
    @cython.locals(line=Py_ssize_t, size=Py_ssize_t)
    cdef Py_ssize_t _body(self, bytearray data, Py_ssize_t at, Py_ssize_t end, Py_ssize_t start) except -2

@cython.locals(at=Py_ssize_t)
cpdef bint may_end(bytearray data, Py_ssize_t start, Py_ssize_t end) except -1
