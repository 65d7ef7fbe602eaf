cimport cython

cdef int _NONE, _FALSE, _TRUE, _NUMBER, _LONG, _BYTES, _TEXT, _DICT, _ARRAY, _AGAIN, _FIRST_CONTAINER, _FIRST

cdef class _Writer:
    cdef public bytearray out
    cdef public dict kinds
    cdef dict _seen

    cpdef put(self, value)
    cdef _object(self, value, kind)
    cdef bint _again(self, value) except -1
    cdef _int(self, value)
    @cython.locals(out=bytearray)
    cdef _head(self, int what, unsigned long long number)

cdef class _Reader:
    cdef bytes _data
    cdef public Py_ssize_t at
    cdef public tuple holds
    cdef list _made

    @cython.locals(what=cython.int, number=cython.ulonglong)
    cpdef value(self)
    @cython.locals(place=Py_ssize_t)
    cdef _container(self, int kind, Py_ssize_t number)
    cdef _object(self, kind)
    cdef dict _dict(self, Py_ssize_t number)
    @cython.locals(number=cython.ulonglong, shift=cython.int, byte=cython.int)
    cdef unsigned long long _number(self) except? 0xFFFFFFFFFFFFFFFE
    @cython.locals(end=Py_ssize_t)
    cdef bytes _piece(self, Py_ssize_t size)
