cimport cython
from tracker.domain cimport packed
from cpython.array cimport array
from tracker.domain.index cimport Index
from tracker.domain.peer_lists cimport PeerLists

cdef unsigned int _low

cdef class Groups:
    cdef public Index _index
    cdef public array _free, _names, settled, sizes
    cdef public PeerLists _order

    cpdef Py_ssize_t of(self, Py_ssize_t peer) except -1
    @cython.locals(index=Index, key=cython.ulonglong, table=array, mask=Py_ssize_t, at=Py_ssize_t, entry=cython.ulonglong, number=Py_ssize_t)
    cpdef Py_ssize_t find(self, unsigned long long account, unsigned long long torrent) except -1
    @cython.locals(number=Py_ssize_t)
    cpdef Py_ssize_t begin(self, unsigned long long account, unsigned long long torrent, unsigned long long settled_us) except -1
    cpdef Py_ssize_t latest(self, Py_ssize_t number, bint partial) except -1
    cpdef int add(self, Py_ssize_t number, Py_ssize_t peer, int mark) except -1
    @cython.locals(which=Py_ssize_t)
    cpdef int announced(self, Py_ssize_t number, Py_ssize_t peer, int mark) except -1
    @cython.locals(number=Py_ssize_t)
    cpdef int left(self, Py_ssize_t peer) except -1
    @cython.locals(which=Py_ssize_t, peer=Py_ssize_t, name=cython.ulonglong, key=cython.ulonglong)
    cpdef int end(self, Py_ssize_t number) except -1
