cimport cython
from cpython.array cimport array
from tracker.domain cimport packed
from tracker.frontends.http cimport calls
from tracker.frontends.http.handler cimport RequestHandler
from tracker.places cimport Place, Places
from tracker.service.deadline cimport Deadline
from tracker.wire.request cimport RequestParser, may_end

@cython.final
cdef class Secure:
    cdef object incoming, outgoing, tls
    cdef bint shaken

    cdef bytes encrypt(self, bytes reply, bint last)

@cython.final
cdef class Connection:
    cdef int descriptor
    cdef bytes address, data, out
    cdef Place place
    cdef Secure secure
    cdef Py_ssize_t again
    cdef bint held, ends, greeted
    cdef int lingering, tries
    cdef Py_ssize_t due, tick

@cython.final
cdef class Engine:
    cdef array _ready
    cdef bytearray _buffer
    cdef int _epoll
    cdef object _context, _greeting, _work
    cdef Places _places
    cdef Deadline _deadline
    cdef RequestHandler _handler
    cdef list _connections, _held, _last, _wheel
    cdef bint _holds, _accepting
    cdef int _listener
    cdef Py_ssize_t _now, _expired, _left, _linger_ticks, _first_ticks, _open, _request_ticks, _until
    cdef RequestParser _parser
    cdef public object refused, tick_seconds

    @cython.locals(handler=RequestHandler, listener=cython.int, descriptor=cython.int, served=Py_ssize_t, connection=Connection)
    cpdef serve(self, Py_ssize_t until)
    @cython.locals(connection=Connection, reply=bytes)
    cpdef send_held(self)
    @cython.locals(connection=Connection, now=Py_ssize_t, tick=Py_ssize_t)
    cpdef expire(self)
    @cython.locals(connection=Connection)
    cpdef close(self)
    cdef Py_ssize_t _tick(self) except -1
    @cython.locals(connection=Connection)
    cdef _end_connections(self)
    @cython.locals(descriptor=cython.int, address=bytes, size=Py_ssize_t, accepted=cython.bint, over=cython.bint)
    cdef bint _accept(self) except -1
    @cython.locals(parser=RequestParser, at=Py_ssize_t, client=bytes, whole=cython.bint, connection=Connection, reply=bytes)
    cdef _begin(self, int descriptor, bytes address, Py_ssize_t size)
    @cython.locals(descriptor=cython.int, reply=bytes)
    cdef _send_last(self)
    @cython.locals(connection=Connection)
    cdef Connection _admit(self, int descriptor, bytes address, bint greeted)
    @cython.locals(handler=RequestHandler, address=bytes, shared=cython.bint)
    cdef bint _take_place(self, Connection connection) except -1
    @cython.locals(at=Py_ssize_t, address=bytes)
    cdef _greet(self, greeting, Connection connection, Py_ssize_t size)
    @cython.locals(secure=Secure, buffer=bytearray, have=Py_ssize_t, end=Py_ssize_t, tls=object, over=cython.bint)
    cdef _decrypt(self, Connection connection, context, Py_ssize_t at, Py_ssize_t size)
    @cython.locals(secure=cython.bint, have=Py_ssize_t, size=Py_ssize_t, buffer=bytearray)
    cdef bint _attend(self, Connection connection) except -1
    cdef bint _is_early(self, Connection connection, Py_ssize_t have, Py_ssize_t size) except -1
    @cython.locals(size=Py_ssize_t)
    cdef bint _go_on(self, Connection connection) except -1
    @cython.locals(handler=RequestHandler, parser=RequestParser, buffer=bytearray, replies=bytes, reply=bytes, taken=Py_ssize_t)
    cdef _answer(self, Connection connection, Py_ssize_t at, Py_ssize_t size)
    cdef _reply(self, Connection connection, bytes replies)
    @cython.locals(secure=Secure)
    cdef _send(self, Connection connection, bytes reply)
    cdef Py_ssize_t _transmit(self, int descriptor, bytes data, bint last) except -3
    @cython.locals(sent=Py_ssize_t)
    cdef _put(self, Connection connection, bytes data)
    @cython.locals(out=bytes, sent=Py_ssize_t)
    cdef _flush(self, Connection connection)
    cdef bint _watch(self, Connection connection, int what) except -1
    @cython.locals(place=Place)
    cdef _sent(self, Connection connection)
    cdef _move(self, Connection connection)
    @cython.locals(descriptor=cython.int, place=Place)
    cpdef _close(self, Connection connection)
