"""Ports of this machine for servers that tests start, or start again, or never start."""

import socket


def hold_port() -> socket.socket:
    """Return a socket that keeps a port: no other process is given it, and connections to it are refused.

    It is bound and does not listen. A server that sets SO_REUSEADDR, as most do, may listen on the port meanwhile.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


def port_of(held: socket.socket) -> int:
    """Return the port of a socket."""
    port: int = held.getsockname()[1]
    return port
