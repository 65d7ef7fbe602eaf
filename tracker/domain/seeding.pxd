cimport cython
from tracker.domain cimport packed
from tracker.domain.accounts cimport Accounts
from tracker.domain.groups cimport Groups
from tracker.domain.listing cimport Listing
from tracker.domain.swarms cimport Swarms

cdef class Seeding:
    cdef public Swarms _swarms
    cdef public Accounts _accounts
    cdef public Listing _listing
    cdef public Groups _groups

    @cython.locals(group=Py_ssize_t, size=Py_ssize_t, until_us=cython.ulonglong)
    cpdef Py_ssize_t count(
        self, unsigned int account, Py_ssize_t torrent, Py_ssize_t peer, int mark, unsigned long long seen_us, unsigned long long last_seq,
        unsigned long long time_us, bint leaves,
    ) except -1
    @cython.locals(swarms=Swarms, groups=Groups, mark=cython.int)
    cpdef int announced(self, unsigned int account, Py_ssize_t torrent, Py_ssize_t peer, Py_ssize_t size) except -1
    @cython.locals(swarms=Swarms, group=Py_ssize_t)
    cpdef Py_ssize_t _join(self, unsigned int account, Py_ssize_t torrent, Py_ssize_t peer, unsigned long long time_us) except -1
    cdef int _bring(self, unsigned int account, Py_ssize_t group, Py_ssize_t peer, unsigned long long time_us) except -1
    @cython.locals(mark=cython.int, _=cython.ulonglong, seen_us=cython.ulonglong, last_seq=cython.ulonglong, until_us=cython.ulonglong)
    cdef int _count_alone(self, unsigned int account, Py_ssize_t peer, unsigned long long time_us) except -1
    @cython.locals(mark=cython.int, _=cython.ulonglong)
    cdef int _enter(self, Py_ssize_t group, Py_ssize_t peer) except -1
    @cython.locals(
        groups=Groups, rows=bytearray, since_seq=cython.ulonglong, mark=cython.int, _=cython.ulonglong, seen_us=cython.ulonglong,
        last_seq=cython.ulonglong, seeder_us=cython.ulonglong, partial_us=cython.ulonglong, settled_us=cython.ulonglong, seeding_us=cython.ulonglong,
    )
    cpdef Py_ssize_t _settle(self, unsigned int account, Py_ssize_t group, unsigned long long time_us) except -1
    @cython.locals(
        rows=bytearray, since_seq=cython.ulonglong, peer=Py_ssize_t, mark=cython.int, _up=cython.ulonglong, _down=cython.ulonglong,
        seen_us=cython.ulonglong, last_seq=cython.ulonglong, seeder_us=cython.ulonglong, partial_us=cython.ulonglong,
    )
    cpdef tuple _gained(self, list peers, unsigned long long settled_us, unsigned long long time_us)

cpdef unsigned long long share(unsigned long long account, unsigned long long torrent) except? 0xFFFFFFFFFFFFFFFE
