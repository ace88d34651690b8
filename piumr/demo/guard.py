"""Who may talk to the server, and what its pages may do. Every request and answer passes here.

A page of another site can make a browser send requests to this machine, and by DNS rebinding can even read the answers.
So the ``Host`` must be an address or a name of this machine, and whatever does something must come from our own page.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guard(host: str) -> Middleware:
    """The middleware of a server that was told to listen at ``host``."""
    names = {"localhost", host.lower(), socket.gethostname().lower()}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_own_host(request.host, names):
            raise web.HTTPForbidden(text="This server answers to its own address only.")
        works = request.method != "GET" or request.headers.get("Upgrade", "").lower() == "websocket"
        if works and request.headers.get("Origin", "").lower() != f"http://{request.host}".lower():
            raise web.HTTPForbidden(text="This server takes requests of its own page only.")
        return await handler(request)

    return check


def is_own_host(host: str, names: set[str]) -> bool:
    """Whether a ``Host`` header is an IP address, which nobody can rebind, or one of our names; with or without a port.

    Args:
        host: for example ``127.0.0.1:8000`` or ``[::1]``.
        names: lower case.
    """
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdecimal():
        name = host
    name = name.lower()
    if name in names:
        return True
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether an address to listen at is reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Headers of every answer: a page that loads and reaches nothing but this server. For ``on_response_prepare``."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "media-src": "blob:",
        # older browsers do not count a socket of the same host as 'self'
        "connect-src": f"'self' ws://{request.host}" if request.host else "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    response.headers.update(
        {
            "Content-Security-Policy": "; ".join(f"{key} {value}" for key, value in policy.items()),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
            "Cache-Control": "no-store",
        }
    )
