cimport cython

cdef class Listing:
    cdef public unsigned long long since_seq, timeout_us, plain_from_us, ticked_us, awake_us
    cdef public list timeouts, outages

    cpdef unsigned long long until(self, unsigned long long seen_us) except? 0xFFFFFFFFFFFFFFFE
    cpdef unsigned long long _until(self, unsigned long long seen_us) except? 0xFFFFFFFFFFFFFFFE
