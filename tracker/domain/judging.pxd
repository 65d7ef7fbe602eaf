cimport cython
from tracker.domain cimport packed
from tracker.domain.hit_and_run cimport Download

cdef unsigned long long _never
cdef long long _soon_us
cdef int AT_RISK, BEGUN, LIABLE, SATISFIED, VIOLATED

cdef class Swarm:
    cdef public bytes info_hash
    cdef public dict rows
    cdef public unsigned long long dry_us, delisted_us, end_us
    cdef public list stands

cdef class Judge:
    cdef public object shelf
    cdef public list rules, outages, touched, stood, made
    cdef public int rule
    cdef public dict swarms, immune, immune_from
    cdef public unsigned int epoch
    cdef public long long lead_us
    cdef public set touched_swarms
    cdef public bint changed
    cdef object _outage
    cdef dict _queue
    cdef list _queued
    cdef long long _seq
    cdef unsigned int _n

    @cython.locals(
        swarm=Swarm, one=Download, up=cython.ulonglong, down=cython.ulonglong, credited_down=cython.ulonglong, seeding_us=cython.ulonglong,
        partial_us=cython.ulonglong,
    )
    cpdef announced(
        self, state, unsigned int account, bytes info_hash, unsigned long long seq, unsigned long long time_us, unsigned long long left,
        bint was, bint seeded, bint stays, (unsigned long long, unsigned long long, unsigned long long, unsigned long long, unsigned long long) gains,
    )
    @cython.locals(swarm=Swarm, one=Download, seq=cython.ulonglong, time_us=cython.ulonglong)
    cpdef left(self, state, unsigned int account, bytes info_hash, unsigned long long end_us, bint seeder, (unsigned long long, unsigned long long, unsigned long long, unsigned long long, unsigned long long) gains)
    @cython.locals(number=cython.ulonglong)
    cpdef _enqueue(self, Download one)
    cpdef _seeded(self, state, Swarm swarm, unsigned long long time_us, bint seeded, bint seeds)
    cdef _rule_of(self, Download one)
    @cython.locals(had=cython.ulonglong, need=cython.ulonglong)
    cpdef unsigned long long _gained(self, Download one, unsigned long long seeding_us, unsigned long long partial_us) except? 0xFFFFFFFFFFFFFFFE
    @cython.locals(size=cython.ulonglong, bytes_=cython.ulonglong, by_ratio=cython.bint)
    cpdef _judge(self, state, Download one, unsigned long long seq, unsigned long long time_us)
    @cython.locals(when=cython.ulonglong, to=cython.int)
    cpdef _pass_time(self, Download one, unsigned long long seq, unsigned long long now_us, unsigned long long met_us)
    @cython.locals(date_us=cython.longlong)
    cpdef _to(self, Download one, int state, unsigned long long time_us, unsigned long long seq)
    cdef _touch(self, Download one)
    @cython.locals(when=cython.ulonglong, met_us=cython.ulonglong)
    cpdef _go_on(self, Download one, unsigned long long now_us)

cdef bint _judged(int state) noexcept
