cimport cython
from cpython.array cimport array

cdef class SentByDay:
    cdef public object _looked
    cdef public object _slots
    cdef public dict _rings
