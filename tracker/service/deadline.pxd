cdef class Deadline:
    cdef public long long ns

    cpdef bint passed(self) except -1
