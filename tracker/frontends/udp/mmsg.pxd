# What mmsg.py calls through ctypes, for compiled callers.

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.exc cimport PyErr_SetFromErrno
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy
from libc.errno cimport EAGAIN, ECONNREFUSED, EINTR, ENOBUFS, ENOMEM, errno

cdef extern from * nogil:
    """
    #include <sys/socket.h>
    #include <errno.h>
    #ifdef __linux__
    #define RECEIVE_MANY(socket, messages, count) \
        recvmmsg(socket, (struct mmsghdr *)(messages), count, MSG_DONTWAIT, NULL)
    #define SEND_MANY(socket, messages, count) \
        sendmmsg(socket, (struct mmsghdr *)(messages), count, MSG_DONTWAIT)
    #else
    #define RECEIVE_MANY(socket, messages, count) (errno = ENOSYS, -1)
    #define SEND_MANY(socket, messages, count) (errno = ENOSYS, -1)
    #endif
    """
    int RECEIVE_MANY(int socket, char *messages, unsigned int count)
    int SEND_MANY(int socket, char *messages, unsigned int count)


cdef inline Py_ssize_t receive(int descriptor, bytearray messages, Py_ssize_t count) except -1:
    if count < 0 or count * 64 > PyByteArray_GET_SIZE(messages):
        raise IndexError("no such message")
    cdef int found = RECEIVE_MANY(descriptor, PyByteArray_AS_STRING(messages), <unsigned int>count)
    if found >= 0:
        return found
    if errno in (EAGAIN, EINTR, ECONNREFUSED, ENOBUFS, ENOMEM):
        return 0
    PyErr_SetFromErrno(OSError)


cdef inline Py_ssize_t send(
    int descriptor, bytearray messages, Py_ssize_t first, Py_ssize_t last
) except -1:
    if not 0 <= first <= last or last * 64 > PyByteArray_GET_SIZE(messages):
        raise IndexError("no such message")
    cdef int sent = SEND_MANY(
        descriptor, PyByteArray_AS_STRING(messages) + first * 64, <unsigned int>(last - first)
    )
    return sent if sent > 0 else 0


cdef inline Py_ssize_t size_of(bytearray messages, Py_ssize_t slot) except -1:
    cdef uint32_t size
    if slot < 0 or slot * 64 + 64 > PyByteArray_GET_SIZE(messages):
        raise IndexError("no such message")
    memcpy(&size, PyByteArray_AS_STRING(messages) + slot * 64 + 56, 4)
    return size


cdef inline int put_vector(bytearray vectors, Py_ssize_t at, uint64_t start, uint64_t size) except -1:
    cdef uint64_t[2] vector = [start, size]
    if at < 0 or at + 16 > PyByteArray_GET_SIZE(vectors):
        raise IndexError("no such vector")
    memcpy(PyByteArray_AS_STRING(vectors) + at, vector, 16)
    return 0


cdef inline Py_ssize_t vector_size(bytearray vectors, Py_ssize_t slot) except -1:
    cdef uint64_t size
    if slot < 0 or slot * 16 + 16 > PyByteArray_GET_SIZE(vectors):
        raise IndexError("no such vector")
    memcpy(&size, PyByteArray_AS_STRING(vectors) + slot * 16 + 8, 8)
    return <Py_ssize_t>size
