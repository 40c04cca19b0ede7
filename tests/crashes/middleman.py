"""A middleman between payconfirm and PostgreSQL: passes on what is said, and breaks off where he was told to.

He reads the protocol as far as he must: which statement is on its way, and when the server has answered it. psycopg2
sends each statement whole, its values written out, so a commit is known by its words.
"""

import asyncio
import struct
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from socket import SO_LINGER, SOL_SOCKET
from urllib.parse import urlsplit

PROTOCOL_3 = 3 << 16
#: What a client may ask before it says hello: encryption, by TLS or by Kerberos. "No" is an answer.
ENCRYPT = (80877103, 80877104)
PATIENCE_SECONDS = 60


class How(Enum):
    """What becomes of a commit."""

    ANSWER_LOST = "committed, and the answer lost"
    NEVER_ARRIVED = "cut off before it arrived"
    LEFT_ALONE = "cut off while the server works on it"


@dataclass(eq=False)
class Break:
    """Breaks off the next commit that holds all these words."""

    how: How
    words: tuple[str, ...]
    done: threading.Event = field(default_factory=threading.Event)

    def wait(self):
        """Wait until it has happened."""
        assert self.done.wait(PATIENCE_SECONDS), f"nobody said {self.words}"


class Middleman:
    """Passes on what is said on any number of connections."""

    def __init__(self, port):
        self._postgres = port
        self._breaks = []
        self._lines = {}
        self._loop = asyncio.new_event_loop()
        self._serving = threading.Thread(target=self._loop.run_forever)

    def open(self):
        self._serving.start()
        self._server = self._run(asyncio.start_server(self._pass_on, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self):
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._serving.join()
        self._loop.close()

    def behind(self, url):
        """The address of the same database, by way of us."""
        address = urlsplit(url)
        where = f"{address.username}:{address.password}@127.0.0.1:{self.port}"
        return address._replace(netloc=where).geturl()

    def break_off(self, how, *words):
        """Break off the next commit that holds all these words, once."""
        broken = Break(how, words)
        self._breaks.append(broken)
        return broken

    def cut_all(self):
        """Cut every connection on which a statement is under way; the server doesn't notice. Say how many."""
        return self._run(self._cut_all())

    def hang_up(self):
        """End every connection, and return once those who had them can know."""
        self._run(self._hang_up())

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE_SECONDS)

    async def _pass_on(self, reader, writer):
        line = Line(reader, writer, self._meets)
        self._lines[line] = asyncio.current_task()
        try:
            with suppress(OSError):  # PostgreSQL isn't there
                await line.connect(self._postgres)
                await line.pass_on()
        finally:
            del self._lines[line]
            line.cut()

    async def _cut_all(self):
        busy = [line for line in self._lines if line.busy]
        for line in busy:
            line.leave_alone()
        return len(busy)

    async def _hang_up(self):
        for line in self._lines:
            line.cut()
        await asyncio.gather(*self._lines.values())

    async def _end(self):
        self._server.close()
        await self._hang_up()

    def _meets(self, said):
        for broken in self._breaks:
            if all(word in said for word in broken.words):
                self._breaks.remove(broken)
                return broken
        return None


class Line:
    """One connection of a client, and ours to the server for it."""

    def __init__(self, reader, writer, meets):
        self._client, self._to_client = reader, writer
        self._to_server = None
        self._meets = meets
        #: What was said since the transaction began; a statement by itself is one.
        self._said = ""
        self._in_transaction = False
        self._broken = None
        #: Whether a statement is under way.
        self.busy = False

    async def connect(self, port):
        self._server, self._to_server = await asyncio.open_connection("127.0.0.1", port)

    async def pass_on(self):
        """Pass on until one of the two is gone, or this line is broken off."""
        saying, answering = ways = [
            asyncio.ensure_future(way) for way in (self._pass_statements(), self._pass_answers())
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        if self.busy and self._cut_off():
            await asyncio.wait([answering])  # the server is to get to its end
        saying.cancel()
        if not answering.cancel():
            self._to_client.close()  # the server hung up; its last words are still to arrive
        await asyncio.gather(*ways, return_exceptions=True)

    def leave_alone(self):
        """Cut the client off; the server works on."""
        _reset(self._to_client)

    def cut(self):
        for writer in (self._to_client, self._to_server):
            if writer is not None:
                _reset(writer)

    def _cut_off(self):
        return self._to_client.is_closing()

    async def _pass_statements(self):
        while (hello := await self._hello())[0] in ENCRYPT:
            self._to_client.write(b"N")
        self._to_server.write(hello[1])
        while True:
            head, body = await _message(self._client)
            if head[:1] == b"Q":
                broken = self._commits(body[:-1].decode())
                self.busy = True
                if broken and broken.how is How.NEVER_ARRIVED:
                    self.busy = False
                    self._happened(broken)
                    return
                self._broken = broken
            self._to_server.write(head + body)
            await self._to_server.drain()
            if self._broken and self._broken.how is How.LEFT_ALONE:
                self.leave_alone()
                self._broken.done.set()

    async def _pass_answers(self):
        while True:
            head, body = await _message(self._server)
            if self._broken is None and not self._cut_off():
                self._to_client.write(head + body)
            if head[:1] == b"Z":
                self.busy = False
                if self._broken is not None or self._cut_off():
                    return self._happened(self._broken)

    def _happened(self, broken):
        self.cut()
        if broken is not None:
            broken.done.set()

    async def _hello(self):
        """What the client says first: what it is, and the whole of it."""
        head = await self._client.readexactly(8)
        length, what = struct.unpack("!ii", head)
        return what, head + await self._client.readexactly(length - 8)

    def _commits(self, text):
        """Note a statement; return the break that it meets if it is, or ends, a transaction."""
        if text.startswith("BEGIN"):
            self._in_transaction, self._said = True, text
        elif not self._in_transaction:
            return self._meets(text)
        else:
            self._said += text
        if text.startswith(("COMMIT", "ROLLBACK")):
            self._in_transaction = False
            return self._meets(self._said) if text.startswith("COMMIT") else None
        return None


async def _message(reader):
    head = await reader.readexactly(5)
    (length,) = struct.unpack("!i", head[1:])
    return head, await reader.readexactly(length - 4)


def _reset(writer):
    """Close it, unless it is, so that the other side is told that the connection was reset."""
    if not writer.is_closing():
        writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


@contextmanager
def middleman(port):
    """Stand in front of the PostgreSQL at this port."""
    standing = Middleman(port)
    standing.open()
    try:
        yield standing
    finally:
        standing.close()
