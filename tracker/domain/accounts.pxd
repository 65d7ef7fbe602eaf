cimport cython
from tracker.domain cimport packed
from cpython.array cimport array

cdef unsigned long long _most

cdef class Accounts:
    cdef public array uploaded, downloaded, credited_uploaded, credited_downloaded
    cdef public array seeding_us, sessions, snatched, partial_us, first_us, last_us, terms
    cdef public object _factors

    @cython.locals(up=cython.ulonglong, down=cython.ulonglong, seeder=cython.int, said=cython.bint)
    cpdef bint announced(
        self, Py_ssize_t account, bint goes_on, int mark, unsigned long long last_up, unsigned long long last_down,
        unsigned long long seen_us, unsigned long long time_us, bytes info_hash,
        unsigned long long uploaded, unsigned long long downloaded, unsigned long long left, int event, unsigned long long timeout_us,
    )

    @cython.locals(up=cython.ulonglong, down=cython.ulonglong)
    cpdef bint counted(
        self, Py_ssize_t account, bint goes_on, int mark, unsigned long long last_up, unsigned long long last_down,
        unsigned long long time_us, unsigned long long uploaded, unsigned long long downloaded, unsigned long long left,
        int event, unsigned long long most_up, terms,
    )
    cpdef reach(self, Py_ssize_t account)
    cpdef listed(self, Py_ssize_t account, int mark, unsigned long long from_us, unsigned long long until_us)

@cython.locals(total=cython.ulonglong)
cpdef unsigned long long _add(array column, Py_ssize_t account, unsigned long long amount) except? 0xFFFFFFFFFFFFFFFE
