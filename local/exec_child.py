"""Becomes another program that ends with its parent process: ``exec_child.py PARENT_PID SIGNAL UID:GID COMMAND…``.

It drops privileges ("-" keeps the user), asks the kernel to send SIGNAL when the parent dies, and then *is* COMMAND.
A program instead of ``preexec_fn``: Python code between fork and exec can deadlock in a process with threads, and
Temporal's client has threads. Standard library only, because it runs before every child.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(arguments: list[str]) -> None:
    """Replace this process. Exits with a message on stderr if that fails."""
    parent_pid, death_signal, user, *command = arguments
    try:
        if user != "-":
            uid, gid = (int(part) for part in user.split(":"))
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        if sys.platform.startswith("linux"):  # elsewhere the next start stops what is left
            # After the change of user, which resets it.
            if ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
                sys.exit("prctl(PR_SET_PDEATHSIG) failed")
            if os.getppid() != int(parent_pid):
                sys.exit("the parent process died first")
        os.execvp(command[0], command)  # noqa: S606 - a fixed argument list without a shell
    except OSError as error:
        sys.exit(f"cannot become {command[0]}: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
