cimport cython

cdef class Listing:
    cdef public unsigned long long since_seq, timeout_us, plain_from_us, ticked_us, awake_us
    cdef public list timeouts, outages

    cpdef unsigned long long until(self, unsigned long long seen_us) except? 0xFFFFFFFFFFFFFFFE
    @cython.locals(end_us=cython.ulonglong, seeding_us=cython.ulonglong, begin_us=cython.ulonglong)
    cpdef (unsigned long long, unsigned long long, unsigned long long) gained(
        self, unsigned long long settled_us, unsigned long long seeder_us, unsigned long long partial_us, unsigned long long time_us
    ) except *
    cpdef unsigned long long _until(self, unsigned long long seen_us) except? 0xFFFFFFFFFFFFFFFE
