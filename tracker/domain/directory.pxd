cimport cython
from tracker.domain cimport choice, packed
from cpython.array cimport array
from tracker.domain.index cimport Index

cdef unsigned int _nowhere, _low

cdef class Tables:
    cdef public array torrents
    cdef public Py_ssize_t concealing, peers
    cdef public bytearray concealed

    cpdef add_torrent(self)
    cpdef add_peer(self)

cdef class Directory:
    cdef public Py_ssize_t width
    cdef public Py_ssize_t total
    cdef public Py_ssize_t _word, _words, _found, _found_at, _found_start, _found_end
    cdef public Tables _tables
    cdef public array _runs, places
    cdef public bytearray addresses
    cdef public array owners
    cdef public list free
    cdef public Index _index
    cdef public Directory identities

    @cython.locals(place=Py_ssize_t)
    cpdef bint has_port(self, Py_ssize_t peer, bytes port)
    cpdef unsigned int position(self, Py_ssize_t peer) except? 0xFFFFFFFE
    cpdef unsigned int room(self, Py_ssize_t torrent) except? 0xFFFFFFFE
    @cython.locals(first=Py_ssize_t, size=Py_ssize_t, room=cython.uint, width=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t, at=Py_ssize_t, peer=Py_ssize_t)
    cdef Py_ssize_t find(self, Py_ssize_t torrent, char *endpoint) except -1
    @cython.locals(index=Index, width=Py_ssize_t, key=cython.ulonglong, table=array, mask=Py_ssize_t, at=Py_ssize_t, entry=cython.ulonglong, peer=Py_ssize_t, place=Py_ssize_t)
    cdef Py_ssize_t _find_indexed(self, Py_ssize_t torrent, char *endpoint, Py_ssize_t first, Py_ssize_t size) except -1
    @cython.locals(runs=array, row=Py_ssize_t, first=Py_ssize_t, size=Py_ssize_t, seeds=Py_ssize_t, room=Py_ssize_t, place=Py_ssize_t, boundary=Py_ssize_t)
    cdef insert(self, Py_ssize_t torrent, Py_ssize_t peer, char *endpoint, bint seeder)
    @cython.locals(room=Py_ssize_t, place=Py_ssize_t)
    cdef rename(self, Py_ssize_t torrent, Py_ssize_t peer, char *endpoint)
    @cython.locals(runs=array, row=Py_ssize_t, first=Py_ssize_t, size=Py_ssize_t, seeds=Py_ssize_t, room=Py_ssize_t, place=Py_ssize_t, last_seeder=Py_ssize_t)
    cpdef remove(self, Py_ssize_t torrent, Py_ssize_t peer)
    @cython.locals(out=bytearray, start=Py_ssize_t, size=Py_ssize_t)
    cpdef bytes pick(self, bytes prefix, Py_ssize_t torrent, Py_ssize_t want, Py_ssize_t peer, bint seeder, array secret, unsigned long long seq, unsigned int apart=*)
    @cython.locals(seeds=Py_ssize_t, draw=cython.ulonglong, size=Py_ssize_t, first=Py_ssize_t, place=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t, width=Py_ssize_t, addresses=bytearray, boundary=Py_ssize_t, seeders=Py_ssize_t, leechers=Py_ssize_t, of_leechers=Py_ssize_t, of_seeders=Py_ssize_t, done=Py_ssize_t)
    cpdef Py_ssize_t put_picked(self, bytearray out, Py_ssize_t to, Py_ssize_t torrent, Py_ssize_t want, Py_ssize_t peer, bint seeder, array secret, unsigned long long seq, unsigned int apart) except -1
    @cython.locals(first=Py_ssize_t, size=Py_ssize_t, _=cython.uint, place=Py_ssize_t, count=Py_ssize_t, others=Py_ssize_t)
    cpdef Py_ssize_t listed(self, Py_ssize_t torrent, Py_ssize_t want, Py_ssize_t peer, unsigned int apart) except -1
    @cython.locals(first=Py_ssize_t, size=Py_ssize_t, seeds=Py_ssize_t, width=Py_ssize_t, boundary=Py_ssize_t, leechers=Py_ssize_t, draw=cython.ulonglong, start=cython.ulonglong, seeders=Py_ssize_t, count=Py_ssize_t, of_leechers=Py_ssize_t, step=Py_ssize_t, place=Py_ssize_t)
    cdef Py_ssize_t _put_shown(self, bytearray out, Py_ssize_t to, Py_ssize_t torrent, Py_ssize_t want, Py_ssize_t peer, bint seeder, array secret, unsigned long long seq, unsigned int apart) except -1
    @cython.locals(concealed=bytearray, one=Py_ssize_t, identities=Directory, at=Py_ssize_t)
    cdef bint _shows(self, Py_ssize_t place, Py_ssize_t peer, unsigned int apart) except -1
    @cython.locals(size=Py_ssize_t, offset=Py_ssize_t, before=Py_ssize_t, done=Py_ssize_t)
    cdef Py_ssize_t _put_some(self, bytearray out, Py_ssize_t to, Py_ssize_t start, Py_ssize_t end, Py_ssize_t want, Py_ssize_t place, unsigned long long chance) except -1
    @cython.locals(width=Py_ssize_t, begin=Py_ssize_t, straight=Py_ssize_t, done=Py_ssize_t)
    cdef Py_ssize_t _put_ring(self, bytearray out, Py_ssize_t to, Py_ssize_t start, Py_ssize_t end, Py_ssize_t offset, Py_ssize_t count) except -1
    @cython.locals(first=Py_ssize_t, size=Py_ssize_t, at=Py_ssize_t, width=Py_ssize_t, addresses=bytearray)
    cpdef Py_ssize_t lookup(self, Py_ssize_t torrent, bytes endpoint) except -1
    cpdef add(self, Py_ssize_t torrent, Py_ssize_t peer, bytes endpoint, bint seeder)
    cpdef list beginning_with(self, Py_ssize_t torrent, bytes prefix)
    @cython.locals(first=Py_ssize_t, size=Py_ssize_t, at=Py_ssize_t, end=Py_ssize_t, width=Py_ssize_t)
    cpdef bint has_beginning(self, Py_ssize_t torrent, unsigned int number, Py_ssize_t but) except -1
    @cython.locals(place=Py_ssize_t, width=Py_ssize_t)
    cdef bint is_at(self, Py_ssize_t peer, char *endpoint) except -1
    @cython.locals(first=Py_ssize_t, _=Py_ssize_t, seeds=Py_ssize_t, boundary=Py_ssize_t, place=Py_ssize_t, row=Py_ssize_t)
    cpdef int set_role(self, Py_ssize_t torrent, Py_ssize_t peer, bint seeder) except -1
    @cython.locals(owners=array, width=Py_ssize_t, first=Py_ssize_t, second=Py_ssize_t)
    cdef int _swap(self, Py_ssize_t one, Py_ssize_t other) except -1
    @cython.locals(width=Py_ssize_t, peer=Py_ssize_t)
    cpdef _move(self, Py_ssize_t source, Py_ssize_t target)
    @cython.locals(start=Py_ssize_t, place=Py_ssize_t)
    cpdef Py_ssize_t _grow(self, Py_ssize_t torrent, Py_ssize_t size, Py_ssize_t room)
    @cython.locals(runs=array, owners=array, places=array, free=array, row=Py_ssize_t, old=Py_ssize_t, start=Py_ssize_t, step=Py_ssize_t, peer=Py_ssize_t, old_room=Py_ssize_t)
    cpdef Py_ssize_t _relocate(self, Py_ssize_t torrent, Py_ssize_t size, Py_ssize_t room)
    @cython.locals(free=array, start=Py_ssize_t)
    cpdef Py_ssize_t _take_run(self, Py_ssize_t room)
    @cython.locals(width=Py_ssize_t, endpoint=cython.p_char)
    cpdef unsigned int _key(self, Py_ssize_t torrent, Py_ssize_t place) except? 0xFFFFFFFE
    cpdef _remember(self, Py_ssize_t torrent, Py_ssize_t peer, Py_ssize_t place)
    cpdef _forget(self, Py_ssize_t torrent, Py_ssize_t peer, Py_ssize_t place)
    @cython.locals(free=array, place=Py_ssize_t)
    cpdef _shrink(self, Py_ssize_t torrent, Py_ssize_t first, Py_ssize_t size, Py_ssize_t room)
