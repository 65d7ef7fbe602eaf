# What book_bytes.py says with Struct, for compiled callers; see tracker/domain/packed.pxd.

from cpython.array cimport array
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport qsort
from libc.string cimport memcmp, memcpy


cdef enum:
    NAME_SIZE = 25  # bytes
    ROW_SIZE = 124
    PAIR_SIZE = 24
    DAY_SIZE = 78
    JUDGED_SIZE = 162
    SEEDED_SIZE = 62
    COUNTS = 28  # places in a row: signs and client are before the counts
    AMOUNTS = 44
    CUT = 116
    DAY = 120
    NOT_RECORDED = 0xFFFF


cdef inline char *_in(bytearray rows, Py_ssize_t at, Py_ssize_t size) except NULL:
    if at < 0 or size < 0 or at + size > PyByteArray_GET_SIZE(rows):
        raise IndexError("no such row")
    return PyByteArray_AS_STRING(rows) + at


cdef inline char *_of(bytes rows, Py_ssize_t at, Py_ssize_t size) except NULL:
    if at < 0 or size < 0 or at + size > PyBytes_GET_SIZE(rows):
        raise IndexError("no such row")
    return PyBytes_AS_STRING(rows) + at


cdef inline int _put_owner(char *to, char *name) noexcept:
    to[0], to[1], to[2], to[3] = name[3], name[2], name[1], name[0]
    return 0


cdef inline int put_row(
    bytearray rows, Py_ssize_t at, bytes name, array words, Py_ssize_t start
) except -1:
    cdef char *to = _in(rows, at, ROW_SIZE)
    cdef char *named = _of(name, 0, 24)
    if start < 0 or start + 15 > words.ob_size:
        raise IndexError("no such row")
    cdef uint64_t *word = <uint64_t *>words.data.as_ulonglongs + start
    cdef uint32_t[4] counts = [<uint32_t>word[8], <uint32_t>word[6], <uint32_t>word[7], 0]
    cdef uint16_t client = <uint16_t>word[12] if word[8] else <uint16_t>NOT_RECORDED
    cdef uint32_t[2] days = [<uint32_t>word[13], <uint32_t>word[14]]
    if (word[6] | word[7] | word[8] | word[13] | word[14]) >> 32 or word[12] >> 16:
        raise OverflowError("a number without room in its field")
    _put_owner(to, named)
    to[4] = 1
    memcpy(to + 5, named + 4, 20)
    to[NAME_SIZE] = 0
    memcpy(to + NAME_SIZE + 1, &client, 2)
    memcpy(to + COUNTS, counts, 16)
    memcpy(to + AMOUNTS, word, 48)
    memcpy(to + AMOUNTS + 48, word + 9, 24)
    memcpy(to + CUT, days, 8)
    return 0


cdef inline int put_pair(bytearray pairs, Py_ssize_t at, bytes name) except -1:
    cdef char *to = _in(pairs, at, PAIR_SIZE)
    cdef char *named = _of(name, 0, 24)
    memcpy(to, named + 4, 20)
    _put_owner(to + 20, named)
    return 0


cdef inline bint put_day(
    bytearray rows, Py_ssize_t at, bytes name, array words, Py_ssize_t start
) except -1:
    cdef char *to = _in(rows, at, DAY_SIZE)
    cdef char *named = _of(name, 0, NAME_SIZE)
    if start < 0 or start + 8 > words.ob_size:
        raise IndexError("no such row")
    cdef uint64_t *word = <uint64_t *>words.data.as_ulonglongs + start
    cdef uint32_t[3] counts = [<uint32_t>word[5], <uint32_t>word[6], <uint32_t>word[7]]
    if not (word[0] | word[1] | word[2] | word[3] | word[4] | word[5] | word[6] | word[7]):
        return False
    if (word[5] | word[6] | word[7]) >> 32:
        raise OverflowError("a number without room in its field")
    memcpy(to, named, NAME_SIZE)
    to[NAME_SIZE] = 0
    memcpy(to + NAME_SIZE + 1, word, 40)
    memcpy(to + NAME_SIZE + 41, counts, 12)
    return True


