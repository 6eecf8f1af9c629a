"""How an answer leaves: whole, in pieces, slowly, cut off, or never (ASGI messages)."""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from email.utils import formatdate
from functools import lru_cache
from typing import Any

from .wire import Reply

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
BODY = "http.response.body"
PIECES_A_SECOND = 20


@lru_cache(maxsize=2)
def http_date(second: int) -> str:
    return formatdate(second, usegmt=True)


def start(reply: Reply, length: int | None = None) -> dict[str, Any]:
    """The head of an answer. It says when it was sent, as every upstream does, unless `reply` says so itself."""
    headers = [
        (b"content-type", reply.content_type.encode("latin-1")),
        (b"content-length", str(len(reply.body) if length is None else length).encode()),
    ]
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in reply.headers]
    if all(name != b"date" for name, _ in headers):
        headers.append((b"date", http_date(int(time.time())).encode()))
    return {"type": "http.response.start", "status": reply.status, "headers": headers}


async def whole(reply: Reply, send: Send) -> None:
    await send(start(reply))
    await send({"type": BODY, "body": reply.body})


async def in_pieces(reply: Reply, length: int, pieces: Iterable[bytes], send: Send) -> None:
    """`pieces` add up to `length` bytes and are made as the client takes them."""
    await send(start(reply, length))
    for piece in pieces:
        await send({"type": BODY, "body": piece, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": BODY, "body": b""})


async def half(reply: Reply, send: Send) -> None:
    """The head promises the whole body."""
    await send(start(reply))
    await send({"type": BODY, "body": reply.body[: len(reply.body) // 2], "more_body": True})


async def silence(receive: Receive) -> None:
    """Until the client has had enough."""
    while (await receive())["type"] != "http.disconnect":
        await asyncio.sleep(0)


def paced(send: Send, seconds: float, bytes_per_second: float | None) -> Send:
    """`send` that waits before the first byte and lets only so many through in a second."""
    has_waited = False

    async def slowly(message: MutableMapping[str, Any]) -> None:
        nonlocal has_waited
        if not has_waited:
            has_waited = True
            await asyncio.sleep(seconds)
        body = message.get("body", b"")
        if not bytes_per_second or not body:
            return await send(message)
        size = max(1, int(bytes_per_second / PIECES_A_SECOND))
        for first in range(0, len(body), size):
            piece = body[first : first + size]
            await send({"type": BODY, "body": piece, "more_body": True})
            await asyncio.sleep(len(piece) / bytes_per_second)
        if not message.get("more_body"):
            await send({"type": BODY, "body": b""})

    return slowly


async def reset(send: Send) -> None:
    """Ends the connection with a TCP reset, after what was sent so far has left."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionResetError("cut on purpose; this server gives no hold of its connection")
    for _ in range(200):
        if not transport.get_write_buffer_size():
            break
        await asyncio.sleep(0.01)
    connection = transport.get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    # The server learns of it in its next turn, and then no longer misses an answer.
    await asyncio.sleep(0.01)
