cimport cython
from tracker.domain cimport packed
from cpython.array cimport array
from tracker.domain.directory cimport Directory
from tracker.domain.swarms cimport Swarms

cdef unsigned int _nowhere

cdef class Staying:
    cdef public array _heads, _ways, ended
    cdef public bytearray begun
    cdef public unsigned long long rows, day, _free, _seen_us

    cpdef clear(self)
    @cython.locals(directory=Directory)
    cdef int change(self, Swarms swarms, Py_ssize_t peer, int rule, char *peer_id, char *endpoint, bint v6) except -1
    @cython.locals(what=cython.int, listener=cython.int, v6=cython.bint, gone=cython.bint, way=cython.ulonglong, head=Py_ssize_t, how=cython.int, other=Directory)
    cdef announced(
        self, Swarms swarms, Py_ssize_t known, Py_ssize_t peer, int change, unsigned long long seq, unsigned long long time_us,
        unsigned int key_ref, unsigned int account, bytes plain, bytes protected, Py_ssize_t number, bint unknown,
    )
    @cython.locals(ways=array, entry=Py_ssize_t, before=Py_ssize_t, after=Py_ssize_t, at=Py_ssize_t, how=cython.int, why=cython.int, link=cython.ulonglong, own=cython.ulonglong, same_family=cython.bint)
    cdef int _sort(
        self, Py_ssize_t peer, unsigned long long way, unsigned int key_ref, int change, bint gone, unsigned long long seq,
        unsigned long long time_us,
    ) except -2
    @cython.locals(entry=Py_ssize_t, after=Py_ssize_t)
    cpdef left(self, Py_ssize_t peer, unsigned long long seq, unsigned long long time_us, unsigned long long seen_us, int why)
    @cython.locals(row=cython.ulonglong, reason=cython.ulonglong)
    cdef int _end(self, Py_ssize_t entry, unsigned long long seq, unsigned long long time_us, unsigned long long seen_us, int why) except -1
    @cython.locals(flags=cython.int, at=Py_ssize_t, address=Py_ssize_t)
    cdef int _begin(
        self, Py_ssize_t peer, unsigned long long way, int how, unsigned long long seq, unsigned long long time_us, unsigned int key_ref,
        unsigned int account, int what, bytes plain, bytes protected, Py_ssize_t number, bint unknown,
    )
    @cython.locals(ways=array, entry=Py_ssize_t, link=cython.ulonglong)
    cpdef resume(self, Py_ssize_t peer, unsigned long long row, unsigned long long way, unsigned int key_ref)
    cpdef change_account(self, Swarms swarms, Py_ssize_t peer, unsigned int account, unsigned long long seq, unsigned long long time_us)
    @cython.locals(least=cython.ulonglong, peer=Py_ssize_t, entry=Py_ssize_t)
    cpdef unsigned long long first_open(self) except? 0xFFFFFFFFFFFFFFFF
