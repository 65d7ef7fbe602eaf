cimport cython
from cpython.array cimport array
from tracker.domain cimport choice, packed
from tracker.domain.clients cimport Clients
from tracker.domain.limits cimport Limits
from tracker.domain.names cimport Names
from tracker.domain.rules cimport Rules
from tracker.domain.state cimport State
from tracker.domain.swarms cimport Swarms
from tracker.service.rate_limits cimport Rate

cdef unsigned long long _never

cdef class Holder:
    cdef public unsigned int account, key_ref
    cdef public unsigned long long ends_us, version
    cdef public bytes text
    cdef public object valid_until_us

cdef class Announcing:
    cdef public object _clock, _log, _refused
    cdef public Names _blacklist, _whitelist
    cdef public str barred_for
    cdef public Rate _account_rate, _rate
    cdef public State _state
    cdef public Clients _client_numbers
    cdef public Limits _limits
    cdef public Py_ssize_t budget, cap
    cdef public unsigned int _interval, _jitter, apart
    cdef public dict _keys, _named
    cdef public bint _leaves_out_own, _listed, _open, _policed, guarded, hiding, private
    cdef public unsigned long long _now_us, _seq, _version, number
    cdef public array selection_key
    cdef public Rules _rules
    cdef public Py_ssize_t peer
    cdef public bytearray _plain, _protected, _scratch
    cdef public Swarms _swarms

    cpdef go_on(self)
    cpdef Py_ssize_t announce(
        self, int listener, int path, bytes address, bytes port, bytes info_hash, bytes peer_id,
        unsigned long long uploaded, unsigned long long downloaded, unsigned long long left, int event, int numwant, int flags, int key_hash, key=*, bytes agent=*,
    )
    @cython.locals(
        swarms=Swarms, rules=Rules, refusal=cython.int, barred=cython.int, torrent=Py_ssize_t, peer=Py_ssize_t, endpoint=cython.p_char, rule=cython.int, v6=cython.bint,
        what=cython.int, early=cython.bint, _=cython.ulonglong,
        there=cython.p_char, last_up=cython.ulonglong, last_down=cython.ulonglong, prev_seq=cython.ulonglong,
        now=cython.ulonglong, seq=cython.ulonglong, client=cython.int,
    )
    cdef Py_ssize_t decide(
        self, int listener, int path, char *address, char *port, char *info_hash, char *peer_id,
        unsigned long long uploaded, unsigned long long downloaded, unsigned long long left, int event, int numwant, int flags, int key_hash, key, bytes agent,
    ) except? -1
    @cython.locals(
        swarms=Swarms, rules=Rules, refusal=cython.int, barred=cython.int, torrent=Py_ssize_t, peer=Py_ssize_t, evicted=Py_ssize_t, rule=cython.int,
        endpoint=cython.p_char, what=cython.int, early=cython.bint, went_down=cython.bint, v6=cython.bint,
        _there=cython.p_char, last_up=cython.ulonglong, last_down=cython.ulonglong, prev_seq=cython.ulonglong, seq=cython.ulonglong,
        way=Py_ssize_t, account=cython.uint, key_ref=cython.uint, client=cython.int, state=State, base=Py_ssize_t, seen_us=cython.ulonglong, _=cython.ulonglong, _mark=cython.int, _seen_us=cython.ulonglong,
    )
    cdef Py_ssize_t _announce_keyed(
        self, Holder holder, int listener, int path, char *address, char *port, char *info_hash, char *peer_id,
        unsigned long long uploaded, unsigned long long downloaded, unsigned long long left, int event, int numwant, int flags, int key_hash, bytes agent,
    ) except? -1
    @cython.locals(state=State, client=bytes)
    cdef int _barred(self, char *address, bint v6, char *info_hash, char *peer_id, int event) except? -1
    cpdef bint blocked(self, bytes address) except -1
    cpdef int _name_client(self, bytes peer_id, bytes agent, unsigned int account=*) except -1
    @cython.locals(most=cython.uint, drawn=cython.ulonglong)
    cdef unsigned int interval(self) except? 0xFFFFFFFE
    cdef bint admits(self, char *address, bint v6) except -1
    cpdef admit(self, bytes address, text)
    cdef bint holds(self, Holder known)
    cpdef bint knows(self, bytes text) except -1
    @cython.locals(found=Holder)
    cpdef authenticate(self, text, unsigned long long now_us=*)
