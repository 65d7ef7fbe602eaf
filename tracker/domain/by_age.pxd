cimport cython
from cpython.array cimport array
from tracker.domain cimport packed

cdef unsigned long long _all, _spread

cpdef unsigned long long _rank(unsigned long long number) except? 0xFFFFFFFFFFFFFFFE
@cython.locals(
    seq=cython.ulonglong, rank=cython.ulonglong, at=Py_ssize_t, node=Py_ssize_t, newer_at=Py_ssize_t, older_at=Py_ssize_t,
)
cpdef Py_ssize_t insert(bytearray rows, Py_ssize_t root, Py_ssize_t number) except -1
@cython.locals(seq=cython.ulonglong, at=Py_ssize_t, node=Py_ssize_t, newer=Py_ssize_t, older=Py_ssize_t)
cpdef Py_ssize_t remove(bytearray rows, Py_ssize_t root, Py_ssize_t number) except -1
@cython.locals(root=Py_ssize_t)
cpdef Py_ssize_t _taken(bytearray rows) except -1
@cython.locals(node=Py_ssize_t)
cpdef Py_ssize_t oldest(bytearray rows, Py_ssize_t root) except -1
@cython.locals(own=cython.ulonglong)
cpdef Py_ssize_t find(bytearray rows, Py_ssize_t root, unsigned long long seq) except -1
cpdef list newest_first(bytearray rows, Py_ssize_t root)
@cython.locals(seen=bytearray, root=Py_ssize_t, number=Py_ssize_t, at=Py_ssize_t, child=Py_ssize_t, account=Py_ssize_t, seq=cython.ulonglong)
cpdef check(bytearray rows, array roots, array counts)
cpdef _see(bytearray seen, Py_ssize_t number)
