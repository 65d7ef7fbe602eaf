cimport cython
from tracker.domain cimport packed
from cpython.array cimport array
from tracker.domain.index cimport Index

cdef bytes _no_torrent
cdef unsigned int _low

cdef class Factors:
    cdef public unsigned int percents, upload_factor, download_factor, _up, _down
    cdef public object next_number, ran_ms, _dates, _latest_us
    cdef public dict current, groups, over, _scopes
    cdef public list _ends, _factors, _free
    cdef public array group_of, _best, _spans
    cdef public bytearray _names, _scratch
    cdef public Index _index

    @cython.locals(lead_us=cython.longlong, date_us=cython.longlong, up=cython.uint, down=cython.uint, group=cython.uint)
    cdef int look(self, unsigned int account, char *info_hash, unsigned long long time_us) except -1
    @cython.locals(scope=Py_ssize_t, spans=array, best=array, since_us=cython.longlong, until_us=cython.longlong, up=cython.uint, down=cython.uint)
    cdef int _take(self, unsigned int account, unsigned int torrent, char *info_hash, long long date_us) except -1
    @cython.locals(
        index=Index, names=bytearray, name=cython.p_char, key=cython.ulonglong, table=array, mask=Py_ssize_t, at=Py_ssize_t, entry=cython.ulonglong, scope=Py_ssize_t,
    )
    cdef Py_ssize_t _scope(self, unsigned int account, unsigned int torrent, char *info_hash) except -1
    cpdef unsigned long long _key(self, Py_ssize_t scope) except? 0xFFFFFFFFFFFFFFFE
