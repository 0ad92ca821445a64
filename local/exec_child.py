"""Replaces itself with a program that ends with its parent: ``exec_child.py PARENT_PID SIGNAL UID:GID COMMAND…``.

It drops privileges ("-" keeps the user) and asks the kernel to send SIGNAL when the parent dies. ``preexec_fn`` could
deadlock, because Temporal's client starts threads. Uses only the standard library, to start fast.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(arguments: list[str]) -> None:
    """Run the command in this process. If that fails, exit with a message on stderr."""
    parent_pid, death_signal, user, *command = arguments
    try:
        if user != "-":
            uid, gid = (int(part) for part in user.split(":"))
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        if sys.platform.startswith("linux"):  # elsewhere, the next start stops leftover processes
            # Must follow setuid, which resets it.
            if ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
                sys.exit("prctl(PR_SET_PDEATHSIG) failed")
            if os.getppid() != int(parent_pid):
                sys.exit("the parent process died first")
        os.execvp(command[0], command)  # noqa: S606 - a fixed argument list without a shell
    except OSError as error:
        sys.exit(f"cannot become {command[0]}: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
