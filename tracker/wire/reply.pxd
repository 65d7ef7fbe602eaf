# The function of reply.py for compiled callers.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

cdef extern from *:
    """
    static inline char *swarmlog_put(char *at, const char *text, size_t size) {
        memcpy(at, text, size);
        return at + size;
    }

    static inline char *swarmlog_digits(char *at, unsigned long long number) {
        char digits[20];
        int count = 0;
        do digits[count++] = (char)('0' + number % 10); while (number /= 10);
        while (count) *at++ = digits[--count];
        return at;
    }

    #define SWARMLOG_TEXT(at, text) swarmlog_put(at, text, sizeof text - 1)

    /* Writes the body up to the peers; at most 200 bytes. */
    static inline char *swarmlog_counts(char *at, unsigned long long interval, unsigned long long least,
                                        unsigned long long complete, unsigned long long incomplete, size_t peers4) {
        at = swarmlog_digits(SWARMLOG_TEXT(at, "d8:completei"), complete);
        at = swarmlog_digits(SWARMLOG_TEXT(at, "e10:incompletei"), incomplete);
        at = swarmlog_digits(SWARMLOG_TEXT(at, "e8:intervali"), interval);
        at = swarmlog_digits(SWARMLOG_TEXT(at, "e12:min intervali"), least);
        at = swarmlog_digits(SWARMLOG_TEXT(at, "e5:peers"), peers4);
        return SWARMLOG_TEXT(at, ":");
    }

    /* Writes the name of the second list; at most 40 bytes. */
    static inline char *swarmlog_second(char *at, size_t peers6) {
        return SWARMLOG_TEXT(swarmlog_digits(SWARMLOG_TEXT(at, "6:peers6"), peers6), ":");
    }

    /* Writes the head; at most 160 bytes. */
    static inline char *swarmlog_head(char *at, size_t size, int keep) {
        at = SWARMLOG_TEXT(at, "HTTP/1.1 200 OK\\r\\nContent-Type: application/octet-stream\\r\\nContent-Length: ");
        at = swarmlog_digits(at, size);
        at = keep ? SWARMLOG_TEXT(at, "\\r\\n") : SWARMLOG_TEXT(at, "\\r\\nConnection: close\\r\\n");
        return SWARMLOG_TEXT(at, "\\r\\n");
    }
    """
    char *swarmlog_put(char *, const char *, size_t)
    char *swarmlog_counts(
        char *, unsigned long long, unsigned long long, unsigned long long, unsigned long long, size_t
    )
    char *swarmlog_second(char *, size_t)
    char *swarmlog_head(char *, size_t, bint)


cdef inline bytes announced(
    unsigned long long interval, unsigned long long min_interval, unsigned long long complete,
    unsigned long long incomplete, bytes peers4, bytes peers6, bint keep,
):
    cdef char[160] head
    cdef char[200] counts
    cdef char[40] second
    cdef size_t size4 = PyBytes_GET_SIZE(peers4), size6 = PyBytes_GET_SIZE(peers6)
    cdef size_t counts_size = swarmlog_counts(counts, interval, min_interval, complete, incomplete, size4) - counts
    cdef size_t second_size = swarmlog_second(second, size6) - second
    cdef size_t body = counts_size + size4 + second_size + size6 + 1
    cdef size_t head_size = swarmlog_head(head, body, keep) - head
    cdef bytes reply = PyBytes_FromStringAndSize(NULL, head_size + body)
    cdef char *at = swarmlog_put(PyBytes_AS_STRING(reply), head, head_size)
    at = swarmlog_put(at, counts, counts_size)
    at = swarmlog_put(at, PyBytes_AS_STRING(peers4), size4)
    at = swarmlog_put(at, second, second_size)
    at = swarmlog_put(at, PyBytes_AS_STRING(peers6), size6)
    swarmlog_put(at, b"e", 1)
    return reply
