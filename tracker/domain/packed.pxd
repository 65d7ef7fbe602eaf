# What packed.py says with Struct, for compiled callers. Little-endian machines of 64 bits only: scripts/compiling.py sees to that.

from cpython.array cimport array, resize_smart
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memmove, memset


cdef extern from *:
    """
    static inline int product_reaches(uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
        return (unsigned __int128)a * b >= (unsigned __int128)c * d;
    }
    """
    bint product_reaches(uint64_t a, uint64_t b, uint64_t c, uint64_t d) noexcept


cdef inline bint reaches(uint64_t amount, uint64_t times, uint64_t other, uint64_t other_times) noexcept:
    return product_reaches(amount, times, other, other_times)


cdef enum:
    COMPILED = 1
    PEER_ROW = 72  # bytes
    TORRENT_WORDS = 8  # of 32 bits


cdef inline uint32_t u32(array column, Py_ssize_t at) except? 0xFFFFFFFE:
    if at < 0 or at >= column.ob_size:
        raise IndexError("no such place in a column")
    return column.data.as_uints[at]


cdef inline uint64_t u64(array column, Py_ssize_t at) except? 0xFFFFFFFFFFFFFFFE:
    if at < 0 or at >= column.ob_size:
        raise IndexError("no such place in a column")
    return column.data.as_ulonglongs[at]


cdef inline int put_u32(array column, Py_ssize_t at, uint32_t value) except -1:
    if at < 0 or at >= column.ob_size:
        raise IndexError("no such place in a column")
    column.data.as_uints[at] = value
    return 0


cdef inline int put_u64(array column, Py_ssize_t at, uint64_t value) except -1:
    if at < 0 or at >= column.ob_size:
        raise IndexError("no such place in a column")
    column.data.as_ulonglongs[at] = value
    return 0


cdef inline int count_one(array column, Py_ssize_t at) except -1:
    if at < 0 or at >= column.ob_size:
        raise IndexError("no such place in a column")
    column.data.as_ulonglongs[at] += 1
    return 0


cdef inline int plus(array column, Py_ssize_t at, uint64_t amount) except -1:
    if at < 0 or at >= column.ob_size:
        raise IndexError("no such place in a column")
    cdef uint64_t *to = <uint64_t *>column.data.as_ulonglongs + at
    to[0] = to[0] + amount if amount <= 0xFFFFFFFFFFFFFFFFU - to[0] else 0xFFFFFFFFFFFFFFFFU
    return 0


cdef inline (uint32_t, uint32_t, uint32_t, uint32_t) run(array runs, Py_ssize_t at):
    if at < 0:
        raise IndexError("no such torrent")
    if at + 4 > runs.ob_size:
        return 0, 0, 0, 0
    cdef uint32_t *row = runs.data.as_uints + at
    return row[0], row[1], row[2], row[3]


cdef inline uint32_t place(array places, Py_ssize_t peer) except? 0xFFFFFFFE:
    if peer < 0:
        raise IndexError("no such peer")
    return places.data.as_uints[peer] if peer < places.ob_size else 0xFFFFFFFFU


cdef inline (uint32_t, uint32_t) counts(array torrents, Py_ssize_t at):
    if at < 0 or at + 8 > torrents.ob_size * 4:
        raise IndexError("no such torrent")
    cdef uint32_t *row = <uint32_t *>(torrents.data.as_chars + at)
    return row[0], row[1]


cdef inline Py_ssize_t _find6(char *pool, char *sought, Py_ssize_t start, Py_ssize_t end) noexcept:
    cdef uint32_t address, other
    cdef uint16_t port, other_port
    memcpy(&address, sought, 4)
    memcpy(&port, sought + 4, 2)
    while start + 6 <= end:
        memcpy(&other, pool + start, 4)
        memcpy(&other_port, pool + start + 4, 2)
        if other == address and other_port == port:
            return start
        start += 6
    return -1


cdef inline Py_ssize_t _find8(char *pool, char *sought, Py_ssize_t start, Py_ssize_t end) noexcept:
    cdef uint64_t name, other
    memcpy(&name, sought, 8)
    while start + 8 <= end:
        memcpy(&other, pool + start, 8)
        if other == name:
            return start
        start += 8
    return -1


