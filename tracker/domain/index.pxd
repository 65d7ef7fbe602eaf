cimport cython
from tracker.domain cimport packed
from cpython.array cimport array

cdef unsigned int _low

cdef class Index:
    cdef public list tables
    cdef public array _used, secret

    @cython.locals(key=cython.ulonglong, table=array, mask=Py_ssize_t, at=Py_ssize_t, entry=cython.ulonglong)
    cdef Py_ssize_t named(self, bytearray names, char *name) except -1
    @cython.locals(part=Py_ssize_t, table=array, used=Py_ssize_t)
    cpdef add(self, unsigned long long key, unsigned long long number)
    @cython.locals(table=array, mask=Py_ssize_t, gap=Py_ssize_t, sought=cython.ulonglong, at=Py_ssize_t, entry=cython.ulonglong, home=Py_ssize_t, part=Py_ssize_t)
    cpdef drop(self, unsigned long long key, unsigned long long number)

@cython.locals(mask=Py_ssize_t, at=Py_ssize_t)
cpdef _put(array table, unsigned long long entry)
@cython.locals(larger=array, at=Py_ssize_t, entry=cython.ulonglong)
cpdef array _doubled(array table)
