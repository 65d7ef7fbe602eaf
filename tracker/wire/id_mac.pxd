# What id_mac.py says with hashlib, for compiled callers: BLAKE2s (RFC 7693), of which the key's
# block is done once.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    static const uint32_t BLAKE2S_IV[8] = {
        0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19
    };
    static const unsigned char BLAKE2S_ORDER[10][16] = {
        { 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15},
        {14, 10,  4,  8,  9, 15, 13,  6,  1, 12,  0,  2, 11,  7,  5,  3},
        {11,  8, 12,  0,  5,  2, 15, 13, 10, 14,  3,  6,  7,  1,  9,  4},
        { 7,  9,  3,  1, 13, 12, 11, 14,  2,  6,  5, 10,  4,  0, 15,  8},
        { 9,  0,  5,  7,  2,  4, 10, 15, 14,  1, 11, 12,  6,  8,  3, 13},
        { 2, 12,  6, 10,  0, 11,  8,  3,  4, 13,  7,  5, 15, 14,  1,  9},
        {12,  5,  1, 15, 14, 13,  4, 10,  0,  7,  6,  3,  9,  2,  8, 11},
        {13, 11,  7, 14, 12,  1,  3,  9,  5,  0, 15,  4,  8,  6,  2, 10},
        { 6, 15, 14,  9, 11,  3,  0,  8, 12,  2, 13,  7,  1,  4, 10,  5},
        {10,  2,  8,  4,  7,  6,  1,  5, 15, 11,  9, 14,  3, 12, 13,  0},
    };
    #define BLAKE2S_TURN(word, bits) ((word) >> (bits) | (word) << (32 - (bits)))
    #define BLAKE2S_MIX(a, b, c, d, first, second) \
        do { \
            v[a] += v[b] + (first); v[d] = BLAKE2S_TURN(v[d] ^ v[a], 16); \
            v[c] += v[d]; v[b] = BLAKE2S_TURN(v[b] ^ v[c], 12); \
            v[a] += v[b] + (second); v[d] = BLAKE2S_TURN(v[d] ^ v[a], 8); \
            v[c] += v[d]; v[b] = BLAKE2S_TURN(v[b] ^ v[c], 7); \
        } while (0)

    /* Adds a block to the hash; `count`: the bytes so far. */
    static inline void blake2s_add(
        uint32_t *hash, const unsigned char *block, uint32_t count, int is_last
    ) {
        uint32_t v[16], m[16];
        memcpy(m, block, 64);
        memcpy(v, hash, 32);
        memcpy(v + 8, BLAKE2S_IV, 32);
        v[12] ^= count;
        if (is_last)
            v[14] = ~v[14];
        for (int round = 0; round < 10; round++) {
            const unsigned char *s = BLAKE2S_ORDER[round];
            BLAKE2S_MIX(0, 4,  8, 12, m[s[0]],  m[s[1]]);
            BLAKE2S_MIX(1, 5,  9, 13, m[s[2]],  m[s[3]]);
            BLAKE2S_MIX(2, 6, 10, 14, m[s[4]],  m[s[5]]);
            BLAKE2S_MIX(3, 7, 11, 15, m[s[6]],  m[s[7]]);
            BLAKE2S_MIX(0, 5, 10, 15, m[s[8]],  m[s[9]]);
            BLAKE2S_MIX(1, 6, 11, 12, m[s[10]], m[s[11]]);
            BLAKE2S_MIX(2, 7,  8, 13, m[s[12]], m[s[13]]);
            BLAKE2S_MIX(3, 4,  9, 14, m[s[14]], m[s[15]]);
        }
        for (int i = 0; i < 8; i++)
            hash[i] ^= v[i] ^ v[i + 8];
    }

    static inline void blake2s_begin(uint32_t *hash, const unsigned char *key, int size) {
        unsigned char block[64] = {0};
        memcpy(hash, BLAKE2S_IV, 32);
        hash[0] ^= 0x01010007 ^ (uint32_t)size << 8; /* a sequential hash of 7 bytes */
        memcpy(block, key, size);
        blake2s_add(hash, block, 64, 0);
    }
    """
    void blake2s_add(uint32_t *hash, unsigned char *block, uint32_t count, int is_last) noexcept nogil
    void blake2s_begin(uint32_t *hash, unsigned char *key, int size) noexcept nogil

cdef extern from "endian.h" nogil:
    uint64_t be64toh(uint64_t)
    uint64_t htobe64(uint64_t)


cdef inline bytes started(bytes key):
    cdef uint32_t[8] hash
    if not 1 <= PyBytes_GET_SIZE(key) <= 32:
        raise ValueError("a key has 1 to 32 bytes")
    blake2s_begin(hash, <unsigned char *>PyBytes_AS_STRING(key), <int>PyBytes_GET_SIZE(key))
    return PyBytes_FromStringAndSize(<char *>hash, 32)


cdef inline uint64_t connection_id(char *state, int64_t slot, char *address, bint v6) noexcept nogil:
    cdef uint32_t[8] hash
    cdef unsigned char[64] block
    cdef uint64_t number = htobe64(<uint64_t>slot)
    cdef int size = 16 if v6 else 4
    memcpy(hash, state, 32)
    memset(block, 0, 64)
    memcpy(block, &number, 8)
    memcpy(block + 8, address, size)
    blake2s_add(hash, block, 64 + 8 + size, 1)
    memcpy(&number, hash, 8)
    return (be64toh(number) & ~<uint64_t>0xFF) | <uint64_t>(slot & 0xFF)
