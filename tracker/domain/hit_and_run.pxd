cimport cython
from tracker.domain cimport packed

cdef class Download:
    cdef public bytes info_hash
    cdef public unsigned long long uploaded, downloaded, counted, seeding_us, partial_us, last_us, end_us, absent_us, size
    cdef public unsigned long long since_us, since_seq, liable_us, due_us, queued_us
    cdef public long long since_date, liable_date, violated_date
    cdef public unsigned int account, since_n, since_epoch
    cdef public int peers
    cdef public unsigned short rule
    cdef public unsigned char state, met, left, touched

    cpdef unsigned long long seeded_us(self, rule) except? 0xFFFFFFFFFFFFFFFE
    cpdef bint met_by_ratio(self, rule) except -1
