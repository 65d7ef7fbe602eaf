cimport cython

@cython.locals(number=Py_ssize_t)
cdef _plain(value, dict numbers, dict seen)
