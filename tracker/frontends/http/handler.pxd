cimport cython
from tracker.domain cimport packed
from tracker.domain.directory cimport Directory
from tracker.domain.swarms cimport Swarms
from tracker.service.announce cimport Announcing, Holder
from tracker.wire cimport reply, scan
from tracker.wire.query cimport AnnounceQuery

cdef class RequestHandler:
    cdef public object _policy, _settings, deadline, external, proxies, settle, traffic
    cdef public Announcing _service
    cdef public AnnounceQuery _request
    cdef public Swarms _swarms
    cdef public int _announces, _listener
    cdef public unsigned long long _interval_min
    cdef public bytearray _picked
    cdef public bint _reads_ip, _sends_external_ip, proxied

    @cython.locals(named=bytes)
    cpdef bytes answer(self, bytes method, bytes target, bytes address, bytes forwarded, bint keep, bytes agent=*)
    @cython.locals(
        service=Announcing, holder=Holder, swarms=Swarms, request=AnnounceQuery, source=bytes, numwant=Py_ssize_t, want=Py_ssize_t, asked=Py_ssize_t, spent=cython.bint, cap=Py_ssize_t,
        v4=cython.bint, flags=cython.int, noted=cython.int, torrent=Py_ssize_t, peers4=bytes, peers6=bytes,
        seeders=cython.uint, leechers=cython.uint, interval=cython.ulonglong, interval_min=cython.ulonglong, expires=cython.bint, warned=cython.bint, body=bytes,
    )
    cdef bytes _announce(self, bytes text, Py_ssize_t start, bytes key, bytes address, bytes forwarded, bint keep, bytes agent)
    @cython.locals(service=Announcing, picked=bytearray, missing=Py_ssize_t, size=Py_ssize_t)
    cdef bytes _pick(self, Directory directory, Py_ssize_t torrent, Py_ssize_t want, bint seeder)
