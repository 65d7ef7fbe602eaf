from cpython.array cimport array

cdef class Access:
    cdef public set whitelist
    cdef public list _listed
    cdef public dict keys, owners, requests, revoked
    cdef public array account_of, last_used
    cdef public bytearray hashes
    cdef public object next_key_ref
