# The structs of udp.py as inline functions, for compiled callers.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from "arpa/inet.h" nogil:
    uint32_t htonl(uint32_t)
    uint32_t ntohl(uint32_t)

cdef extern from "endian.h" nogil:
    uint64_t be64toh(uint64_t)


cdef inline tuple announce_request(bytearray data, Py_ssize_t at):
    if at < 0 or at + 98 > PyByteArray_GET_SIZE(data):
        raise IndexError("no such datagram")
    cdef char *fields = PyByteArray_AS_STRING(data) + at
    cdef uint64_t[3] counters
    cdef uint32_t[3] words
    memcpy(counters, fields + 56, 24)
    memcpy(&words[0], fields + 80, 4)
    memcpy(&words[1], fields + 88, 4)
    memcpy(&words[2], fields + 92, 4)
    return (
        PyBytes_FromStringAndSize(fields, 12), PyBytes_FromStringAndSize(fields + 12, 4),
        PyBytes_FromStringAndSize(fields + 16, 20), PyBytes_FromStringAndSize(fields + 36, 20),
        <int64_t>be64toh(counters[0]), <int64_t>be64toh(counters[1]), <int64_t>be64toh(counters[2]),
        ntohl(words[0]), ntohl(words[1]) & 0xFFFF, <int32_t>ntohl(words[2]),
        PyBytes_FromStringAndSize(fields + 96, 2),
    )


cdef inline bytes announce_head(
    uint32_t action, bytes transaction, uint32_t interval, uint32_t leechers, uint32_t seeders
):
    if PyBytes_GET_SIZE(transaction) != 4:
        raise ValueError("a transaction id of another length")
    cdef bytes head = PyBytes_FromStringAndSize(NULL, 20)
    cdef uint32_t[5] words = [htonl(action), 0, htonl(interval), htonl(leechers), htonl(seeders)]
    memcpy(&words[1], PyBytes_AS_STRING(transaction), 4)
    memcpy(PyBytes_AS_STRING(head), words, 20)
    return head
