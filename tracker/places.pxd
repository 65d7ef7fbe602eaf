cimport cython

@cython.final
cdef class Link:
    cdef public Link after, before
    cdef public Place place

    cdef enter(self, Link ring)
    @cython.locals(before=Link, after=Link)
    cdef leave(self)

@cython.final
cdef class Place:
    cdef public bint kept, open
    cdef public object end
    cdef public Link of_all, of_source
    cdef public Source source

@cython.final
cdef class Source:
    cdef public bytes name
    cdef public Py_ssize_t open
    cdef public Link waiting

@cython.final
cdef class Places:
    cdef dict _sources
    cdef Link _kept, _waiting
    cdef Py_ssize_t _exempt, _most, _most_each
    cdef public Py_ssize_t given_way, opened, refused

    cpdef wait_anew(self, Place place)
    cdef _wait(self, Place place)
    @cython.locals(oldest=Place)
    cpdef keep(self, Place place, Py_ssize_t most=*)
    cdef _forget(self, Place place)
    @cython.locals(source=Source)
    cpdef give_back(self, Place place)
    @cython.locals(oldest=Place)
    cdef bint _give_way(self, Link waiting) except -1

cdef Place _first(Link ring)
