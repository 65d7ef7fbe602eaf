cimport cython
from tracker.domain.detecting.intervals cimport Detector, Interval

cdef class Watch:
    cdef public list detectors

    @cython.locals(detector=Detector)
    cpdef list heard(self, Interval interval)
