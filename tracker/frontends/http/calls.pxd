# The functions of calls.py for compiled callers.

from cpython.array cimport array
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.exc cimport PyErr_SetFromErrno

cdef extern from *:
    """
    #include <errno.h>
    #include <string.h>
    #include <time.h>
    #include <unistd.h>
    #include <sys/socket.h>
    #include <netinet/in.h>
    #ifndef MSG_MORE
    #define MSG_MORE 0
    #endif
    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0
    #endif

    static inline int swarmlog_again(void) { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

    /* Stores the address and its size, 4 or 16 bytes; -1 = none now, -2 = refused by the system. */
    static inline int swarmlog_accept(int listener, unsigned char *address, int *size) {
    #ifdef SOCK_NONBLOCK
        struct sockaddr_in6 name;
        socklen_t length = sizeof name;
        int one = accept4(listener, (struct sockaddr *)&name, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (one < 0) return swarmlog_again() || errno == ECONNABORTED ? -1 : -2;
        if (name.sin6_family == AF_INET) {
            *size = 4;
            memcpy(address, &((struct sockaddr_in *)&name)->sin_addr, 4);
        } else if (name.sin6_family == AF_UNIX) {
            *size = 4;
            address[0] = 127, address[1] = address[2] = 0, address[3] = 1; /* LOOPBACK */
        } else if (IN6_IS_ADDR_V4MAPPED(&name.sin6_addr)) {
            *size = 4;
            memcpy(address, (const char *)&name.sin6_addr + 12, 4);
        } else {
            *size = 16;
            memcpy(address, &name.sin6_addr, 16);
        }
        return one;
    #else
        errno = ENOSYS;
        return -2;
    #endif
    }

    static inline Py_ssize_t swarmlog_receive(int one, char *data, Py_ssize_t most) {
        Py_ssize_t size = recv(one, data, most, 0);
        return size > 0 ? size : size < 0 && swarmlog_again() ? -1 : -2;
    }

    static inline Py_ssize_t swarmlog_send(int one, const char *data, Py_ssize_t size, int last) {
        Py_ssize_t sent = send(one, data, size, MSG_NOSIGNAL | (last ? MSG_MORE : 0));
        return sent >= 0 ? sent : swarmlog_again() ? -1 : -2;
    }

    #ifdef __linux__
    #include <sys/epoll.h>

    static inline int swarmlog_open_set(void) { return epoll_create1(EPOLL_CLOEXEC); }

    static inline int swarmlog_set(int epoll, int operation, int one, unsigned what) {
        struct epoll_event event = {.events = what, .data.fd = one};
        return epoll_ctl(epoll, operation, one, &event);
    }

    static inline int swarmlog_ready(int epoll, unsigned *found, int most) {
        struct epoll_event events[64];
        int count = epoll_wait(epoll, events, most < 64 ? most : 64, 0);
        for (int at = 0; at < count; at++) found[at] = (unsigned)events[at].data.fd;
        return count;
    }
    #else /* where it compiles, and the engine cannot be imported */
    enum { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLIN };
    static inline int swarmlog_open_set(void) { return errno = ENOSYS, -1; }
    static inline int swarmlog_set(int epoll, int operation, int one, unsigned what) { return errno = ENOSYS, -1; }
    static inline int swarmlog_ready(int epoll, unsigned *found, int most) { return errno = ENOSYS, -1; }
    #endif

    static inline long long swarmlog_now_ns(void) {
        struct timespec now;
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1000000000LL + now.tv_nsec;
    }

    static inline void swarmlog_shut(int one) { (void)shutdown(one, SHUT_WR); }
    static inline void swarmlog_close(int one) { (void)close(one); }
    """
    bint swarmlog_again()
    int swarmlog_accept(int, unsigned char *, int *)
    Py_ssize_t swarmlog_receive(int, char *, Py_ssize_t)
    Py_ssize_t swarmlog_send(int, const char *, Py_ssize_t, bint)
    int EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLIN
    int swarmlog_open_set()
    int swarmlog_set(int, int, int, unsigned)
    int swarmlog_ready(int, unsigned *, int)
    long long swarmlog_now_ns()
    void swarmlog_shut(int)
    void swarmlog_close(int)


cdef inline long long now_ns() noexcept:
    return swarmlog_now_ns()


cdef inline int open_set() except -1:
    cdef int epoll = swarmlog_open_set()
    if epoll < 0:
        PyErr_SetFromErrno(OSError)
    return epoll


cdef inline int fileno(int epoll) noexcept:
    return epoll


cdef inline int close_set(int epoll) except -1:
    swarmlog_close(epoll)
    return 0


cdef inline int _set(int epoll, int operation, int one, unsigned what) except -1:
    if swarmlog_set(epoll, operation, one, what) < 0:
        PyErr_SetFromErrno(OSError)
    return 0


cdef inline int add(int epoll, int one) except -1:
    return _set(epoll, EPOLL_CTL_ADD, one, EPOLLIN)


cdef inline int watch(int epoll, int one, int what) except -1:
    return _set(epoll, EPOLL_CTL_MOD, one, what)


cdef inline int remove(int epoll, int one) except -1:
    return _set(epoll, EPOLL_CTL_DEL, one, 0)


cdef inline int ready(int epoll, array found) except -1:
    cdef int count = swarmlog_ready(epoll, found.data.as_uints, <int>found.ob_size)
    if count >= 0:
        return count
    if not swarmlog_again():  # a signal is none
        PyErr_SetFromErrno(OSError)
    return 0


cdef inline tuple accept(int listener):
    cdef unsigned char[16] address
    cdef int size = 0
    cdef int one = swarmlog_accept(listener, address, &size)
    if one >= 0:
        return one, PyBytes_FromStringAndSize(<const char *>address, size)
    if one == -2:
        PyErr_SetFromErrno(OSError)
    return -1, b""


cdef inline Py_ssize_t receive(int one, bytearray data, Py_ssize_t at, Py_ssize_t most) except -3:
    if not (0 <= at and 0 <= most and at + most <= PyByteArray_GET_SIZE(data)):
        raise IndexError("outside of the buffer")
    return swarmlog_receive(one, PyByteArray_AS_STRING(data) + at, most)


cdef inline Py_ssize_t send(int one, bytes data, bint last) except -3:
    return swarmlog_send(one, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), last)


cdef inline int shut(int one) except -1:
    swarmlog_shut(one)
    return 0


cdef inline int close(int one) except -1:
    swarmlog_close(one)
    return 0
