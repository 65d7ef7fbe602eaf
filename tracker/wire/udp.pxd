# What udp.py says with Struct, for compiled callers.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

cdef extern from "arpa/inet.h" nogil:
    uint32_t htonl(uint32_t)


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
