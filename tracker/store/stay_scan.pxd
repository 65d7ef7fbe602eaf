cimport cython

@cython.locals(data=cython.p_uchar, where=cython.p_uchar, mask=cython.p_uchar, sought=cython.p_uchar, named=cython.p_uchar, tests=Py_ssize_t, some=Py_ssize_t, start=Py_ssize_t, number=Py_ssize_t, fits=cython.bint, client=cython.int)
cpdef select(bytes rows, bytes places, bytes masks, bytes wanted, bytes clients, bytearray flags, Py_ssize_t at)
@cython.locals(data=cython.p_uchar, size=Py_ssize_t, start=Py_ssize_t, number=Py_ssize_t, row=Py_ssize_t)
cpdef clear_ended(bytes ends, bytearray flags, Py_ssize_t first)
@cython.locals(data=cython.p_uchar, size=Py_ssize_t, start=Py_ssize_t, number=Py_ssize_t, row=Py_ssize_t, found=list)
cpdef list ends_of(bytes ends, bytearray flags, Py_ssize_t first)
