"""What a process may do without: walking its memory, and threads that wait."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """No garbage collection meanwhile: where next to nothing goes, walking what stays takes longer than the work."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


@contextmanager
def brief() -> Iterator[None]:
    """For a command that is over in seconds, most of which are imports: what they leave stays to the end.

    So memory is not walked on the way nor at the end, and no thread is kept, busily waiting, for matrix products that
    are not asked for. Threads that a process has already, or that the environment asks for, are let be.
    """
    if "numpy" not in sys.modules:  # which reads it as it loads
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    atexit.register(gc.freeze)
    with collector_at_rest():
        yield
