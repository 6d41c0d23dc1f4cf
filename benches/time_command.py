"""Runs a command and prints its seconds, its peak memory in MB and its exit code, as JSON.

A process of its own because Linux counts the memory of the process that starts another into the other's peak: this one is
small (about 9 MB, which is the least that it can report). Run it with `python -I -S`. The command's stdout goes nowhere.

Usage: time_command.py COMMAND...
"""

import os
import sys
import time

nowhere = os.open(os.devnull, os.O_WRONLY)
start = time.perf_counter()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, nowhere, 1)])
_, status, usage = os.wait4(pid, 0)
seconds = time.perf_counter() - start
print(f'{{"seconds": {seconds}, "mb": {usage.ru_maxrss / 1024}, "exit": {os.waitstatus_to_exitcode(status)}}}')
