"""A class is graded: two hundred submissions, by processes that may be killed at any moment, into points and reports.

    roster, submissions, archives     who handed in what, read without unpacking anything
    worker, pool                      exercise by exercise, in processes of their own
    journal                           what has been graded, line by line, on the disk
    overrides, late, points           what a teacher decides, and the sums
    run                               all of it, in order
"""