cdef inline Py_ssize_t find(
    bytearray addresses, char *endpoint, Py_ssize_t start, Py_ssize_t end, Py_ssize_t width
) except -2:
    if start < 0 or end > PyByteArray_GET_SIZE(addresses):
        raise IndexError("no such run")
    cdef char *pool = PyByteArray_AS_STRING(addresses)
    # Without a call for each.
    if width == 6:
        return _find6(pool, endpoint, start, end)
    if width == 8:
        return _find8(pool, endpoint, start, end)
    while start + width <= end:
        if not memcmp(pool + start, endpoint, width):
            return start
        start += width
    return -1


cdef inline Py_ssize_t beginning(
    bytearray addresses, uint32_t number, Py_ssize_t start, Py_ssize_t end, Py_ssize_t width
) except -2:
    if start < 0 or end > PyByteArray_GET_SIZE(addresses):
        raise IndexError("no such run")
    cdef char *pool = PyByteArray_AS_STRING(addresses)
    cdef uint32_t first
    while start + width <= end:
        memcpy(&first, pool + start, 4)
        if first == number:
            return start
        start += width
    return -1


cdef inline char *_inside(bytearray rows, Py_ssize_t at, Py_ssize_t size) except NULL:
    if at < 0 or at + size > PyByteArray_GET_SIZE(rows):
        raise IndexError("no such row")
    return PyByteArray_AS_STRING(rows) + at


cdef inline Py_ssize_t put_around(
    bytearray out, Py_ssize_t to, bytearray addresses, Py_ssize_t start, Py_ssize_t own,
    Py_ssize_t width, Py_ssize_t end,
) except -1:
    if not 0 <= start <= own <= own + width <= end <= PyByteArray_GET_SIZE(addresses):
        raise IndexError("no such run")
    cdef Py_ssize_t size = end - start - width, before = own - start
    cdef char *target = _inside(out, to, size)
    cdef char *pool = PyByteArray_AS_STRING(addresses)
    memcpy(target, pool + start, before)
    memcpy(target + before, pool + own + width, size - before)
    return size


cdef inline int _sized(bytes value, Py_ssize_t size) except -1:
    if value is None or PyBytes_GET_SIZE(value) != size:
        raise ValueError("a field of another length")
    return 0


cdef inline (char *, uint64_t, uint64_t, uint64_t) numbers(bytearray rows, Py_ssize_t at):
    """The peer_id stays where it is: compare it before anything is added to the rows."""
    cdef char *row = _inside(rows, at, PEER_ROW)
    cdef uint64_t[5] totals
    memcpy(totals, row + 32, 40)
    return row, totals[0], totals[1], totals[4]


cdef inline bint same_id(char *there, char *peer_id) noexcept:
    return not memcmp(there, peer_id, 20)


cdef inline bint is_of_key(bytearray rows, Py_ssize_t peer, char *peer_id, uint32_t key_ref) except -1:
    cdef char *row = _inside(rows, peer * PEER_ROW, PEER_ROW)
    cdef uint32_t named
    memcpy(&named, row + 28, 4)
    return named == key_ref and not memcmp(row, peer_id, 20)


cdef inline int put_totals(
    bytearray rows, Py_ssize_t at, uint64_t uploaded, uint64_t downloaded, uint64_t left,
    uint64_t time_us, uint64_t seq,
) except -1:
    cdef uint64_t[5] row = [uploaded, downloaded, left, time_us, seq]
    memcpy(_inside(rows, at, 40), row, 40)
    return 0


cdef inline int put_peer_id(bytearray rows, Py_ssize_t at, char *peer_id) except -1:
    memcpy(_inside(rows, at, 20), peer_id, 20)
    return 0


cdef inline int put_identity(
    bytearray rows, Py_ssize_t at, char *peer_id, uint32_t torrent
) except -1:
    cdef char *row = _inside(rows, at, 28)
    memcpy(row, peer_id, 20)
    memset(row + 20, 0, 4)
    memcpy(row + 24, &torrent, 4)
    return 0


cdef inline (int, uint64_t, uint64_t, uint64_t, uint64_t) session(bytearray rows, Py_ssize_t at):
    cdef char *row = _inside(rows, at, 72)
    cdef uint64_t[5] totals
    memcpy(totals, row + 32, 40)
    return <uint8_t>row[20], totals[0], totals[1], totals[3], totals[4]


