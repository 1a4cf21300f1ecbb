"""What the two reproductions share: long work in resumable stages, each a process with a lock, a log and a
record of what it took (POSIX), and the test that an expectation has to pass.

It must not know what a stage does.
"""
