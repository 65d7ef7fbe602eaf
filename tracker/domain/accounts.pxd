cimport cython
from tracker.domain cimport packed
from cpython.array cimport array

cdef unsigned long long _most, _unknown

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

    @cython.locals(up=cython.ulonglong, down=cython.ulonglong, sent=cython.bint)
    cpdef bint counted(
        self, Py_ssize_t account, bint goes_on, int mark, unsigned long long last_up, unsigned long long last_down,
        unsigned long long time_us, unsigned long long uploaded, unsigned long long downloaded, unsigned long long left,
        int event, unsigned long long most_up, unsigned int up_percent, unsigned int down_percent,
        unsigned long long freed,
    )
    cdef unsigned int percents_of(self, Py_ssize_t peer) except? 0xFFFFFFFE
    @cython.locals(terms=array, at=Py_ssize_t)
    cdef int keep_terms(self, Py_ssize_t peer, unsigned int percents, unsigned int upload_factor, unsigned int download_factor) except -1
    cpdef int reach(self, Py_ssize_t account) except -1
    cpdef int partly(self, Py_ssize_t account, unsigned long long amount_us) except -1
    cpdef int listed(self, Py_ssize_t account, int mark, unsigned long long from_us, unsigned long long until_us) except -1

@cython.locals(total=cython.ulonglong)
cpdef unsigned long long _add(array column, Py_ssize_t account, unsigned long long amount) except? 0xFFFFFFFFFFFFFFFE
@cython.locals(whole=cython.ulonglong, rest=cython.ulonglong)
cdef unsigned long long _percent(unsigned long long amount, unsigned int percent) noexcept
