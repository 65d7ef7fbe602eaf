cdef class Interval:
    cdef public long long seq, time_us, before_us, account
    cdef public bytes info_hash, peer_id, address
    cdef public object key, up, down, left, left_before, uploaded, downloaded, size
    cdef public int port, client, event
    cdef public bint first, refused, gone
    cdef public tuple name, peer, unowned

cdef class Detector:
    cpdef heard(self, Interval interval)
    cpdef ticked(self, long long time_us)
