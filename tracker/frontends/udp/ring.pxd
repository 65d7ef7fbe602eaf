# The ring between a receiver's thread and the loop, and what the thread does.
#
# The slots of a batch (recvmmsg.py) form the ring. Each goes through three hands, in order: the
# thread receives into it, the loop decides its reply, the thread sends that. Two counts of datagrams
# since the start say how far each side is: `received` is the thread's, `decided` the loop's. So
# there is one writer for each number, no lock, and nothing is copied from slot to slot.
#
# A side that finds nothing to do says so (`waits`, `sleeping`) before it looks once more and then
# waits for its eventfd. The other side writes to that only if it finds the word, and takes it back.

from cpython.array cimport array
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.exc cimport PyErr_SetFromErrno
from libc.errno cimport EAGAIN, ECONNREFUSED, EINTR, ENOBUFS, ENOMEM, errno
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from tracker.frontends.udp cimport mmsg
from tracker.frontends.udp.recvmmsg cimport Batch
from tracker.service.deadline cimport Deadline
from tracker.wire cimport id_mac, udp
from tracker.wire.connection_id cimport ConnectionIds, holds

cdef extern from *:
    """
    #include <poll.h>
    #include <pthread.h>
    #include <time.h>
    #include <unistd.h>
    #define TOLD(number) __atomic_load_n((number), __ATOMIC_SEQ_CST)
    #define TELL(number, value) __atomic_store_n((number), (value), __ATOMIC_SEQ_CST)
    #define TAKE(number) __atomic_exchange_n((number), 0, __ATOMIC_SEQ_CST)
    #ifdef __linux__
    #define NAME_THREAD(name) pthread_setname_np(pthread_self(), (name))
    #else
    #define NAME_THREAD(name) ((void)(name))
    #define CLOCK_BOOTTIME CLOCK_MONOTONIC
    #define CLOCK_MONOTONIC_COARSE CLOCK_MONOTONIC
    #endif
    static inline int64_t clock_ns(clockid_t clock) {
        struct timespec now;
        clock_gettime(clock, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    }
    static inline int wait_for(int event, int sock, int also_sock, int milliseconds) {
        struct pollfd waits[2] = {{event, POLLIN, 0}, {sock, POLLIN, 0}};
        return poll(waits, also_sock ? 2 : 1, milliseconds) < 0 ? -1 : waits[0].revents != 0;
    }
    static inline void wake(int event) {
        uint64_t one = 1;
        if (write(event, &one, 8) < 0) {} /* it is full of wake-ups */
    }
    static inline void woken(int event) {
        uint64_t count;
        if (read(event, &count, 8) < 0) {} /* there was none */
    }
    """
    uint64_t TOLD(uint64_t *number) nogil
    int64_t TOLD_SIGNED "TOLD"(int64_t *number) nogil
    void TELL(uint64_t *number, uint64_t value) nogil
    void TELL_SIGNED "TELL"(int64_t *number, int64_t value) nogil
    uint64_t TAKE(uint64_t *number) nogil
    void NAME_THREAD(char *name) nogil
    int CLOCK_BOOTTIME, CLOCK_MONOTONIC_COARSE
    int64_t clock_ns(int clock) nogil
    int wait_for(int event, int sock, int also_sock, int milliseconds) nogil
    void wake(int event) nogil
    void woken(int event) nogil

cdef enum:
    BATCH = 256  # datagrams that are received at once
    SLOT = 2016
    FRESH_NS = 100_000_000  # nanoseconds for which the loop's word for the time holds
    REFUSED_MS = 100  # milliseconds of waiting after the system refused to receive
    PROVED = 1  # see ring.py
    SHORT = 2
    CONNECT4 = 3
    CONNECT6 = 4

cdef struct Ring:
    # Set before the thread begins.
    char *data
    char *names
    char *heads
    char *out
    char *vectors
    char *verdicts
    char *greetings  # replies to connects, 16 bytes for each slot
    char *state  # of the connection ids
    int accepted
    int64_t *deadline
    uint64_t *sleeping  # of the loop, for all rings of a listener
    int sock
    int wakes_loop  # eventfd
    int wakes_thread  # eventfd
    bint v6
    uint64_t slots
    char[128] _thread_line  # so that the two sides write to different lines of the cache
    # Set by the thread.
    uint64_t received
    uint64_t unsent
    uint64_t refused  # errno of the system's last refusal; the loop takes it
    char[128] _loop_line
    # Set by the loop.
    uint64_t decided
    uint64_t stopped
    int64_t time_slot  # of the connection ids
    int64_t fresh_until  # by CLOCK_MONOTONIC_COARSE
    char[128] _both_line
    uint64_t waits  # set by the thread, taken back by either


