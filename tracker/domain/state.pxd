cimport cython
from tracker.domain cimport packed
from cpython.array cimport array
from tracker.domain.access cimport Access
from tracker.domain.accounts cimport Accounts
from tracker.domain.bases cimport Bases
from tracker.domain.directory cimport Directory
from tracker.domain.factors cimport Factors
from tracker.domain.booking cimport Booking
from tracker.domain.hidden_peers cimport Hidden
from tracker.domain.judging cimport Judge
from tracker.domain.limits cimport Limits
from tracker.domain.listing cimport Listing
from tracker.domain.peer_by_seq cimport Recent
from tracker.domain.seeding cimport Seeding
from tracker.domain.staying cimport Staying
from tracker.domain.swarms cimport Swarms

cdef unsigned long long _day_us, _most

cdef class State:
    cdef public unsigned long long seq, time_us
    cdef public Limits limits
    cdef public Listing listing
    cdef public Seeding seeding
    cdef public object settings, settings_seq, origins, access_tokens, dates, freeleech, sweep, tally, clients, facts, hidden, sanctions
    cdef public Access access
    cdef public Accounts accounts
    cdef public Bases bases
    cdef public Factors factors
    cdef long long _remember_us
    cdef public Swarms swarms
    cdef public Recent recent
    cdef public Booking book
    cdef public Staying stays
    cdef public list gone
    cdef public bytearray _flags, _scratch
    cdef public bint _leaves_out_own, barring, blocking, sanctioned, warns
    cdef public tuple refused_clients
    cdef public Py_ssize_t _cap
    cpdef bint gets_none(self, unsigned int account, unsigned long long left) except -1

    @cython.locals(
        swarms=Swarms, recent=Recent, book=Booking, judge=Judge, stays=Staying, before=Py_ssize_t, change=cython.int, account_of=array, known=cython.bint, count=Py_ssize_t, seq=cython.ulonglong, number=Py_ssize_t, time_us=cython.ulonglong,
        uploaded=cython.ulonglong, downloaded=cython.ulonglong, left=cython.ulonglong, key_ref=cython.uint,
        prev_seq=cython.ulonglong, what=cython.int, rule=cython.int, torrent=Py_ssize_t, peer=Py_ssize_t,
        last_seq=cython.ulonglong, was=cython.bint, seeded=cython.int, info_hash=cython.p_char, peer_id=cython.p_char, endpoint=cython.p_char, account=cython.uint, base=Py_ssize_t, numwant=cython.int, flags=cython.int,
    )
    cpdef _apply_announces(self, plain, protected)
    @cython.locals(
        swarms=Swarms, hidden=Hidden, book=Booking, judge=Judge, stays=Staying, before=Py_ssize_t, change=cython.int, seq=cython.ulonglong, number=Py_ssize_t, time_us=cython.ulonglong, uploaded=cython.ulonglong,
        downloaded=cython.ulonglong, left=cython.ulonglong, key_ref=cython.uint, prev_seq=cython.ulonglong, what=cython.int, rule=cython.int,
        torrent=Py_ssize_t, peer=Py_ssize_t, holder=Py_ssize_t, info_hash=bytes, peer_id=bytes, endpoint=bytes, account=cython.uint,
        was=cython.bint, seeded=cython.int, unreadable=cython.bint, stopped=cython.bint, fresh=cython.bint, v6=cython.bint, base=Py_ssize_t, numwant=cython.int, flags=cython.int,
    )
    cpdef _apply_hidden(self, plain, protected)
    @cython.locals(swarms=Swarms)
    cdef Py_ssize_t _announcer(self, Py_ssize_t torrent, unsigned int account, char *peer_id, char *endpoint, bint v6) except -1
    @cython.locals(
        swarms=Swarms, event=cython.int, stops=cython.bint, mark=cython.int, last_up=cython.ulonglong, last_down=cython.ulonglong,
        seen_us=cython.ulonglong, last_seq=cython.ulonglong, since_seq=cython.ulonglong, done=cython.bint,
        accounts=Accounts, factors=Factors, rows=bytearray, size=Py_ssize_t, was_new=cython.bint, then=cython.uint, now=cython.uint, up_now=cython.uint, down_now=cython.uint, kept=cython.int, tokens=array, goes_on=cython.bint, freed=cython.ulonglong, most_up=cython.ulonglong, up_percent=cython.uint, down_percent=cython.uint, timeout=cython.ulonglong,
    )
    cdef Py_ssize_t apply_keyed(
        self, unsigned int key_ref, unsigned int account, unsigned long long seq, unsigned long long time_us,
        Py_ssize_t torrent, Py_ssize_t peer, char *info_hash, char *peer_id, char *endpoint,
        unsigned long long uploaded, unsigned long long downloaded, unsigned long long left, int what, int rule,
        Py_ssize_t base,
    ) except? -1
    @cython.locals(most=Py_ssize_t, want=Py_ssize_t, swarms=Swarms, torrent=Py_ssize_t, _=cython.ulonglong, apart=cython.uint, own=Directory, other=Directory, count=Py_ssize_t)
    cdef Py_ssize_t hand(self, unsigned int account, Py_ssize_t peer, int what, unsigned long long left, int numwant, int flags) except -1
    cpdef unsigned int apart(self, unsigned int account, Py_ssize_t torrent, Py_ssize_t peer) except? 0xFFFFFFFE
    cdef Py_ssize_t base_for(self, unsigned int account, char *info_hash, char *peer_id, unsigned long long time_us) except -1
    cdef Py_ssize_t _base(self, unsigned int account, unsigned long long seq, char *info_hash, char *peer_id) except -1