cdef inline uint64_t seen_us(bytearray rows, Py_ssize_t at) except? 0xFFFFFFFFFFFFFFFE:
    cdef uint64_t seen
    memcpy(&seen, _inside(rows, at, 72) + 56, 8)
    return seen


cdef inline uint32_t word(bytearray rows, Py_ssize_t at) except? 0xFFFFFFFE:
    cdef uint32_t value
    memcpy(&value, _inside(rows, at, 4), 4)
    return value


cdef inline int put_word(bytearray rows, Py_ssize_t at, uint32_t value) except -1:
    memcpy(_inside(rows, at, 4), &value, 4)
    return 0


cdef inline uint64_t wide(bytearray rows, Py_ssize_t at) except? 0xFFFFFFFFFFFFFFFE:
    cdef uint64_t value
    memcpy(&value, _inside(rows, at, 8), 8)
    return value


cdef inline char *view(bytearray rows, Py_ssize_t at, Py_ssize_t size) except NULL:
    """It holds until something is added to the rows."""
    return _inside(rows, at, size)


cdef inline bytes piece(bytearray rows, Py_ssize_t at, Py_ssize_t size):
    return PyBytes_FromStringAndSize(_inside(rows, at, size), size)


cdef inline (uint32_t, uint64_t) standing(bytearray rows, Py_ssize_t at):
    cdef char *row = _inside(rows, at, 72)
    cdef uint32_t torrent
    cdef uint64_t last_seq
    memcpy(&torrent, row + 24, 4)
    memcpy(&last_seq, row + 64, 8)
    return torrent, last_seq


cdef inline (int, int, uint64_t) seen(bytearray rows, Py_ssize_t at):
    cdef char *row = _inside(rows, at, 72)
    cdef uint64_t seen_us
    memcpy(&seen_us, row + 56, 8)
    return <uint8_t>row[21], <uint8_t>row[22], seen_us


cdef inline int append(array column, uint32_t value) except -1:
    resize_smart(column, column.ob_size + 1)
    column.data.as_uints[column.ob_size - 1] = value
    return 0


cdef inline uint32_t pop(array column) except? 0xFFFFFFFE:
    if not column.ob_size:
        raise IndexError("an empty column")
    cdef uint32_t value = column.data.as_uints[column.ob_size - 1]
    resize_smart(column, column.ob_size - 1)
    return value


cdef inline int add_words(array column, Py_ssize_t count, int filling) except -1:
    cdef Py_ssize_t size = column.ob_size
    resize_smart(column, size + count)
    memset(column.data.as_uints + size, filling, count * 4)
    return 0


cdef inline int add_wide(array column) except -1:
    resize_smart(column, column.ob_size + 1)
    column.data.as_ulonglongs[column.ob_size - 1] = 0
    return 0


cdef inline int add_bytes(bytearray pool, Py_ssize_t count) except -1:
    cdef Py_ssize_t size = PyByteArray_GET_SIZE(pool)
    PyByteArray_Resize(pool, size + count)
    memset(PyByteArray_AS_STRING(pool) + size, 0, count)
    return 0


cdef inline bytes gather(
    bytearray pool, array entries, Py_ssize_t stride, Py_ssize_t first, Py_ssize_t size
):
    cdef Py_ssize_t number, count = entries.ob_size
    cdef bytes found = PyBytes_FromStringAndSize(NULL, count * size)
    cdef char *to = PyBytes_AS_STRING(found)
    for number in range(count):
        memcpy(to, _inside(pool, entries.data.as_uints[number] * stride + first, size), size)
        to += size
    return found


cdef inline int scatter(
    bytearray pool, array entries, Py_ssize_t stride, Py_ssize_t first, Py_ssize_t size,
    bytes pieces,
) except -1:
    cdef Py_ssize_t number, count = entries.ob_size
    _sized(pieces, count * size)
    cdef char *piece = PyBytes_AS_STRING(pieces)
    for number in range(count):
        memcpy(_inside(pool, entries.data.as_uints[number] * stride + first, size), piece, size)
        piece += size
    return 0


