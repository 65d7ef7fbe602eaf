# The functions of scan.py for compiled callers.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcmp
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    /* By kind, as in scan.py: the bytes that are of it. */
    static const unsigned char swarmlog_kinds[6][256] = {
        {['!' ... '~'] = 1},
        {['!'] = 1, ['#' ... 39] = 1, ['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1, ['0' ... '9'] = 1, ['A' ... 'Z'] = 1,
         ['^' ... 'z'] = 1, ['|'] = 1, ['~'] = 1},
        {[9] = 1, [' ' ... '~'] = 1, [128 ... 255] = 1},
        {[9] = 1, [' '] = 1},
        {[0 ... '$'] = 1, [39 ... '<'] = 1, ['>'] = 1, ['@' ... 255] = 1},
        {[0 ... '%'] = 1, [39 ... '<'] = 1, ['>' ... 255] = 1}};

    static inline Py_ssize_t swarmlog_span(const unsigned char *data, Py_ssize_t at, Py_ssize_t end, int kind) {
        const unsigned char *kinds = swarmlog_kinds[kind];
        if (kind == 0) { /* long, so eight bytes at once */
            const uint64_t ones = ~(uint64_t)0 / 255;
            for (; at + 8 <= end; at += 8) {
                uint64_t some;
                memcpy(&some, data + at, 8);
                /* A byte's highest bit is set where it is below '!', or above '~'. */
                if (((some - ones * '!') | (some + ones) | some) & ones * 128) break;
            }
        }
        while (at < end && kinds[data[at]]) at++;
        return at;
    }

    static inline int swarmlog_same(const unsigned char *data, Py_ssize_t size, const unsigned char *name) {
        for (Py_ssize_t at = 0; at < size; at++) {
            unsigned char one = data[at];
            if (one >= 'A' && one <= 'Z') one |= 32;
            if (one != name[at]) return 0;
        }
        return 1;
    }

    static inline long long swarmlog_number(const unsigned char *data, Py_ssize_t size) {
        long long value = 0;
        if (size < 1 || size > 18) return -1;
        for (Py_ssize_t at = 0; at < size; at++) {
            unsigned digit = (unsigned)data[at] - '0';
            if (digit > 9) return -1;
            value = value * 10 + digit;
        }
        return value;
    }

    /* As zlib's, whose call from here takes objects. */
    static inline uint32_t swarmlog_crc32(const unsigned char *data, Py_ssize_t size) {
        static const uint32_t halves[16] = {
            0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
            0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
        uint32_t sum = ~0U;
        for (Py_ssize_t at = 0; at < size; at++) {
            sum ^= data[at];
            sum = halves[sum & 15] ^ sum >> 4;
            sum = halves[sum & 15] ^ sum >> 4;
        }
        return ~sum;
    }

    static inline int swarmlog_digit(unsigned char one) {
        if (one >= '0' && one <= '9') return one - '0';
        one |= 32;
        return one >= 'a' && one <= 'f' ? one - 'a' + 10 : -1;
    }

    static inline int swarmlog_identifier(const unsigned char *data, Py_ssize_t size, char *value) {
        Py_ssize_t at = 0;
        for (int count = 0; count < 20; count++) {
            if (at >= size) return 0;
            if (data[at] != '%') {
                value[count] = (char)data[at++];
                continue;
            }
            if (at + 3 > size) return 0;
            int high = swarmlog_digit(data[at + 1]), low = swarmlog_digit(data[at + 2]);
            if (high < 0 || low < 0) return 0;
            value[count] = (char)(high << 4 | low);
            at += 3;
        }
        return at == size;
    }
    """
    unsigned int swarmlog_crc32(const unsigned char *, Py_ssize_t) nogil
    long long swarmlog_number(const unsigned char *, Py_ssize_t) nogil
    bint swarmlog_identifier(const unsigned char *, Py_ssize_t, char *) nogil
    Py_ssize_t swarmlog_span(const unsigned char *, Py_ssize_t, Py_ssize_t, int) nogil
    bint swarmlog_same(const unsigned char *, Py_ssize_t, const unsigned char *) nogil


cdef inline const unsigned char *_bytes(data, Py_ssize_t start, Py_ssize_t end) except NULL:
    """Returns where `data[start:end]` begins."""
    cdef const unsigned char *begins
    cdef Py_ssize_t size
    if type(data) is bytes:
        begins, size = <const unsigned char *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)
    elif type(data) is bytearray:
        begins, size = <const unsigned char *>PyByteArray_AS_STRING(data), PyByteArray_GET_SIZE(data)
    else:
        raise TypeError("neither bytes nor a bytearray")
    if not 0 <= start <= end <= size:
        raise IndexError("outside of the buffer")
    return begins + start


cdef inline Py_ssize_t span(data, Py_ssize_t start, Py_ssize_t end, int kind) except -1:
    return start + swarmlog_span(_bytes(data, start, end), 0, end - start, kind)


cdef inline bint same(data, Py_ssize_t start, Py_ssize_t end, bytes name) except -1:
    cdef const unsigned char *there = _bytes(data, start, end)
    return PyBytes_GET_SIZE(name) == end - start and swarmlog_same(
        there, end - start, <const unsigned char *>PyBytes_AS_STRING(name)
    )


cdef inline bytes cut(data, Py_ssize_t start, Py_ssize_t end):
    return PyBytes_FromStringAndSize(<const char *>_bytes(data, start, end), end - start)


cdef inline bint equal(data, Py_ssize_t start, Py_ssize_t end, bytes name) except -1:
    cdef const unsigned char *there = _bytes(data, start, end)
    return PyBytes_GET_SIZE(name) == end - start and not memcmp(there, PyBytes_AS_STRING(name), end - start)


cdef inline long long number(data, Py_ssize_t start, Py_ssize_t end) except -2:
    return swarmlog_number(_bytes(data, start, end), end - start)


cdef inline bytes identifier(data, Py_ssize_t start, Py_ssize_t end):
    cdef char[20] value
    if swarmlog_identifier(_bytes(data, start, end), end - start, value):
        return PyBytes_FromStringAndSize(value, 20)
    return b""


cdef inline bytes two(unsigned int number):
    cdef char[2] both = [<char>(number >> 8 & 255), <char>(number & 255)]
    return PyBytes_FromStringAndSize(both, 2)


cdef inline unsigned int crc32(bytes data) noexcept:
    return swarmlog_crc32(<const unsigned char *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
