"""Runs a program for as long as standard input stays open: guard.py PROGRAM ARGUMENT...

The tests hold the other end. However they end, by a panic or a kill, their servers end with them, and so do the
workers that those servers started.
"""

import os
import signal
import subprocess
import sys
import threading
import time

GRACE_S = 5.0


def parents():
    """Process ids with those of their parents."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as stat:
                found[int(name)] = int(stat.read().rpartition(")")[2].split()[1])
        except OSError:
            pass
    return found


def family(of):
    """A process and all that it started, themselves or through others."""
    found, every = {of}, parents()
    grown = True
    while grown:
        more = {process for process, parent in every.items() if parent in found} - found
        grown, found = bool(more), found | more
    return found


def send(signal_number, processes):
    for process in processes:
        try:
            os.kill(process, signal_number)
        except ProcessLookupError:
            pass


def main():
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ended = threading.Event()
    for what in (child.wait, sys.stdin.buffer.read):
        threading.Thread(target=lambda what=what: (what(), ended.set()), daemon=True).start()
    ended.wait()
    processes = family(child.pid)
    send(signal.SIGTERM, [child.pid] if child.poll() is None else [])
    deadline = time.monotonic() + GRACE_S
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    send(signal.SIGKILL, processes - {child.pid} if child.poll() is not None else processes)
    os._exit(1)


if __name__ == "__main__":
    main()