cdef extern from *:
    """
    #if defined(__GNUC__)
    #define FETCH(at) __builtin_prefetch(at, 1)
    #else
    #define FETCH(at) ((void)(at))
    #endif
    """
    void FETCH(char *at) nogil


cdef inline void _fetch(char *first, char *end) noexcept:
    while first < end:
        FETCH(first)
        first += 64  # a line of memory
    FETCH(end - 1)


cdef inline int fetch(bytearray pool, Py_ssize_t at, Py_ssize_t size) except -1:
    _fetch(_inside(pool, at, size), _inside(pool, at, size) + size)
    return 0


cdef inline int fetch_words(array column, Py_ssize_t at, Py_ssize_t count) except -1:
    if at < 0 or at + count > column.ob_size:
        return 0
    cdef char *first = <char *>column.data.as_chars + at * column.ob_descr.itemsize
    _fetch(first, first + count * column.ob_descr.itemsize)
    return 0


cdef inline int fetch_ahead(bytes plain, array ring, bytearray rows, array v4, array v6) except -1:
    """Rows of 72 bytes."""
    cdef char *record = PyBytes_AS_STRING(plain)
    cdef char *end = record + PyBytes_GET_SIZE(plain) - 80
    cdef char *first = PyByteArray_AS_STRING(rows)
    cdef uint64_t mask = ring.ob_size - 1, known = PyByteArray_GET_SIZE(rows) // PEER_ROW
    cdef uint64_t prev_seq, peer
    while record <= end:
        memcpy(&prev_seq, record + 64, 8)
        peer = ring.data.as_uints[prev_seq & mask]
        if peer < known:
            FETCH(first + peer * 72)
            FETCH(first + peer * 72 + 71)
        if peer < <uint64_t>v4.ob_size:
            FETCH(<char *>(v4.data.as_uints + peer))
        if peer < <uint64_t>v6.ob_size:
            FETCH(<char *>(v6.data.as_uints + peer))
        record += 80
    return 0


cdef inline int has(bytearray addresses, bytes endpoint, Py_ssize_t at) except -1:
    cdef Py_ssize_t width = PyBytes_GET_SIZE(endpoint)
    return not memcmp(_inside(addresses, at, width), PyBytes_AS_STRING(endpoint), width)


cdef inline bint has_endpoint(
    bytearray addresses, char *endpoint, Py_ssize_t at, Py_ssize_t width
) except -1:
    return not memcmp(_inside(addresses, at, width), endpoint, width)


cdef inline int put_endpoint(
    bytearray addresses, char *endpoint, Py_ssize_t at, Py_ssize_t width
) except -1:
    memcpy(_inside(addresses, at, width), endpoint, width)
    return 0


cdef inline char *endpoint(bytearray scratch, char *address, char *port, bint v6) except NULL:
    """It lies in the scratch of 18 bytes."""
    cdef char *made = _inside(scratch, 0, 18)
    cdef Py_ssize_t size = 16 if v6 else 4
    memcpy(made, address, size)
    memcpy(made + size, port, 2)
    return made


cdef inline Py_ssize_t put_run(
    bytearray out, Py_ssize_t to, bytearray addresses, Py_ssize_t start, Py_ssize_t size
) except -1:
    memcpy(_inside(out, to, size), _inside(addresses, start, size), size)
    return size


cdef inline int put(bytearray addresses, bytes endpoint, Py_ssize_t at) except -1:
    cdef Py_ssize_t width = PyBytes_GET_SIZE(endpoint)
    memcpy(_inside(addresses, at, width), PyBytes_AS_STRING(endpoint), width)
    return 0


cdef inline int copy(
    bytearray addresses, Py_ssize_t source, Py_ssize_t target, Py_ssize_t size
) except -1:
    if size:
        memmove(_inside(addresses, target, size), _inside(addresses, source, size), size)
    return 0


cdef inline int swap(bytearray addresses, Py_ssize_t one, Py_ssize_t other, Py_ssize_t size) except -1:
    cdef char[24] kept
    cdef char *first = _inside(addresses, one, size)
    cdef char *second = _inside(addresses, other, size)
    if size > 24:
        raise ValueError("no endpoint is so long")
    memcpy(kept, first, size)
    memcpy(first, second, size)
    memcpy(second, kept, size)
    return 0


