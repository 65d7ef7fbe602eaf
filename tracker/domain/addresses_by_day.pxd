cimport cython
from tracker.domain cimport packed
from cpython.array cimport array
from tracker.domain.directory cimport Directory
from tracker.domain.swarms cimport Swarms

@cython.locals(rows=bytearray, four=Directory, six=Directory, nowhere=Py_ssize_t, day=Py_ssize_t, day_us=cython.ulonglong, next_us=cython.ulonglong, tails=array, v4=array, v6=array, peer=Py_ssize_t, place4=Py_ssize_t, place6=Py_ssize_t, day4=cython.int, day6=cython.int, seen_us=cython.ulonglong, keyed=bint, ago=Py_ssize_t)
cpdef dict by_day(Swarms swarms)
