"""Forks `runner` for the tests that start it often; run as a script, never imported.

The libraries are loaded once, and take most of the time of a start. Our own modules are imported anew by each process,
in the order and at the moment in which a command wants them, and its interpreter ends as one does.

The only argument is a socket (SOCK_SEQPACKET). A request is JSON, with the descriptors of standard output and error; it
is answered with the number of the process, and then with its exit code. Nothing comes in on standard input.
"""

import gc
import json
import os
import pkgutil
import socket
import sys
from importlib import import_module

# Of them the process of a command is made; steps and queries are carried out by others, which they start.
PARTS = ("cli", "core", "delivery", "jobfiles", "jobtests", "planning", "scaffold", "service", "status", "store")
# It runs in a process of its own, with libraries that start threads, which no fork carries over.
ELSEWHERE = "runner.jobtests.heads"
LARGEST = 1 << 16


def load_libraries():
    """Import what our modules import, and forget the modules."""
    for part in PARTS:
        package = import_module(f"runner.{part}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name != ELSEWHERE:
                import_module(module.name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "runner"]:
        del sys.modules[name]
    gc.collect()
    gc.freeze()


def serve(control):
    """Fork a process for each request: True there, and False in this one, when there are no more."""
    while True:
        message, descriptors, *_ = socket.recv_fds(control, LARGEST, 2)
        if not message:
            return False
        pid = os.fork()
        if pid == 0:
            control.close()
            become(descriptors, **json.loads(message))
            return True
        for descriptor in descriptors:
            os.close(descriptor)
        control.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        control.send(str(os.waitstatus_to_exitcode(status)).encode())


def become(descriptors, *, arguments, cwd, env):
    """Be as a process is that somebody has started with all this."""
    for number, descriptor in enumerate(descriptors, 1):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    # What is made for a device could not be configured again on a pipe.
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", 1, closefd=False)
    sys.argv = ["runner", *arguments]


if __name__ == "__main__":
    load_libraries()
    if serve(socket.socket(fileno=int(sys.argv[1]))):
        from runner.cli import main

        sys.exit(main())
