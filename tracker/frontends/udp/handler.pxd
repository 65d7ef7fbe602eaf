cimport cython
from cpython.array cimport array
from tracker.domain cimport packed
from tracker.wire cimport udp
from tracker.domain.directory cimport Directory
from tracker.domain.index cimport Index
from tracker.domain.swarms cimport Swarms
from tracker.frontends.udp cimport mmsg
from tracker.frontends.udp.recvmmsg cimport Batch
from tracker.service.announce cimport Announcing, Holder
from tracker.service.deadline cimport Deadline
from tracker.wire.connection_id cimport ConnectionIds

cdef unsigned long long _left_unknown

cdef class DatagramHandler:
    cdef public object _bans, _external, settle, traffic
    cdef public ConnectionIds ids
    cdef public list _keys, _options
    cdef public array _ahead, _secret
    cdef public bytearray _scratch
    cdef public Announcing _service
    cdef public int _listener
    cdef public Deadline deadline
    cdef public long long _each_ns
    cdef public Py_ssize_t _scraped4, _scraped6
    cdef public Swarms _swarms

    @cython.locals(first=Py_ssize_t, last=Py_ssize_t, requests=Py_ssize_t, unsent=Py_ssize_t, now=cython.longlong, began=cython.longlong)
    cpdef serve(self, Batch batch, long long until)
    @cython.locals(first=Py_ssize_t, last=Py_ssize_t, silent=cython.bint)
    cpdef Py_ssize_t answer_some(self, Batch batch, long long until) except -1
    cdef Py_ssize_t _room(self, long long left_ns) except -1
    @cython.locals(
        end=Py_ssize_t, slot=Py_ssize_t, size=Py_ssize_t, v6=cython.bint, address=cython.p_char, verdict=cython.int,
        connects4=Py_ssize_t, connects6=Py_ssize_t, short=Py_ssize_t,
    )
    cpdef answer_all(self, Batch batch, Py_ssize_t count, Py_ssize_t first=*)
    @cython.locals(
        swarms=Swarms, torrents=array, index=Index, slot=Py_ssize_t, info_hash=cython.p_char, key=cython.ulonglong, table=array,
        torrent=Py_ssize_t, directory=Directory, width=Py_ssize_t, start=Py_ssize_t, size=Py_ssize_t, _=Py_ssize_t, room=Py_ssize_t,
        address=cython.p_char, port=cython.p_char, endpoint=cython.p_char, step=cython.int, at=Py_ssize_t, v6=cython.bint,
    )
    cdef int _fetch(self, Batch batch, Py_ssize_t first, Py_ssize_t last) except -1
    cpdef answer(self, data, Py_ssize_t at, Py_ssize_t size, bytes address, Py_ssize_t most_peers=*)
    @cython.locals(
        service=Announcing, swarms=Swarms, directory=Directory, ids=ConnectionIds, source=bytes, holder=Holder, known=Holder, place=Py_ssize_t, connection_id=cython.ulonglong, action=cython.uint,
        transaction=cython.p_char, info_hash=cython.p_char, peer_id=cython.p_char, downloaded=cython.longlong, left=cython.longlong,
        uploaded=cython.longlong, event=cython.uint, key=cython.int, numwant=cython.int, port=cython.p_char, interval=cython.uint, cap=Py_ssize_t,
        want=Py_ssize_t, noted=cython.int, flags=cython.int, torrent=Py_ssize_t, seeders=cython.uint, leechers=cython.uint,
    )
    cdef Py_ssize_t _answer(self, bytearray data, Py_ssize_t at, Py_ssize_t size, char *address, bint v6, bytearray out, Py_ssize_t to, Py_ssize_t most_peers, bint proved) except -1
    @cython.locals(
        connection_id=cython.ulonglong, transaction=cython.p_char, swarms=Swarms, count=Py_ssize_t, number=Py_ssize_t,
        place=cython.p_char, seeders=cython.uint, completed=cython.ulonglong, leechers=cython.uint,
    )
    cdef Py_ssize_t _put_other(self, bytearray data, Py_ssize_t at, Py_ssize_t size, char *address, bint v6, bytearray out, Py_ssize_t to) except -1
    @cython.locals(options=cython.p_char, place=Py_ssize_t, way=Py_ssize_t, known=bytes)
    cdef Holder _key_of(self, bytearray data, Py_ssize_t at, Py_ssize_t size)
    @cython.locals(service=Announcing, text=bytes, peer_id=bytes, info_hash=bytes, transaction=bytes)
    cpdef _admit(self, data, Py_ssize_t at, Py_ssize_t size, bytes address, Holder known)

cdef Py_ssize_t _put(bytearray out, Py_ssize_t to, bytes reply) except -1
