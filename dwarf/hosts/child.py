"""A process that runs tasks for its parent process.

Both sides send messages: four bytes of length, one byte of kind, and the content. Calls come in; output of the task and
one outcome go out. The end of the input ends the process, even during a task: then the parent is gone, and the outcome
has no receiver.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
import threading
from queue import SimpleQueue
from typing import Any, BinaryIO

HEAD = struct.Struct(">Ic")
LARGEST = 2**32 - 1
CALL, TOLD, OUTCOME, PATH = b"c", b"t", b"o", b"s"


def write_message(stream: BinaryIO, kind: bytes, content: bytes) -> None:
    """Write one message, and flush it. ValueError for one of more than 4 GB."""
    if len(content) > LARGEST:
        raise ValueError(f"a message of {len(content):,} bytes is too large for a pool of processes")
    stream.write(HEAD.pack(len(content), kind))
    stream.write(content)
    stream.flush()


def read_message(stream: BinaryIO) -> tuple[bytes, bytes] | None:
    """The next message's kind and content, or None at the end of the input."""
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    size, kind = HEAD.unpack(head)
    content = stream.read(size)
    return None if len(content) < size else (kind, content)


def main() -> None:
    """Serve calls until the input ends."""
    # prints of tasks must not mix with the messages, so standard output goes to standard error from here on
    calls = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    writing = threading.Lock()
    waiting: SimpleQueue[bytes] = SimpleQueue()

    def read() -> None:
        while (message := read_message(calls)) is not None:
            kind, content = message
            if kind == PATH:
                sys.path[:] = pickle.loads(content)
            else:
                waiting.put(content)
        os._exit(0)

    def tell(number: int, messages: list[tuple[Any, ...]]) -> None:
        with writing:
            write_message(answers, TOLD, pickle.dumps((number, messages)))

    threading.Thread(target=read, name="dwarf-calls", daemon=True).start()
    while True:
        call = waiting.get()
        from dwarf.hosts.carry import run_call

        outcome = run_call(call, tell)
        sys.stdout.flush()
        with writing:
            write_message(answers, OUTCOME, outcome)
