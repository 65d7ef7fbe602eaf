from cpython.array cimport array
from tracker.domain.names cimport Names

cdef class Access:
    cdef public Names whitelist
    cdef public list _listed
    cdef public dict keys, merged, owners, requests, revoked
    cdef public set gained
    cdef public array account_of, last_used
    cdef public bytearray hashes
    cdef public object next_key_ref