cdef inline Ring *of(bytearray memory) except NULL:
    """The ring in some memory, which must stay where it is."""
    if PyByteArray_GET_SIZE(memory) < <Py_ssize_t>sizeof(Ring):
        raise ValueError("no room for a ring")
    return <Ring *>PyByteArray_AS_STRING(memory)


cdef inline int prepare(
    Ring *ring, Batch batch, Py_ssize_t slots, bytearray greetings, ConnectionIds ids,
    Deadline deadline, array sleeping, int wakes_loop, int wakes_thread,
) except -1:
    """The caller keeps all of these until the thread has ended."""
    memset(ring, 0, sizeof(Ring))
    if PyByteArray_GET_SIZE(batch.verdicts) != slots or PyByteArray_GET_SIZE(greetings) < slots * 16:
        raise ValueError("a batch of another size")
    ring.data = PyByteArray_AS_STRING(batch.data)
    ring.names = PyByteArray_AS_STRING(batch.names)
    ring.heads = PyByteArray_AS_STRING(batch.heads)
    ring.out = PyByteArray_AS_STRING(batch._out)
    ring.vectors = PyByteArray_AS_STRING(batch.vectors)
    ring.verdicts = PyByteArray_AS_STRING(batch.verdicts)
    ring.greetings = PyByteArray_AS_STRING(greetings)
    ring.state = PyBytes_AS_STRING(ids.state)
    ring.accepted = ids.accepted
    ring.deadline = <int64_t *>&deadline.ns
    ring.sleeping = <uint64_t *>sleeping.data.as_ulonglongs
    ring.sock = batch._descriptor
    ring.wakes_loop = wakes_loop
    ring.wakes_thread = wakes_thread
    ring.v6 = batch.v6
    ring.slots = slots
    return 0


# What the loop does.

cdef inline Py_ssize_t waiting(Ring *ring, uint64_t taken) noexcept:
    """How many slots wait for the loop, after `taken` datagrams, as far as they lie side by side."""
    cdef uint64_t count = TOLD(&ring.received) - taken
    cdef uint64_t side_by_side = ring.slots - taken % ring.slots
    return <Py_ssize_t>(count if count < side_by_side else side_by_side)


cdef inline void tell_time(Ring *ring, int64_t slot) noexcept:
    TELL_SIGNED(&ring.time_slot, slot)
    TELL_SIGNED(&ring.fresh_until, clock_ns(CLOCK_MONOTONIC_COARSE) + FRESH_NS)


cdef inline void publish(Ring *ring, uint64_t decided) noexcept:
    """Gives the slots back to the thread, with their replies."""
    TELL(&ring.decided, decided)
    if TAKE(&ring.waits):
        wake(ring.wakes_thread)


cdef inline void stop(Ring *ring) noexcept:
    TELL(&ring.stopped, 1)
    wake(ring.wakes_thread)


cdef inline uint64_t unsent(Ring *ring) noexcept:
    """How many replies were not sent since the start."""
    return TOLD(&ring.unsent)


cdef inline int refused(Ring *ring) noexcept:
    return <int>TAKE(&ring.refused)


cdef inline void set_sleeping(array sleeping, bint sleeps) noexcept:
    TELL(<uint64_t *>sleeping.data.as_ulonglongs, sleeps)


cdef inline void clear(int event) noexcept:
    woken(event)


# What the thread does.

cdef inline int run(Ring *ring) except -1:
    with nogil:
        NAME_THREAD(b"udp-receiver")
        _run(ring)
    return 0


