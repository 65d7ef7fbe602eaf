cdef class Outages:
    cdef public long long _ticked_us, _ended_us
