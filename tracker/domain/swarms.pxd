cimport cython
from tracker.domain cimport packed
from cpython.array cimport array
from tracker.domain.directory cimport Directory, Tables
from tracker.domain.peer_lists cimport PeerLists

cdef unsigned int _nowhere

cdef class Swarms:
    cdef public list buckets
    cdef public dict retired
    cdef public list announces
    cdef public Py_ssize_t torrents_total, torrents_added, torrents_removed, seeders_total, leechers_total
    cdef public object completed_total
    cdef public bytearray hashes
    cdef public Tables tables
    cdef public bint sizing
    cdef public dict retired_largest
    cdef public array completed, largest, _free_torrents
    cdef public bytearray rows
    cdef public array _free_peers
    cdef public Directory v4, v6, identities
    cdef public PeerLists of_key, _of_account

    @cython.locals(bucket=dict)
    cpdef Py_ssize_t lookup(self, bytes info_hash)
    cpdef Py_ssize_t find(self, Py_ssize_t torrent, bytes endpoint)
    cpdef bint present(self, Py_ssize_t peer)
    @cython.locals(event=cython.int, row=Py_ssize_t, mark=cython.int, rows=bytearray)
    cpdef Py_ssize_t announce(self, unsigned long long seq, unsigned long long time_us, Py_ssize_t torrent, Py_ssize_t peer, bytes info_hash, bytes peer_id, bytes endpoint, unsigned long long uploaded, unsigned long long downloaded, unsigned long long left, int what, int rule)
    cpdef int _changed(self, Py_ssize_t torrent, Py_ssize_t peer, int mark, int event, int rule, bint seeder)
    @cython.locals(torrents=array, at=Py_ssize_t)
    cpdef _count(self, Py_ssize_t torrent, Py_ssize_t word, int step)
    @cython.locals(torrent=Py_ssize_t)
    cpdef Py_ssize_t _add_torrent(self, bytes info_hash)
    cpdef Py_ssize_t _new_peer_slot(self)
    cpdef Py_ssize_t _add_peer(self, Py_ssize_t torrent, bytes endpoint, bint seeder)
    cpdef Py_ssize_t keyed(self, Py_ssize_t torrent, unsigned int account, bytes peer_id)
    @cython.locals(lists=PeerLists, rows=bytearray, peer=Py_ssize_t, size=Py_ssize_t, steps=Py_ssize_t, home=cython.uint)
    cpdef list of_account(self, Py_ssize_t torrent, unsigned int account)
    cpdef identify(self, Py_ssize_t peer, unsigned int account, unsigned int key_ref)
    @cython.locals(directory=Directory)
    cpdef move(self, Py_ssize_t torrent, Py_ssize_t peer, bytes endpoint)
    @cython.locals(days=Py_ssize_t, own=Py_ssize_t, before=Py_ssize_t, other=Directory, rows=bytearray)
    cpdef keep_family(self, Py_ssize_t torrent, Py_ssize_t peer, bint v6, long long day)
