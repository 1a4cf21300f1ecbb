"""Long work in resumable stages, each a process with a lock, a log and a record of what it took. POSIX."""
