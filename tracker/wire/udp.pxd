# The structs of udp.py as inline functions, for compiled callers.

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from "arpa/inet.h" nogil:
    uint32_t htonl(uint32_t)
    uint32_t ntohl(uint32_t)

cdef extern from "endian.h" nogil:
    uint64_t be64toh(uint64_t)


cdef inline (
    uint64_t, uint32_t, char *, char *, char *, int64_t, int64_t, int64_t, uint32_t, int, int32_t,
    char *
) announce_request(bytearray data, Py_ssize_t at):
    """The pointers hold as long as the data has its size."""
    if at < 0 or at + 98 > PyByteArray_GET_SIZE(data):
        raise IndexError("no such datagram")
    cdef char *fields = PyByteArray_AS_STRING(data) + at
    cdef uint64_t[3] counters
    cdef uint64_t connection_id
    cdef uint32_t[4] words
    memcpy(&connection_id, fields, 8)
    memcpy(&words[3], fields + 8, 4)
    memcpy(counters, fields + 56, 24)
    memcpy(&words[0], fields + 80, 4)
    memcpy(&words[1], fields + 88, 4)
    memcpy(&words[2], fields + 92, 4)
    return (
        be64toh(connection_id), ntohl(words[3]), fields + 12, fields + 16, fields + 36,
        <int64_t>be64toh(counters[0]), <int64_t>be64toh(counters[1]), <int64_t>be64toh(counters[2]),
        ntohl(words[0]), <int>(ntohl(words[1]) & 0xFFFF), <int32_t>ntohl(words[2]), fields + 96,
    )


cdef inline uint32_t action(bytearray data, Py_ssize_t at) except? 0xFFFFFFFE:
    cdef uint32_t word
    if at < 0 or at + 16 > PyByteArray_GET_SIZE(data):
        raise IndexError("no such datagram")
    memcpy(&word, PyByteArray_AS_STRING(data) + at + 8, 4)
    return ntohl(word)


cdef inline (uint64_t, char *) scrape_head(bytearray data, Py_ssize_t at):
    """The pointer to the transaction holds as long as the data has its size."""
    cdef uint64_t connection_id
    if at < 0 or at + 16 > PyByteArray_GET_SIZE(data):
        raise IndexError("no such datagram")
    memcpy(&connection_id, PyByteArray_AS_STRING(data) + at, 8)
    return be64toh(connection_id), PyByteArray_AS_STRING(data) + at + 12


cdef inline int put_head(bytearray out, Py_ssize_t to, uint32_t action, char *transaction) except -1:
    if to < 0 or to + 8 > PyByteArray_GET_SIZE(out):
        raise IndexError("no room for a reply")
    cdef uint32_t[2] words = [htonl(action), 0]
    memcpy(&words[1], transaction, 4)
    memcpy(PyByteArray_AS_STRING(out) + to, words, 8)
    return 0


cdef inline int put_counts(
    bytearray out, Py_ssize_t to, uint32_t seeders, uint32_t completed, uint32_t leechers
) except -1:
    if to < 0 or to + 12 > PyByteArray_GET_SIZE(out):
        raise IndexError("no room for a reply")
    cdef uint32_t[3] words = [htonl(seeders), htonl(completed), htonl(leechers)]
    memcpy(PyByteArray_AS_STRING(out) + to, words, 12)
    return 0


cdef inline bint is_zero(char *port) noexcept:
    return not (port[0] | port[1])


cdef inline int put_announce_head(
    bytearray out, Py_ssize_t to, uint32_t action, char *transaction, uint32_t interval,
    uint32_t leechers, uint32_t seeders
) except -1:
    if to < 0 or to + 20 > PyByteArray_GET_SIZE(out):
        raise IndexError("no room for a reply")
    cdef uint32_t[5] words = [htonl(action), 0, htonl(interval), htonl(leechers), htonl(seeders)]
    memcpy(&words[1], transaction, 4)
    memcpy(PyByteArray_AS_STRING(out) + to, words, 20)
    return 0


cdef inline (uint64_t, uint64_t) halves(char *address, bint v6) noexcept nogil:
    cdef uint64_t high = <uint64_t>-1, low = 0
    if v6:
        memcpy(&high, address, 8)
        memcpy(&low, address + 8, 8)
        return be64toh(high), be64toh(low)
    memcpy(<char *>&low + 4, address, 4)
    return high, be64toh(low)


cdef inline bint is_loopback(char *address, bint v6) noexcept:
    cdef uint64_t high, low
    high, low = halves(address, v6)
    return high == 0 and low == 1 if v6 else low >> 24 == 127


cdef inline bint is_mapped(char *address) noexcept nogil:
    cdef uint64_t high, low
    high, low = halves(address, True)
    return high == 0 and low >> 32 == 0xFFFF