cdef inline void _run(Ring *ring) noexcept nogil:
    cdef uint64_t received = 0, sent = 0, decided, stopped, room
    cdef int found
    while True:
        stopped = TOLD(&ring.stopped)  # first, so that all that was decided before is sent
        decided = TOLD(&ring.decided)
        if decided != sent:
            _send(ring, sent, decided)
            sent = decided
        if stopped:
            return
        # A full ring leaves the rest in the socket's buffer, where the kernel counts what it drops.
        room = ring.slots - (received - sent)
        if room > ring.slots - received % ring.slots:
            room = ring.slots - received % ring.slots
        if room > BATCH:
            room = BATCH
        found = 0
        if room:
            found = mmsg.RECEIVE_MANY(
                ring.sock, ring.heads + received % ring.slots * 64, <unsigned int>room
            )
        if found > 0:
            _judge(ring, received % ring.slots, found)
            received += found
            TELL(&ring.received, received)
            if TAKE(ring.sleeping):
                wake(ring.wakes_loop)
            continue
        if found < 0 and errno not in (EAGAIN, EINTR, ECONNREFUSED, ENOBUFS, ENOMEM):
            TELL(&ring.refused, errno)
            wake(ring.wakes_loop)
            wait_for(ring.wakes_thread, ring.sock, False, REFUSED_MS)
            continue
        TELL(&ring.waits, 1)
        if TOLD(&ring.decided) == sent and not TOLD(&ring.stopped):
            found = wait_for(ring.wakes_thread, ring.sock, room != 0, -1)
            if found > 0:
                woken(ring.wakes_thread)
        TELL(&ring.waits, 0)


cdef inline void _judge(Ring *ring, uint64_t first, int count) noexcept nogil:
    """Says of each new datagram what needs no order, and answers connects."""
    cdef uint64_t slot, number
    cdef uint64_t[2] vector
    cdef uint32_t[4] words
    cdef uint32_t size
    cdef int64_t time_slot = TOLD_SIGNED(&ring.time_slot)
    # Where the loop was idle, it has to say the time first; it then judges itself.
    cdef bint fresh = clock_ns(CLOCK_MONOTONIC_COARSE) < TOLD_SIGNED(&ring.fresh_until)
    cdef char *datagram
    cdef char *address
    cdef char *reply
    cdef bint v6
    for slot in range(first, first + count):
        ring.verdicts[slot] = 0
        memcpy(&size, ring.heads + slot * 64 + 56, 4)
        if size < 16:
            ring.verdicts[slot] = SHORT
            memset(ring.vectors + slot * 16, 0, 16)
            continue
        if not fresh:
            continue
        datagram = ring.data + slot * SLOT
        memcpy(&number, datagram, 8)
        memcpy(words, datagram + 8, 8)
        number = udp.be64toh(number)
        v6 = ring.v6
        address = ring.names + slot * 32 + (8 if v6 else 4)
        if v6 and udp.is_mapped(address):
            v6 = False
            address += 12
        if words[0] == udp.htonl(1):
            if size >= 98 and holds(ring.state, time_slot, ring.accepted, number, address, v6):
                ring.verdicts[slot] = PROVED
        elif words[0] == 0 and number == 0x41727101980ULL:  # udp.MAGIC
            reply = ring.greetings + slot * 16
            memcpy(reply, words, 8)
            number = id_mac.htobe64(id_mac.connection_id(ring.state, time_slot, address, v6))
            memcpy(reply + 8, &number, 8)
            vector[0] = <uint64_t>reply
            vector[1] = 16
            memcpy(ring.vectors + slot * 16, vector, 16)
            ring.verdicts[slot] = CONNECT6 if v6 else CONNECT4


cdef inline uint64_t _size(Ring *ring, uint64_t slot) noexcept nogil:
    cdef uint64_t size
    memcpy(&size, ring.vectors + slot * 16 + 8, 8)
    return size


cdef inline void _send(Ring *ring, uint64_t first, uint64_t last) noexcept nogil:
    """Sends what was decided. What the kernel does not take is dropped, as in `Batch.send`."""
    cdef uint64_t slot, end
    cdef int64_t deadline
    cdef int found
    while first < last:
        slot = first % ring.slots
        if not _size(ring, slot):
            first += 1
            continue
        end = slot + 1
        while end < ring.slots and end - slot < last - first and _size(ring, end):
            end += 1
        deadline = TOLD_SIGNED(ring.deadline)
        if deadline and clock_ns(CLOCK_BOOTTIME) >= deadline:
            TELL(&ring.unsent, ring.unsent + end - slot)
            first += end - slot
            continue
        found = mmsg.SEND_MANY(ring.sock, ring.out + slot * 64, <unsigned int>(end - slot))
        if found <= 0:
            TELL(&ring.unsent, ring.unsent + 1)
            found = 1
        first += found
