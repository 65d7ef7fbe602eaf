# What choice.py draws by rule 2, for compiled callers.

from cpython.array cimport array
from libc.stdint cimport uint64_t


cdef inline uint64_t _left(uint64_t word, int bits) noexcept:
    return word << bits | word >> (64 - bits)


cdef inline uint64_t drawn(array secret, Py_ssize_t purpose, uint64_t seq) except? 0xFFFFFFFFFFFFFFFE:
    """SipHash-1-3 of 8 bytes: a round for each of the two blocks, and three."""
    if secret.ob_size != 4 or not 0 <= purpose <= 2:
        raise IndexError("no such part of the secret")
    cdef uint64_t *key = <uint64_t *>secret.data.as_ulonglongs + purpose
    cdef uint64_t v0 = key[0] ^ <uint64_t>0x736F6D6570736575, v1 = key[1] ^ <uint64_t>0x646F72616E646F6D
    cdef uint64_t v2 = key[0] ^ <uint64_t>0x6C7967656E657261, v3 = key[1] ^ <uint64_t>0x7465646279746573
    cdef uint64_t size = <uint64_t>8 << 56
    cdef int number
    v3 ^= seq
    for number in range(5):
        v0 += v1
        v2 += v3
        v1 = _left(v1, 13) ^ v0
        v3 = _left(v3, 16) ^ v2
        v0 = _left(v0, 32)
        v2 += v1
        v0 += v3
        v1 = _left(v1, 17) ^ v2
        v3 = _left(v3, 21) ^ v0
        v2 = _left(v2, 32)
        if number == 0:
            v0 ^= seq
            v3 ^= size
        elif number == 1:
            v0 ^= size
            v2 ^= 0xFF
    return v0 ^ v1 ^ v2 ^ v3
