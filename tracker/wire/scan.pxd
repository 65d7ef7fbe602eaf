# The functions of scan.py for compiled callers.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE

cdef extern from *:
    """
    static const unsigned char swarmlog_tokens[256] = {
        ['!'] = 1, ['#' ... '\\''] = 1, ['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1, ['0' ... '9'] = 1,
        ['A' ... 'Z'] = 1, ['^' ... 'z'] = 1, ['|'] = 1, ['~'] = 1};

    static inline Py_ssize_t swarmlog_span(const unsigned char *data, Py_ssize_t at, Py_ssize_t end, int kind) {
        switch (kind) {
        case 0: while (at < end && data[at] > ' ' && data[at] < 127) at++; break;
        case 1: while (at < end && swarmlog_tokens[data[at]]) at++; break;
        case 2: while (at < end && (data[at] == '\\t' || (data[at] >= ' ' && data[at] != 127))) at++; break;
        default: while (at < end && (data[at] == '\\t' || data[at] == ' ')) at++;
        }
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
    """
    Py_ssize_t swarmlog_span(const unsigned char *, Py_ssize_t, Py_ssize_t, int) nogil
    bint swarmlog_same(const unsigned char *, Py_ssize_t, const unsigned char *) nogil


cdef inline Py_ssize_t span(bytearray data, Py_ssize_t start, Py_ssize_t end, int kind) except -1:
    if not 0 <= start <= end <= PyByteArray_GET_SIZE(data):
        raise IndexError("outside of the buffer")
    return swarmlog_span(<const unsigned char *>PyByteArray_AS_STRING(data), start, end, kind)


cdef inline bint same(bytearray data, Py_ssize_t start, Py_ssize_t end, bytes name) except -1:
    if not 0 <= start <= end <= PyByteArray_GET_SIZE(data):
        raise IndexError("outside of the buffer")
    if PyBytes_GET_SIZE(name) != end - start:
        return False
    return swarmlog_same(
        <const unsigned char *>PyByteArray_AS_STRING(data) + start, end - start,
        <const unsigned char *>PyBytes_AS_STRING(name),
    )


cdef inline bytes cut(bytearray data, Py_ssize_t start, Py_ssize_t end):
    if not 0 <= start <= end <= PyByteArray_GET_SIZE(data):
        raise IndexError("outside of the buffer")
    return PyBytes_FromStringAndSize(PyByteArray_AS_STRING(data) + start, end - start)