cdef inline bytes identity(uint32_t account, bytes peer_id):
    _sized(peer_id, 20)
    cdef bytes made = PyBytes_FromStringAndSize(NULL, 24)
    memcpy(PyBytes_AS_STRING(made), &account, 4)
    memcpy(PyBytes_AS_STRING(made) + 4, PyBytes_AS_STRING(peer_id), 20)
    return made


cdef inline int _put_big(char *to, uint32_t number) noexcept:
    to[0], to[1], to[2], to[3] = <char>(number >> 24), <char>(number >> 16), <char>(number >> 8), <char>number
    return 0


cdef inline bytes account_day(uint32_t account, uint32_t day):
    cdef bytes made = PyBytes_FromStringAndSize(NULL, 25)
    cdef char *to = PyBytes_AS_STRING(made)
    memset(to, 0, 25)
    _put_big(to + 1, account)
    _put_big(to + 21, day)
    return made


cdef inline bytes torrent_day(char kind, bytes info_hash, uint32_t day):
    _sized(info_hash, 20)
    cdef bytes made = PyBytes_FromStringAndSize(NULL, 25)
    cdef char *to = PyBytes_AS_STRING(made)
    to[0] = kind
    memcpy(to + 1, PyBytes_AS_STRING(info_hash), 20)
    _put_big(to + 21, day)
    return made


cdef inline char *hashed_identity(
    bytearray scratch, array secret, uint32_t account, char *peer_id
) except NULL:
    """It lies in the scratch of 8 bytes."""
    cdef char *made = _inside(scratch, 0, 8)
    cdef uint32_t name = hashed(secret, peer_id, 20, account)
    memcpy(made, &account, 4)
    memcpy(made + 4, &name, 4)
    return made


cdef inline (int, uint64_t, uint64_t, uint64_t, uint32_t) base_session(bytearray rows, Py_ssize_t at):
    cdef char *row = _inside(rows, at, 104)
    cdef uint64_t[3] session
    cdef uint32_t percents, mark
    memcpy(session, row + 48, 24)
    memcpy(&percents, row + 80, 4)
    memcpy(&mark, row + 92, 4)
    return <int>mark, session[0], session[1], session[2], percents


cdef inline char *scope_name(
    bytearray scratch, uint32_t account, uint32_t torrent, char *info_hash
) except NULL:
    """It lies in the scratch of 28 bytes."""
    cdef char *made = _inside(scratch, 0, 28)
    memcpy(made, &account, 4)
    memcpy(made + 4, info_hash, 20)
    memcpy(made + 24, &torrent, 4)
    return made


cdef inline char *base_name(
    bytearray scratch, char *info_hash, char *peer_id, uint32_t account
) except NULL:
    """It lies in the scratch of 44 bytes."""
    cdef char *made = _inside(scratch, 0, 44)
    memcpy(made, info_hash, 20)
    memcpy(made + 20, peer_id, 20)
    memcpy(made + 40, &account, 4)
    return made


cdef inline uint64_t prefix(char *peer_id) noexcept:
    cdef uint64_t first
    memcpy(&first, peer_id, 8)
    return first if first >> 56 == 0x2D else 0


cdef inline uint32_t hashed(array secret, char *name, Py_ssize_t width, uint64_t number) noexcept:
    """A multilinear hash (Lemire and Kaser 2014): whoever chooses two names, they have one hash with
    a probability near 2**-32, unless he knows the secret. Names that differ by equal steps have sums
    that do so too, and would crowd a table with linear probing under some secrets. So the sum is
    mixed at the end."""
    cdef uint64_t *factors = <uint64_t *>secret.data.as_ulonglongs
    cdef uint64_t total = factors[0] + factors[1] * <uint32_t>number, last = factors[8] | 1
    cdef uint32_t word
    cdef uint16_t rest
    factors += 2
    while width >= 4:
        memcpy(&word, name, 4)
        total += factors[0] * word
        factors += 1
        name += 4
        width -= 4
    if width:  # a port
        memcpy(&rest, name, 2)
        total += factors[0] * rest
    return <uint32_t>(((total ^ total >> 32) * last) >> 32)


