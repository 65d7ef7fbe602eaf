cimport cython
from tracker.domain cimport packed
from cpython.array cimport array
from tracker.domain.directory cimport Directory, Tables
from tracker.domain.index cimport Index
from tracker.domain.peer_lists cimport PeerLists

cdef unsigned int _nowhere

cdef class Swarms:
    cdef public Index _index
    cdef public PeerLists _in_order
    cdef public dict _named
    cdef public array announces, bucket_sizes
    cdef public Py_ssize_t torrents_total, torrents_added, torrents_removed, seeders_total, leechers_total
    cdef public unsigned long long completed_total
    cdef public bytearray hashes
    cdef public Tables tables
    cdef public bint sizing
    cdef public list dropped
    cdef public object retired, retired_largest
    cdef public array completed, largest, _free_torrents
    cdef public bytearray rows, _scratch
    cdef public array _free_peers
    cdef public Directory v4, v6, identities
    cdef public PeerLists of_key, _of_account, leechers
    cdef public array _leeching
    cdef public bint lists_leechers

    cdef Py_ssize_t torrent_of(self, char *info_hash) except -1
    @cython.locals(torrent=Py_ssize_t, seeders=cython.uint, leechers=cython.uint)
    cdef (unsigned int, unsigned long long, unsigned int) counts_of(self, char *info_hash)
    cpdef Py_ssize_t lookup(self, bytes info_hash) except -1
    @cython.locals(info_hash=cython.p_char, bucket=Py_ssize_t)
    cpdef enter(self, Py_ssize_t torrent)
    @cython.locals(seeders=cython.uint, leechers=cython.uint, completed=cython.ulonglong, largest=cython.ulonglong, info_hash=cython.p_char, bucket=Py_ssize_t)
    cpdef drop_if_empty(self, Py_ssize_t torrent)
    cpdef bint in_use(self, Py_ssize_t torrent)
    @cython.locals(torrent=Py_ssize_t, found=array, at=Py_ssize_t)
    cpdef array torrents_in(self, Py_ssize_t bucket)
    cpdef Py_ssize_t find(self, Py_ssize_t torrent, bytes endpoint) except -1
    cpdef bint present(self, Py_ssize_t peer)
    @cython.locals(event=cython.int, path=Py_ssize_t, row=Py_ssize_t, mark=cython.int, rows=bytearray)
    cdef Py_ssize_t announce(self, unsigned long long seq, unsigned long long time_us, Py_ssize_t torrent, Py_ssize_t peer, char *info_hash, char *peer_id, char *endpoint, unsigned long long uploaded, unsigned long long downloaded, unsigned long long left, int what, int rule) except -1
    @cython.locals(partial=cython.bint)
    cdef int _changed(self, Py_ssize_t torrent, Py_ssize_t peer, int mark, int event, int rule, bint seeder) except -1
    @cython.locals(step=cython.int)
    cdef int _set_role(self, Py_ssize_t torrent, Py_ssize_t peer, bint seeder) except -1
    @cython.locals(rows=bytearray)
    cpdef int mark(self, Py_ssize_t peer, int bits) except -1
    @cython.locals(rows=bytearray)
    cpdef int unmark(self, Py_ssize_t peer, int bits) except -1
    @cython.locals(seeders=cython.uint, leechers=cython.uint)
    cpdef Py_ssize_t size(self, Py_ssize_t torrent) except -1
    @cython.locals(lists=PeerLists, rows=bytearray, peer=Py_ssize_t, size=Py_ssize_t, steps=Py_ssize_t, home=cython.uint, _=cython.ulonglong)
    cpdef bint has_account(self, Py_ssize_t torrent, unsigned int account, Py_ssize_t but) except -1
    @cython.locals(torrents=array, at=Py_ssize_t)
    cdef int _count(self, Py_ssize_t torrent, Py_ssize_t word, int step) except -1
    @cython.locals(torrent=Py_ssize_t, name=bytes, completed=cython.ulonglong, largest=cython.ulonglong)
    cdef Py_ssize_t _add_torrent(self, char *info_hash) except -1
    @cython.locals(peer=Py_ssize_t)
    cpdef Py_ssize_t _new_peer_slot(self) except -1
    @cython.locals(peer=Py_ssize_t)
    cdef Py_ssize_t _add_peer(self, Py_ssize_t torrent, char *endpoint, bint v6, bint seeder) except -1
    @cython.locals(identity=cython.p_char, peer=Py_ssize_t)
    cdef Py_ssize_t keyed(self, Py_ssize_t torrent, unsigned int account, char *peer_id) except -1
    @cython.locals(peer=Py_ssize_t)
    cdef Py_ssize_t _keyed_alike(self, Py_ssize_t torrent, unsigned int account, char *peer_id) except -1
    @cython.locals(rows=bytearray, torrent=Py_ssize_t, _=cython.ulonglong, identity=cython.p_char)
    cdef call(self, Py_ssize_t peer, unsigned int account, char *peer_id)
    @cython.locals(identities=Directory, rows=bytearray, peer=Py_ssize_t, place=Py_ssize_t, account=cython.uint, peer_id=cython.p_char, identity=cython.p_char)
    cpdef load_identities(self)
    @cython.locals(lists=PeerLists, rows=bytearray, peer=Py_ssize_t, size=Py_ssize_t, steps=Py_ssize_t, home=cython.uint)
    cpdef list of_account(self, Py_ssize_t torrent, unsigned int account)
    @cython.locals(rows=bytearray, row=Py_ssize_t, torrent=Py_ssize_t, _=cython.ulonglong, peer_id=cython.p_char, identity=cython.p_char)
    cpdef identify(self, Py_ssize_t peer, unsigned int account, unsigned int key_ref)
    @cython.locals(rows=bytearray, torrent=Py_ssize_t, _=cython.ulonglong, peer_id=cython.p_char, identity=cython.p_char)
    cpdef change_account(self, Py_ssize_t peer, unsigned int account)
    @cython.locals(peer=Py_ssize_t)
    cpdef list_leechers(self, bint yes)
    cpdef Py_ssize_t leeching(self, Py_ssize_t account) except -1
    cpdef bint seeds(self, Py_ssize_t peer) except -1
    @cython.locals(missing=Py_ssize_t)
    cdef int _leech(self, Py_ssize_t peer, Py_ssize_t account) except -1
    @cython.locals(account=Py_ssize_t)
    cdef int _leech_no_more(self, Py_ssize_t peer) except -1
    cpdef conceal(self, Py_ssize_t peer, int flags)
    @cython.locals(concealed=bytearray, torrent=Py_ssize_t, _=cython.ulonglong)
    cdef int _conceal(self, Py_ssize_t peer, bint yes) except -1
    @cython.locals(rows=bytearray, mark=cython.int)
    cpdef remove(self, Py_ssize_t torrent, Py_ssize_t peer)
    @cython.locals(directory=Directory, seeder=cython.bint)
    cdef move(self, Py_ssize_t torrent, Py_ssize_t peer, char *endpoint, bint v6)
    @cython.locals(days=Py_ssize_t, own=Py_ssize_t, before=Py_ssize_t, other=Directory, rows=bytearray)
    cpdef keep_family(self, Py_ssize_t torrent, Py_ssize_t peer, bint v6, long long day)
