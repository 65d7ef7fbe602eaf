cimport cython
from tracker.domain cimport by_age, packed
from cpython.array cimport array

cdef unsigned long long _day_us

cdef class Bases:
    cdef public Py_ssize_t count, hand
    cdef public bytearray rows, _scratch
    cdef public array _counts, _free, _roots, _secret, _torrents, _used
    cdef public dict _days
    cdef public set _gone
    cdef public list _tables

    @cython.locals(names=cython.p_char, key=cython.ulonglong, table=array, mask=Py_ssize_t, at=Py_ssize_t, rows=bytearray, number=Py_ssize_t, start=Py_ssize_t, seen_us=cython.longlong)
    cdef Py_ssize_t find_after(self, unsigned int account, char *info_hash, char *peer_id, long long after_us) except -1
    cpdef Py_ssize_t by_seq(self, Py_ssize_t account, unsigned long long seq) except -1
    cpdef list of_account(self, Py_ssize_t account)
    cpdef Py_ssize_t _root(self, Py_ssize_t account) except -1
    @cython.locals(account=Py_ssize_t, seq=cython.ulonglong, number=Py_ssize_t, rows=bytearray, oldest=Py_ssize_t)
    cpdef add(self, base, unsigned int most)
    cpdef _note_torrent(self, Py_ssize_t number)
    @cython.locals(account=Py_ssize_t)
    cpdef limit(self, unsigned int most)
    @cython.locals(number=Py_ssize_t)
    cpdef _limit(self, Py_ssize_t account, unsigned int most)
    @cython.locals(rows=bytearray, root=Py_ssize_t, start=Py_ssize_t, account=Py_ssize_t, day=cython.ulonglong)
    cpdef drop(self, Py_ssize_t number)
    @cython.locals(torrents=array, first=cython.uint, number=Py_ssize_t)
    cpdef drop_torrent(self, bytes info_hash)
    @cython.locals(rows=bytearray, gone=set, end=Py_ssize_t, start=Py_ssize_t, seen_us=cython.longlong)
    cpdef expire(self, long long before_us, Py_ssize_t most)
    cpdef unsigned long long _key(self, Py_ssize_t number) except? 0xFFFFFFFFFFFFFFFE
    @cython.locals(key=cython.ulonglong, part=Py_ssize_t, used=cython.uint, table=array, smaller=array, at=Py_ssize_t, each=cython.uint)
    cpdef _enter(self, Py_ssize_t number)
    @cython.locals(key=cython.ulonglong, table=array, mask=Py_ssize_t, at=Py_ssize_t, gap=Py_ssize_t, home=Py_ssize_t, other=cython.uint)
    cpdef _leave(self, Py_ssize_t number)
    @cython.locals(rows=bytearray, day=cython.longlong, numbers=array, number=Py_ssize_t, seen_us=cython.longlong)
    cpdef dict _by_day(self)
    @cython.locals(rows=bytearray, number=Py_ssize_t)
    cpdef _enter_all(self)

@cython.locals(mask=Py_ssize_t, at=Py_ssize_t)
cpdef _put(array table, unsigned long long key, unsigned int number)
