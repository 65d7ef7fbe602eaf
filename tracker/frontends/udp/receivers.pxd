cimport cython
from cpython.array cimport array
from tracker.domain cimport packed
from tracker.frontends.udp cimport mmsg, ring
from tracker.frontends.udp.handler cimport DatagramHandler
from tracker.frontends.udp.recvmmsg cimport Batch

@cython.final
cdef class Receiver:
    cdef public Batch batch
    cdef public bytearray _greetings, _memory
    cdef public tuple _kept
    cdef public object _thread
    cdef public int _wakes
    cdef public unsigned long long taken, unsent
    cdef ring.Ring *_ring

@cython.final
cdef class Receivers:
    cdef public list _all
    cdef public DatagramHandler _handler
    cdef public array _sleeping
    cdef public int _wakes

    @cython.locals(receiver=Receiver)
    cpdef bint waiting(self) except -1
    @cython.locals(handler=DatagramHandler, count=Py_ssize_t, requests=Py_ssize_t, took_ns=cython.longlong, began=cython.longlong)
    cpdef serve(self, long long until)
    @cython.locals(receiver=Receiver, handler=DatagramHandler, count=Py_ssize_t, decided=Py_ssize_t, most=Py_ssize_t, piece=Py_ssize_t)
    cpdef Py_ssize_t decide(self, long long until) except -1
    @cython.locals(receiver=Receiver, total=cython.ulonglong)
    cpdef publish(self)
    @cython.locals(receiver=Receiver, count=Py_ssize_t, first=Py_ssize_t, slot=Py_ssize_t, dropped=Py_ssize_t)
    cpdef Py_ssize_t drop(self) except -1
    @cython.locals(receiver=Receiver, number=cython.int)
    cpdef refused(self)
