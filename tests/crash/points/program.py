"""A program that saves files: makes the system calls it is told, and says which one failed.

Each line of its input is a list of calls in JSON; the answer is null, or the first call that
failed and its errno. Calls after that one are not made, and a file that is open stays open.
"""

import ctypes
import json
import os
import sys

libc = ctypes.CDLL(None, use_errno=True)
HOW = {
    "truncate": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "new": os.O_WRONLY | os.O_CREAT | os.O_EXCL,
    "append": os.O_WRONLY | os.O_APPEND,
    "update": os.O_RDWR,
    "read": os.O_RDONLY,
}
EXCHANGE = 2
file = None


def whole(write, text):
    """A short write is a write: the rest of it is what may fail."""
    data = text.encode()
    while data:
        data = data[write(data):]


def call(verb, *words):
    global file
    if verb == "open":
        file = os.open(words[0], HOW[words[1]], 0o600)
    elif verb == "write":
        whole(lambda data: os.write(file, data), words[0])
    elif verb == "pwrite":
        os.pwrite(file, words[1].encode(), words[0])
    elif verb == "truncate":
        os.ftruncate(file, words[0])
    elif verb == "fsync":
        os.fsync(file)
    elif verb == "close":
        closed, file = file, None
        if closed is not None:
            os.close(closed)
    elif verb == "rename":
        os.rename(*words)
    elif verb == "exchange":
        one, other = (os.fsencode(word) for word in words)
        if libc.renameat2(-100, one, -100, other, EXCHANGE) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
    elif verb == "link":
        os.link(*words)
    elif verb == "unlink":
        os.unlink(words[0])
    elif verb == "control":
        room = os.open(".confseal/control", os.O_RDWR)
        try:
            os.write(room, words[0].encode())
        finally:
            os.close(room)
    else:
        raise SystemExit(f"what is {verb}?")


def run(calls):
    for one in calls:
        try:
            call(*one)
        except OSError as error:
            return [one[0], error.errno]
    return None


os.chdir("/")
for line in sys.stdin:
    mount, calls = json.loads(line)
    os.chdir(mount)
    answer = run(calls)
    # What stays open may not keep a mount in use that is gone.
    os.chdir("/")
    print(json.dumps(answer), flush=True)
