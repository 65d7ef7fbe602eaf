cimport cython
from tracker.domain cimport packed
from cpython.array cimport array
from tracker.domain.budgets cimport Budgets
from tracker.domain.directory cimport Directory
from tracker.domain.swarms cimport Swarms

cdef unsigned int _nowhere

cdef class Limits:
    cdef public dict accounts
    cdef public array _own, _policy
    cdef public Budgets budgets
    cdef public unsigned long long _late_us
    cdef public bint active, counting, handing

    @cython.locals(at=Py_ssize_t, own=cython.uint)
    cpdef long long of(self, unsigned int account, int word) except -1
    @cython.locals(budgets=Budgets, found=cython.longlong, most=cython.longlong, used=cython.longlong, left=cython.longlong)
    cpdef long long left(self, unsigned int account) except -1
    cdef int note(self, unsigned int account, bint new, char *info_hash) except -1
    @cython.locals(leaves=Py_ssize_t, way=Py_ssize_t, most=cython.longlong, used=cython.longlong)
    cdef Py_ssize_t decide(self, Swarms swarms, Py_ssize_t torrent, Py_ssize_t peer, unsigned int account, char *info_hash, char *endpoint, bint v6, bint seeder, Py_ssize_t evicted, unsigned long long now_us) except? -1
    @cython.locals(found=Py_ssize_t, one=Py_ssize_t, found_seq=cython.ulonglong, seq=cython.ulonglong, _=cython.uint)
    cdef Py_ssize_t _there(self, Swarms swarms, Py_ssize_t torrent, unsigned int account, char *endpoint, bint v6, bint leeching) except -1
    @cython.locals(found=Py_ssize_t, one=Py_ssize_t, found_seq=cython.ulonglong, seq=cython.ulonglong, _=cython.uint)
    cdef Py_ssize_t _overdue(self, Swarms swarms, unsigned int account, char *endpoint, bint v6, unsigned long long now_us) except -1

cdef bint _leeches(Swarms swarms, Py_ssize_t peer) except -1
@cython.locals(directory=Directory, place=cython.uint, width=Py_ssize_t)
cdef bint _same_address(Swarms swarms, Py_ssize_t peer, char *endpoint, bint v6) except -1
