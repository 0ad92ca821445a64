"""Becomes another program, tied to the life of the process that started it.

Run as a file: `python -I -S exec_child.py PARENT_PID SIGNAL UID:GID COMMAND…` ("-" for UID:GID keeps the user). It
drops privileges, asks the kernel to send SIGNAL when the parent dies, however it dies, and then *is* COMMAND.

A program of its own instead of `preexec_fn`, because Python code between fork and exec can deadlock in a process with
threads, and Temporal's client has threads. Standard library only: it runs before every child, in about 20 ms.
Why children are tied and how they are stopped is in `processes.py`.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h
EXIT_NOT_STARTED = 127


def main(arguments: list[str]) -> None:
    """Replace this process by the command. Returns never; exits with 127 and a line on stderr where it cannot."""
    parent_pid, death_signal, user, *command = arguments
    try:
        if user != "-":
            uid, gid = (int(part) for part in user.split(":"))
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        # After the change of user, which would clear it again.
        tie_to_parent(int(parent_pid), int(death_signal))
        os.execvp(command[0], command)  # noqa: S606 - a fixed argument list; there is no shell to need
    except OSError as error:
        sys.exit(f"cannot become {command[0]}: {error}")


def tie_to_parent(parent_pid: int, death_signal: int) -> None:
    """Have the kernel send `death_signal` when the parent dies. Linux only; elsewhere the next start cleans up.

    Raises:
        OSError: the kernel refused.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:  # it died before the request; nobody would ever stop this child
        sys.exit(EXIT_NOT_STARTED)


if __name__ == "__main__":
    main(sys.argv[1:])
