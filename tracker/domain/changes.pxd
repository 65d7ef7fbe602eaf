cimport cython
from tracker.domain cimport packed
from cpython.array cimport array
from tracker.domain.accounts cimport Accounts
from tracker.domain.swarms cimport Swarms

cdef unsigned long long _all, _odd

cdef class Changes:
    cdef public array at, seen

    @cython.locals(up=array, down=array, credited_up=array, credited_down=array, partial=array, number=Py_ssize_t, mixed=cython.ulonglong)
    cpdef accounts(self, Accounts accounts, Py_ssize_t first, Py_ssize_t end, unsigned long long seq)
    @cython.locals(completed=array, number=Py_ssize_t, mixed=cython.ulonglong, seeders=cython.uint, leechers=cython.uint)
    cpdef torrents(self, Swarms swarms, Py_ssize_t first, Py_ssize_t end, unsigned long long seq)
    cdef int _enter(self, Py_ssize_t number, unsigned long long mixed, unsigned long long seq) except -1
    cpdef forget(self, Py_ssize_t number)
    @cython.locals(number=Py_ssize_t)
    cpdef list after(self, unsigned long long since, Py_ssize_t first, Py_ssize_t limit)

@cython.locals(both=cython.ulonglong)
cdef unsigned long long _mixed(unsigned long long mixed, unsigned long long value) noexcept
