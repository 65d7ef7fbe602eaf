cimport cython
from tracker.domain.booking cimport Booking
from tracker.domain.daily cimport Daily
from tracker.store cimport book_bytes
from cpython.array cimport array

@cython.locals(count=Py_ssize_t, at=Py_ssize_t, to=Py_ssize_t, start=Py_ssize_t, name=bytes, rows=bytearray, pairs=bytearray, words=array)
cpdef tuple laid_out(Booking booking)
@cython.locals(size=Py_ssize_t, at=Py_ssize_t, start=Py_ssize_t, name=bytes, rows=bytearray, words=array)
cpdef bytes daily_laid_out(Daily daily)
cpdef Py_ssize_t find(data, Py_ssize_t begin, Py_ssize_t count, Py_ssize_t size, Py_ssize_t named, bytes sought, Py_ssize_t low) except -1
cpdef bytes in_order(bytearray rows)
@cython.locals(at=Py_ssize_t, to=Py_ssize_t, end=Py_ssize_t, whole=Py_ssize_t, start=Py_ssize_t, first=Py_ssize_t, order=int, named=Py_ssize_t, is_rows=bint, is_days=bint, is_named=bint, is_newest=bint, summed=bint, made=bytearray, row=bytes)
cpdef bytes joined(bytes older, bytes newer, Py_ssize_t size, history)
