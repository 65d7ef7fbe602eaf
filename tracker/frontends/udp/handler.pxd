cimport cython
from tracker.domain cimport packed
from tracker.wire cimport udp
from cpython.array cimport array
from tracker.service.announce cimport Announcing
from tracker.domain.directory cimport Directory
from tracker.domain.swarms cimport Swarms

cdef class DatagramHandler:
    cdef public object _bans, _external, _ids, _interval, settle, traffic
    cdef public dict _keys, _known
    cdef public Announcing _service
    cdef public int _listener
    cdef public Swarms _swarms

    @cython.locals(
        service=Announcing, swarms=Swarms, directory=Directory, known=dict, torrents=array, seeders=cython.uint, leechers=cython.uint,
        guarded=cython.bint, listener=cython.int, cap=Py_ssize_t, want=Py_ssize_t, replies=list,
        at=Py_ssize_t, size=Py_ssize_t, address=bytes, v4=cython.bint,
        torrent=Py_ssize_t, event=cython.uint, numwant=cython.int, noted=cython.int, flags=cython.int, port=bytes, id_and_action=bytes, head=bytes, key=cython.uint,
    )
    cpdef list answers(self, bytearray data, places, sizes, addresses, Py_ssize_t most_peers=*)
    @cython.locals(service=Announcing, options=bytes, peer_id=bytes)
    cpdef _admit(self, data, Py_ssize_t at, Py_ssize_t size, bytes transaction, bytes info_hash, bytes address)