cdef inline uint32_t number_hash(array secret, uint64_t number) noexcept:
    """The same over two words."""
    cdef uint64_t *factors = <uint64_t *>secret.data.as_ulonglongs
    cdef uint64_t total = factors[0] + factors[1] * <uint32_t>number + factors[2] * (number >> 32)
    return <uint32_t>(((total ^ total >> 32) * (factors[8] | 1)) >> 32)


cdef inline uint32_t text_hash(array secret, char *text, Py_ssize_t size) except? 0xFFFFFFFE:
    """The same over a text of 4 bytes or more. Its last word may have bytes of the one before."""
    cdef uint64_t *factors = <uint64_t *>secret.data.as_ulonglongs
    cdef uint64_t total
    cdef Py_ssize_t at
    cdef uint32_t word
    if size < 4 or size // 4 + 3 > secret.ob_size:
        raise ValueError("no text that this secret is for")
    memcpy(&word, text + size - 4, 4)
    total = factors[0] + factors[1] * <uint32_t>size + factors[2] * word
    for at in range(size // 4):
        memcpy(&word, text + at * 4, 4)
        total += factors[at + 3] * word
    return <uint32_t>(total >> 32)


cdef inline bint is_text(bytes known, char *text, Py_ssize_t size) except -1:
    return PyBytes_GET_SIZE(known) == size and not memcmp(PyBytes_AS_STRING(known), text, size)


cdef inline Py_ssize_t slot(array secret, uint64_t prefix, uint64_t which) noexcept:
    cdef uint64_t *factors = <uint64_t *>secret.data.as_ulonglongs
    cdef uint64_t total = factors[0] * <uint32_t>prefix + factors[1] * (prefix >> 32)
    total += factors[2] * which
    return <Py_ssize_t>(((total ^ total >> 32) * (factors[3] | 1)) >> 51)  # as in `hashed`


cdef inline int port(char *port) noexcept:
    return <uint8_t>port[0] << 8 | <uint8_t>port[1]


cdef inline bint begins(char *peer_id, bytes text) except -1:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(text)
    return size <= 20 and not memcmp(peer_id, PyBytes_AS_STRING(text), size)


cdef inline int _fits(int value, int bits) except -1:
    if value < 0 or value >> bits:
        raise OverflowError("a number without room in its field")
    return 0


cdef extern from "Python.h":
    ctypedef struct PyByteArrayObject:
        Py_ssize_t ob_alloc
        Py_ssize_t ob_exports
        char *ob_bytes
        char *ob_start
    void Py_SET_SIZE(bytearray, Py_ssize_t)


cdef inline char *_added(bytearray records, Py_ssize_t count) except NULL:
    """Adds bytes to a section of a frame, which doubles: a bytearray by itself grows by an eighth.

    Mostly there is room, and then no call into the interpreter is needed."""
    cdef PyByteArrayObject *inside = <PyByteArrayObject *>records
    cdef Py_ssize_t size = PyByteArray_GET_SIZE(records), end = size + count
    if inside.ob_exports or inside.ob_start != inside.ob_bytes or end >= inside.ob_alloc:
        PyByteArray_Resize(records, 2 * end)
        PyByteArray_Resize(records, end)
    else:
        Py_SET_SIZE(records, end)
        inside.ob_start[end] = 0
    return PyByteArray_AS_STRING(records) + size


cdef inline int add_plain(
    bytearray records, uint64_t time_us, char *info_hash, char *peer_id, uint64_t uploaded,
    uint64_t downloaded, uint64_t left, uint32_t key_ref, uint64_t prev_seq, int asked, int flags,
    int listener, int what, int rule, int named,
) except -1:
    _fits(asked | named, 16)
    _fits(flags | listener | what | rule, 8)
    cdef uint16_t numwant = <uint16_t>asked, client = <uint16_t>named
    cdef char *to = _added(records, 80)
    memcpy(to, &time_us, 8)
    memcpy(to + 8, info_hash, 20)
    memcpy(to + 28, peer_id, 8)
    memcpy(to + 36, &uploaded, 8)
    memcpy(to + 44, &downloaded, 8)
    memcpy(to + 52, &left, 8)
    memcpy(to + 60, &key_ref, 4)
    memcpy(to + 64, &prev_seq, 8)
    memcpy(to + 72, &numwant, 2)
    to[74] = <char>flags
    to[75] = <char>listener
    to[76] = <char>what
    to[77] = <char>rule
    memcpy(to + 78, &client, 2)
    return 0


cdef inline int add_protected(
    bytearray records, char *address, char *peer_id, char *port, int key_hash, bint v6
) except -1:
    _fits(key_hash, 16)
    cdef char *to = _added(records, 32)
    if v6:
        memcpy(to, address, 16)
    else:
        memset(to, 0, 10)
        memset(to + 10, 0xFF, 2)
        memcpy(to + 12, address, 4)
    memcpy(to + 16, peer_id + 8, 12)
    memcpy(to + 28, port, 2)
    memcpy(to + 30, &key_hash, 2)
    return 0


cdef inline char *_record(bytes records, Py_ssize_t at, Py_ssize_t size) except NULL:
    if at < 0 or at + size > PyBytes_GET_SIZE(records):
        raise IndexError("no such record")
    return PyBytes_AS_STRING(records) + at


cdef inline (
    uint64_t, uint64_t, uint64_t, uint64_t, uint32_t, uint64_t, int, int
) announced(bytes plain, Py_ssize_t at):
    cdef char *record = _record(plain, at, 80)
    cdef uint64_t time_us, uploaded, downloaded, left, prev_seq
    cdef uint32_t key_ref
    memcpy(&time_us, record, 8)
    memcpy(&uploaded, record + 36, 8)
    memcpy(&downloaded, record + 44, 8)
    memcpy(&left, record + 52, 8)
    memcpy(&key_ref, record + 60, 4)
    memcpy(&prev_seq, record + 64, 8)
    return (
        time_us, uploaded, downloaded, left, key_ref, prev_seq, <uint8_t>record[76],
        <uint8_t>record[77],
    )


cdef inline int client(bytes plain, Py_ssize_t number) except -1:
    cdef uint16_t named
    memcpy(&named, _record(plain, number * 80, 80) + 78, 2)
    return named


cdef inline (int, int) asked(bytes plain, Py_ssize_t number):
    cdef char *record = _record(plain, number * 80, 80)
    cdef uint16_t numwant
    memcpy(&numwant, record + 72, 2)
    return numwant, <uint8_t>record[74]


cdef inline int concerns(bytes plain, Py_ssize_t number, bytearray hashes, Py_ssize_t torrent) except -1:
    cdef char *record = _record(plain, number * 80, 80)
    return not memcmp(record + 8, _inside(hashes, torrent * 20, 20), 20)


cdef inline (char *, char *, char *) announcer_in(
    bytearray scratch, bytes plain, bytes protected, Py_ssize_t number
):
    """The names lie in the record and in the scratch of 38 bytes."""
    cdef char *record = _record(plain, number * 80, 80)
    cdef char *where = _record(protected, number * 32, 32)
    cdef char *made = _inside(scratch, 0, 38)
    cdef Py_ssize_t size = 16 if record[76] & 0x10 else 4
    memcpy(made, record + 28, 8)
    memcpy(made + 8, where + 16, 12)
    memcpy(made + 20, where + 16 - size, size)
    memcpy(made + 20 + size, where + 28, 2)
    return record + 8, made, made + 20


cdef inline tuple announcer(bytes plain, bytes protected, Py_ssize_t number):
    cdef char *record = _record(plain, number * 80, 80)
    cdef char *where = _record(protected, number * 32, 32)
    cdef bytes peer_id = PyBytes_FromStringAndSize(NULL, 20)
    memcpy(PyBytes_AS_STRING(peer_id), record + 28, 8)
    memcpy(PyBytes_AS_STRING(peer_id) + 8, where + 16, 12)
    cdef Py_ssize_t size = 16 if record[76] & 0x10 else 4
    cdef bytes endpoint = PyBytes_FromStringAndSize(NULL, size + 2)
    memcpy(PyBytes_AS_STRING(endpoint), where + 16 - size, size)
    memcpy(PyBytes_AS_STRING(endpoint) + size, where + 28, 2)
    return PyBytes_FromStringAndSize(record + 8, 20), peer_id, endpoint
