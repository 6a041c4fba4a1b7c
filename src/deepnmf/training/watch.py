"""A watch over the processes of a run: one that dies or fails ends all of them, with one line that names it.

Each process keeps a connection to process 0, which the operating system closes when either end dies, whatever the
other is doing at the moment: neither a collective that waits nor a stage of hours in process 0 hides the loss.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, TextIO

from ..errors import printable

CONNECT_SECONDS = 600.0
"""Time in which all processes must have started."""
PATIENCE_SECONDS = 2.0
"""Time that process 0 has for the same error as another process, and that the main thread has to unwind."""
KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}
"""Seconds, seconds and probes after which the connection to a machine that is gone counts as closed."""


class Watch(threading.Thread):
    """Watches the connections of one process: process 0 those of all others, each other one that to process 0.

    Parameters
    ----------
    connections : mapping of socket to str
        Connections, and the names of the processes at their other ends.
    prints : bool
        Whether this process prints the line.
    remedy : str
        What the line ends with.
    """

    def __init__(self, connections: Mapping[socket.socket, str], prints: bool, remedy: str) -> None:
        super().__init__(name="watch", daemon=True)
        self.reported = threading.Event()
        """Set once the line of the failure has been printed, or is left to another process."""
        self._connections, self._prints, self._remedy = dict(connections), prints, remedy
        self._lock, self._stderr = threading.Lock(), sys.stderr

    def run(self) -> None:
        """Wait for the end of the others; end this process if one fails."""
        with selectors.DefaultSelector() as selector:
            for other in self._connections:
                selector.register(other, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select():
                    connection: Any = key.fileobj
                    message = _received(connection)
                    if not message.get("done"):
                        self._fail(self._connections[connection], message)
                        return
                    selector.unregister(connection)

    def claim(self) -> bool:
        """Return whether this is the first failure, whose line is printed."""
        with self._lock:
            first = not self.reported.is_set()
            self.reported.set()
            return first

    def send(self, **message: Any) -> None:
        """Send a message to the other ends: ``done=True``, ``error="..."``, or ``reported=True`` after its line."""
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.sendall(json.dumps(message).encode() + b"\n")

    def wait(self, seconds: float) -> None:
        """Wait until all others have ended or one has failed."""
        self.join(seconds)

    def _fail(self, name: str, message: dict[str, Any]) -> None:
        error = message.get("error")
        if error is not None and self.reported.wait(PATIENCE_SECONDS):
            return  # process 0 has the same error, as all of them do after a wrong option
        if not self.claim():
            return
        if self._prints and not message.get("reported"):
            what = f"{name}: {error}" if error is not None else f"{name} ended before the others; {self._remedy}"
            _print(f"deepnmf: {printable(what)}", self._stderr)
        self.send(reported=True)
        os.kill(os.getpid(), signal.SIGTERM)  # unwinds the main thread, unless it waits in a collective
        time.sleep(PATIENCE_SECONDS)
        os._exit(1)


def listen(count: int, address: str) -> socket.socket:
    """Return a socket on which process 0 waits for the connections of so many others."""
    return socket.create_server(("" if address != "127.0.0.1" else address, 0), backlog=count)


def accept(server: socket.socket, count: int, token: str) -> dict[socket.socket, str]:
    """Return the connections of the others, which send the token, and their names."""
    server.settimeout(CONNECT_SECONDS)
    found: dict[socket.socket, str] = {}
    with server:
        while len(found) < count:
            connection, _ = server.accept()
            connection.settimeout(CONNECT_SECONDS)
            message = _received(connection)
            if message.get("token") != token:
                connection.close()
                continue
            _keep_alive(connection)
            found[connection] = str(message.get("name"))
    return found


def connect(address: str, port: int, token: str, name: str) -> socket.socket:
    """Return the connection of this process to process 0."""
    connection = socket.create_connection((address, port), timeout=CONNECT_SECONDS)
    _keep_alive(connection)
    connection.sendall(json.dumps({"token": token, "name": name}).encode() + b"\n")
    return connection


def reachable_address(environment: Mapping[str, str]) -> str:
    """Return the address of this machine for the others: that from which it reaches the master."""
    if environment.get("LOCAL_WORLD_SIZE") == environment["WORLD_SIZE"]:
        return "127.0.0.1"
    master = environment["MASTER_ADDR"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((master, int(environment["MASTER_PORT"])))  # sends nothing
        own = str(probe.getsockname()[0])
    return master if own.startswith("127.") else own


def _received(connection: socket.socket) -> dict[str, Any]:
    """Return the next message; an empty one if the connection has been closed."""
    line = b""
    with contextlib.suppress(OSError):
        while not line.endswith(b"\n") and (byte := connection.recv(1)):  # messages may follow each other at once
            line += byte
    with contextlib.suppress(ValueError):
        message = json.loads(line)
        return message if isinstance(message, dict) else {}
    return {}


def _keep_alive(connection: socket.socket) -> None:
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):  # not on every system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _print(line: str, stream: TextIO | None) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(line, file=stream, flush=True)
