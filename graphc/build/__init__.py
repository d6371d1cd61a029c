"""Floor 5: C compilers, the cache of compiled libraries, the thread pool, this machine."""