cdef inline bint add_day(bytearray rows, Py_ssize_t at, bytes newer, Py_ssize_t start) except -1:
    cdef char *to = _in(rows, at, DAY_SIZE) + NAME_SIZE
    cdef char *row = _of(newer, start, DAY_SIZE) + NAME_SIZE
    cdef uint64_t[5] a, b
    cdef uint32_t[3] c, d
    cdef int field
    if to[0] or row[0]:
        return False
    memcpy(a, to + 1, 40)
    memcpy(b, row + 1, 40)
    memcpy(c, to + 41, 12)
    memcpy(d, row + 41, 12)
    for field in range(5):
        a[field] += b[field]
        if a[field] < b[field]:
            return False
    if c[0] + <uint64_t>d[0] >> 32:
        return False
    c[0] += d[0]
    for field in range(1, 3):
        if c[field] < d[field]:
            c[field] = d[field]
    memcpy(to + 1, a, 40)
    memcpy(to + 41, c, 12)
    return True


cdef inline int _by_name(const void *one, const void *other) noexcept nogil:
    return memcmp(one, other, NAME_SIZE)


cdef inline int _by_pair(const void *one, const void *other) noexcept nogil:
    return memcmp(one, other, PAIR_SIZE)


cdef inline int sort(bytearray rows, Py_ssize_t size) except -1:
    if size != ROW_SIZE and size != PAIR_SIZE and size != DAY_SIZE:
        raise ValueError("neither rows nor pairs")
    qsort(
        PyByteArray_AS_STRING(rows), PyByteArray_GET_SIZE(rows) // size, size,
        _by_pair if size == PAIR_SIZE else _by_name,
    )
    return 0


cdef inline int compare(
    bytes older, Py_ssize_t at, bytes newer, Py_ssize_t start, Py_ssize_t size
) except? -2:
    cdef int order = memcmp(_of(older, at, size), _of(newer, start, size), size)
    return (order > 0) - (order < 0)


cdef inline bint _is_before(char *row, Py_ssize_t named, bytes sought) noexcept:
    cdef Py_ssize_t whole = PyBytes_GET_SIZE(sought)
    cdef int order = memcmp(row, PyBytes_AS_STRING(sought), named if named < whole else whole)
    return order < 0 or (order == 0 and named < whole)


cdef inline Py_ssize_t find(
    data, Py_ssize_t begin, Py_ssize_t count, Py_ssize_t size, Py_ssize_t named, bytes sought,
    Py_ssize_t low,
) except -1:
    cdef Py_ssize_t middle, high = low, step = 1
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    cdef char *rows = <char *>view.buf + begin
    try:
        if low < 0 or begin < 0 or named > size or begin + count * size > view.len:
            raise IndexError("no such row")
        while high < count and _is_before(rows + high * size, named, sought):
            low = high + 1
            high += step
            step *= 2
        high = min(high, count)
        while low < high:
            middle = (low + high) // 2
            if _is_before(rows + middle * size, named, sought):
                low = middle + 1
            else:
                high = middle
    finally:
        PyBuffer_Release(&view)
    return low


cdef inline int copy(
    bytearray to, Py_ssize_t at, bytes source, Py_ssize_t start, Py_ssize_t size
) except -1:
    memcpy(_in(to, at, size), _of(source, start, size), size)
    return 0


cdef inline bint add(bytearray rows, Py_ssize_t at, bytes newer, Py_ssize_t start) except -1:
    cdef char *to = _in(rows, at, ROW_SIZE)
    cdef char *row = _of(newer, start, ROW_SIZE)
    cdef char *client = to
    cdef uint32_t[4] a, b
    cdef uint64_t[9] c, d
    cdef uint32_t day, cut
    cdef int field
    memcpy(a, to + COUNTS, 16)
    memcpy(b, row + COUNTS, 16)
    memcpy(c, to + AMOUNTS, 72)
    memcpy(d, row + AMOUNTS, 72)
    memcpy(&day, to + DAY, 4)
    memcpy(&cut, row + CUT, 4)
    if to[NAME_SIZE] or row[NAME_SIZE] or not to[4]:
        return False
    if day < cut:
        return False
    if b[0]:
        client = row
    for field in range(4):
        if a[field] + <uint64_t>b[field] >> 32:
            return False
        a[field] += b[field]
    for field in range(6):
        c[field] += d[field]
        if c[field] < d[field]:
            return False
    if not c[6]:
        c[6] = d[6]
    if b[0] or not c[7]:
        c[7] = d[7]
    if not c[8]:
        c[8] = d[8]
    memcpy(to + NAME_SIZE + 1, client + NAME_SIZE + 1, 2)
    memcpy(to + COUNTS, a, 16)
    memcpy(to + AMOUNTS, c, 72)
    memcpy(to + DAY, row + DAY, 4)
    return True
