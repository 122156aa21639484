#!/usr/bin/python3
"""Clients of msr-ws for the shell tests: ws.py URL FRAMES SCENARIO [ARG ...]. FRAMES is the file that
msr-ws writes its frames to. Prints what went wrong and exits with 1, or exits with 0."""
import asyncio
import base64
import json
import os
import random
import socket
import ssl
import struct
import sys
import time
from urllib.parse import urlsplit
from urllib.request import urlopen

import websockets

sys.path.insert(0, os.path.dirname(__file__))
import frames as msr  # noqa: E402

URL, FRAMES = sys.argv[1], sys.argv[2]
KIND = {number: name for name, number in msr.KINDS.items()}
GAP = 4


class Frame:
    """One record of the frames file."""

    def __init__(self, mem, at):
        (magic, _, kind, self.flags, self.codec, n, r, s, t, self.channels, self.time_us, self.part,
         self.rate) = struct.unpack_from("<4sBBBBIBBBBqQI", mem, at)
        assert magic == b"MSRF", f"no record at {at}"
        self.kind = KIND[kind]
        ids = mem[at + 48:at + 48 + r + s + t].decode()
        self.room, self.session, self.storage = ids[:r], ids[r:r + s], ids[r + s:]
        self.body = mem[at + 48 + r + s + t:at + 48 + r + s + t + n]
        self.size = (48 + r + s + t + n + 7) // 8 * 8


def written(session=None, kind=None):
    """The frames that msr-ws has written so far."""
    mem, at, out = open(FRAMES, "rb").read(), 0, []
    while at + 48 <= len(mem):
        f = Frame(mem, at)
        if at + f.size > len(mem):
            break
        at += f.size
        if session in (None, f.session) and kind in (None, f.kind):
            out.append(f)
    return out


async def until(condition, seconds=10):
    """Waits until the condition holds, and returns what it gave."""
    end = time.monotonic() + seconds
    while not (got := condition()):
        assert time.monotonic() < end, f"waited in vain for {condition.__name__}"
        await asyncio.sleep(0.02)
    return got


async def parts(session, n, kind="audio", seconds=10):
    def enough_frames():
        got = written(session, kind)
        return got if len(got) >= n else None
    return await until(enough_frames, seconds)


def connect(path, **kw):
    kw.setdefault("compression", None)
    if URL.startswith("wss"):
        kw["ssl"] = ssl._create_unverified_context()
    return websockets.connect(URL + path, max_size=64 << 20, **kw)


def part(number, body, kind="audio", **more):
    text = base64.b64encode(body).decode()
    return json.dumps({"j_type": kind, "part": number, "body": text, **more})


async def hear(ws, timeout=10):
    return json.loads(await asyncio.wait_for(ws.recv(), timeout))


async def error(ws, message):
    await ws.send(message)
    got = await hear(ws)
    assert got["j_type"] == "error" and got["message"], got
    return got


async def closed(ws, timeout=30):
    """Reads until the end; the close code and reason."""
    try:
        while True:
            await asyncio.wait_for(ws.recv(), timeout)
    except websockets.ConnectionClosed as e:
        return e.code, e.reason


async def refused(path, **kw):
    try:
        async with connect(path, **kw):
            return 101
    except websockets.InvalidStatusCode as e:
        return e.status_code


def bodies(got):
    return [f.body for f in got]


def numbers(got):
    return [f.part for f in got]


# ---- media ----

async def formats():
    """Base64, byte arrays, records and bare chunks become frames."""
    async with connect("/room/s1?media=audio&codec=s16le&rate=16000&channels=2&storage=st") as ws:
        await ws.send(part(0, b"abcd"))
        await ws.send(json.dumps({"j_type": "AudioFrame", "part": 1, "body": [1, 2, 3, 255]}))
        await ws.send(b"bare")
        await ws.send(part(None, b"next"))
        records = [msr.record(3, "room", "s1", storage, codec=17, rate=8000, part=4 + i, time_us=77, body=b"rec%d" % i)
                   for i, storage in enumerate(("", "own"))]
        await ws.send(b"".join(records))
        await ws.send(part(0, b"pict", "VideoFrame", storage_id="other"))
        got = await parts("s1", 6)
        assert numbers(got) == [0, 1, 2, 3, 4, 5], numbers(got)
        assert bodies(got) == [b"abcd", b"\1\2\3\xff", b"bare", b"next", b"rec0", b"rec1"], bodies(got)
        first, record = got[0], got[4]
        assert (first.codec, first.rate, first.channels, first.storage) == (17, 16000, 2, "st")
        assert abs(first.time_us - time.time_ns() // 1000) < 60e6
        assert (record.rate, record.time_us, record.storage) == (8000, 77, "st")
        assert got[5].storage == "own"
        video = await parts("s1", 1, "video")
        assert video[0].storage == "other" and video[0].body == b"pict"
    await until(lambda: written("s1", "close"))
    kinds = [f.kind for f in written("s1")]
    assert kinds[0] == "open" and kinds[-1] == "close" and len(kinds) == 9, kinds


async def sniffed():
    """Without a query the first chunk's own mark says what the chunks are."""
    webm = b"\x1a\x45\xdf\xa3" + b"webm" * 4
    async with connect("/room/s1") as ws:
        await ws.send(webm)
        await ws.send(b"in the middle")
        got = await parts("s1", 2, "video")
        assert [f.codec for f in got] == [1, 1] and numbers(got) == [0, 1]
    async with connect("/room/s2?media=audio&part=5") as ws:
        await ws.send(webm)
        await ws.send(b"in the middle")
        got = await parts("s2", 2)
        assert [f.codec for f in got] == [1, 1] and numbers(got) == [5, 6]
    async with connect("/room/s3") as ws:
        assert (await error(ws, b"no mark at all"))["error"] == "unknown_media"


async def shuffled():
    """Parts in any order, some of them twice, are written once and in order."""
    order = [(i + random.randrange(40), i) for i in range(200)]
    async with connect("/room/s1?ack=1") as ws:
        for _, i in sorted(order):
            await ws.send(part(i, b"%d" % i))
            if i % 7 == 0:
                await ws.send(part(i, b"%d" % i))
        got = await parts("s1", 200)
        assert numbers(got) == list(range(200)), numbers(got)
        assert bodies(got) == [b"%d" % i for i in range(200)]
        assert not any(f.flags & GAP for f in got)
        acked = set()
        while len(acked) < 200:
            acked.add((await hear(ws))["part"])


async def missing():
    """A part that never comes is given up after two seconds; what follows it is flagged. One of the other kind
    that is missing since later is still waited for then."""
    async with connect("/room/s1") as ws:
        for i in (0, 1, 3, 4):
            await ws.send(part(i, b"x"))
        begin = time.monotonic()
        await asyncio.sleep(1.5)
        for i in (0, 2):
            await ws.send(part(i, b"x", "video"))
        got = await parts("s1", 4)
        await ws.send(part(1, b"x", "video"))
        assert numbers(await parts("s1", 3, "video")) == [0, 1, 2]
        assert 1.5 < time.monotonic() - begin < 5
        assert [(f.part, bool(f.flags & GAP)) for f in got] == [(0, False), (1, False), (3, True), (4, False)]
        # Far ahead: not even a wait. Late: left out.
        await ws.send(part(1000, b"far"))
        await ws.send(part(2, b"late"))
        begin = time.monotonic()
        got = await parts("s1", 5)
        assert time.monotonic() - begin < 1.5
        assert got[4].part == 1000 and got[4].flags & GAP


async def given_up(why):
    """A part that was given up is not acknowledged when it comes after all."""
    async def ask(message, kind, number):
        if message:
            await ws.send(message)
        got = await hear(ws)
        assert (got["j_type"], got.get("error", got.get("kind")), got["part"]) == (*kind, number), got

    ack, late = ("ack", "audio"), ("error", "given_up")
    async with connect("/room/s1?ack=1") as ws:
        await ask(part(0, b"x"), ack, 0)
        if why == "refused":
            await ask('{"j_type":"audio","part":1,"body":"?"}', ("error", "bad_body"), 1)
        else:
            await ask(part(1, bytes(2 << 20)), ("error", "too_large"), 1)
        await ask(part(2, b"x"), ack, 2)
        await ask(part(1, b"again"), late, 1)
        await ask(part(0, b"x"), ack, 0)  # this one is there
        # In a row with one that waits: passed on without it.
        await ws.send(part(4, b"x"))
        await ask(None, ack, 4)
        await ask(part(3, b"late"), late, 3)


async def from_one():
    """Numbering may begin with 1."""
    async with connect("/room/s1") as ws:
        for i in (1, 2, 3):
            await ws.send(part(i, b"x"))
        got = await parts("s1", 3)
        assert numbers(got) == [1, 2, 3] and not any(f.flags & GAP for f in got)


async def large():
    """Bodies up to 16 MiB, in all forms; beyond, an error or a close code."""
    most = random.Random(1).randbytes(16 << 20)
    async with connect("/room/s1?media=audio&ack=1") as ws:
        await ws.send(part(0, most))
        assert (await hear(ws))["part"] == 0
        await ws.send(most)
        assert (await hear(ws))["part"] == 1
        assert (await error(ws, part(2, most + b"x")))["error"] == "too_large"
        assert (await error(ws, most + b"x"))["error"] == "too_large"
        assert (await error(ws, "x" * (256 * 1024 + 1)))["error"] == "text_too_large"
        got = await parts("s1", 2)
        assert bodies(got) == [most, most]
        await ws.send(b"x" * (23 << 20))
        code, reason = await closed(ws)
        assert code == 1009 and "bytes" in reason, (code, reason)


async def errors():
    """Every fault gets its own code and hurts nobody else, nor what follows."""
    foreign = msr.record(3, "room", "other", body=b"x")
    damaged = bytearray(msr.record(3, "room", "s1", body=b"x"))
    damaged[20] ^= 1
    faults = [
        ('{"j_type":"audio","body":"AAAA', "bad_json"),
        ('{"j_type":"song"}', "bad_type"),
        ('{"j_type":"audio","part":3,"body":"A*=="}', "bad_body"),
        ('{"j_type":"audio","part":3}', "bad_body"),
        ('{"j_type":"audio","body":[1,256]}', "bad_body"),
        ('{"j_type":"audio","part":-1,"body":""}', "bad_part"),
        ('{"j_type":"audio","storage_id":"../../etc","body":""}', "bad_storage_id"),
        ('{"j_type":"audio","storage_id":".hidden","body":""}', "bad_storage_id"),
        (foreign, "wrong_session"),
        (bytes(damaged), "bad_frame"),
        (b"MSRF and then nothing", "bad_frame"),
        (msr.record(5, "room", "s1", body=b"x"), "bad_frame"),
        (msr.record(3, "room", "s1", part=2**64 - 1, body=b"x"), "bad_part"),
    ]
    async with connect("/room/s1?media=audio") as ws, connect("/room/s2?media=audio") as other:
        for message, code in faults:
            got = await error(ws, message)
            assert got["error"] == code, (message, got)
            await other.send(b"fine")
        assert (await error(ws, faults[2][0]))["part"] == 3
        await ws.send(part(0, b"good"))
        assert bodies(await parts("s1", 1)) == [b"good"]
        assert len(await parts("s2", len(faults))) == len(faults)


# ---- sessions ----

async def room():
    """Text goes to the others in the room, unchanged and in order, and to nobody else."""
    async with connect("/room/a") as a, connect("/room/b") as b, connect("/room/c") as c, connect("/else/d") as d:
        texts = ["hi", '{"type":"text","text":"\\u00e9"}', "{", "й" * 1000, ""]
        for text in texts:
            await a.send(text)
        for ws in (b, c):
            assert [await asyncio.wait_for(ws.recv(), 5) for _ in texts] == texts
        await b.send("end")
        assert await asyncio.wait_for(a.recv(), 5) == "end"  # and none of its own before it
        await d.send("alone")
        d_heard = asyncio.ensure_future(d.recv())
        await asyncio.wait_for(c.recv(), 5)
        assert not d_heard.done()
        d_heard.cancel()


async def taken():
    """A second connection is refused, or takes over where it says so."""
    async with connect("/room/s1?media=audio") as ws:
        await ws.send(b"one")
        await parts("s1", 1)
        assert await refused("/room/s1") == 409
        async with connect("/room/s1?media=audio&resume=1") as again:
            assert (await closed(ws))[0] == 4001
            await again.send(b"two")
            got = await parts("s1", 2)
            assert numbers(got) == [0, 1] and len(written("s1", "open")) == 1


async def resumed():
    """A session goes on where it was within its window, and ends after it."""
    ws = await connect("/room/s1?media=audio&ack=1")
    await ws.send(b"one")
    assert (await hear(ws))["part"] == 0
    ws.transport.abort()
    await asyncio.sleep(0.1)
    ws = await connect("/room/s1?media=audio&ack=1&part=0")
    await ws.send(b"one")  # not known to be safe: sent again, acknowledged again, stored once
    await ws.send(b"two")
    assert [(await hear(ws))["part"] for _ in range(2)] == [0, 1]
    ws.transport.abort()
    ws = await connect("/room/s1?media=audio&ack=1&resume=1")
    await ws.send(b"three")
    assert (await hear(ws))["part"] == 2
    assert bodies(await parts("s1", 3)) == [b"one", b"two", b"three"]
    assert not written("s1", "close")
    ws.transport.abort()
    end = await until(lambda: written("s1", "close"))
    assert json.loads(end[0].body) == {"reason": "away"} and len(written("s1", "open")) == 1


async def ended():
    """`end` flushes what waits, and the connection is closed; the id is free again."""
    async with connect("/room/s1?ack=1") as ws:
        await ws.send(part(0, b"zero"))
        await ws.send(part(2, b"two"))
        await ws.send('{"j_type":"end"}')
        await ws.send(part(3, b"too late"))
        assert (await closed(ws)) == (1000, "end")
    got = written("s1")
    assert [f.kind for f in got] == ["open", "audio", "audio", "close"], [f.kind for f in got]
    assert got[2].part == 2 and got[2].flags & GAP and json.loads(got[3].body) == {"reason": "end"}
    async with connect("/room/s1") as ws:
        await ws.send(part(0, b"new"))
        assert len(await parts("s1", 3)) == 3
    await until(lambda: len(written("s1", "close")) == 2)
    assert json.loads(written("s1", "close")[1].body) == {"reason": "closed"}


async def acks(safe):
    async with connect("/room/s1?media=audio&codec=s16le&ack=1") as ws:
        for _ in range(50):
            await ws.send(bytes(960))
        for i in range(50):
            got = await hear(ws)
            want = {"j_type": "ack", "kind": "audio", "part": i}
            if safe == "no":
                want["safe"] = False
            assert got == want, got
        await ws.send('{"j_type":"end"}')
        assert (await closed(ws))[0] == 1000


async def again():
    """What comes again and again while nothing is safe waits for one acknowledgement."""
    async with connect("/room/s2?ack=1") as ws:
        await ws.send(part(0, b"x"))
        await ws.send(msr.record(3, "room", "s2") * 1000)
        assert (await hear(ws, 30)) == {"j_type": "ack", "kind": "audio", "part": 0}
        await error(ws, '{"j_type":"?"}')


async def told():
    """The end at once: what is safe is told, and then the connection is closed; also to who was lost meanwhile."""
    ws = await connect("/room/s1?media=audio&codec=s16le&ack=1")
    for _ in range(50):
        await ws.send(bytes(960))
    await ws.send('{"j_type":"end"}')
    await asyncio.wait_for(await ws.ping(), 5)
    assert await refused("/room/s1?resume=1") == 409
    ws.transport.abort()
    await asyncio.sleep(0.1)
    async with connect("/room/s1?media=audio&codec=s16le&ack=1&part=0") as ws:
        for _ in range(50):
            await ws.send(bytes(960))
        await ws.send('{"j_type":"end"}')
        for i in range(50):
            assert (await hear(ws))["part"] == i
        assert (await closed(ws))[0] == 1000


# ---- limits ----

async def ids():
    """Ids are checked before anything else."""
    for path in ("/room/.s", "/room/a%20b", "/r%c3%b6m/s", "/" + "x" * 129 + "/s", "/room/" + "x" * 129):
        assert await refused(path) == 400, path
    for path in ("/%2e%2e/s", "/../../s", "/room/a%00b", "/room"):  # not even a session
        try:
            assert await refused(path) in (403, 404), path
        except websockets.InvalidMessage:
            pass  # libwebsockets answers for itself, with HTTP/1.0
    for query in ("storage=../x", "storage=", "codec=mp9", "rate=x", "part=-1", "media=smell", "ack=x"):
        assert await refused("/room/s?" + query) == 400, query
    assert await refused("/room/" + "x" * 128) == 101


async def origins(mine, allowed):
    assert await refused("/room/a", origin=mine) == 101
    assert await refused("/room/b", origin=allowed) == 101
    assert await refused("/room/c") == 101
    for foreign in ("http://evil.example", "null", mine + "0", "http://127.0.0.1.evil.example"):
        assert await refused("/room/d", origin=foreign) == 403, foreign


async def crowd():
    """--max-sessions 4 --max-room 3: one more is refused, and can come when there is a place."""
    inside = [await connect(f"/room/s{i}") for i in range(3)]
    assert await refused("/room/s3") == 503
    inside.append(await connect("/other/s0"))
    assert await refused("/third/s0") == 503
    await inside[0].close()
    await until(lambda: written("s0", "close"))
    async with connect("/room/s3"):
        pass


async def throttled():
    """--max-rate 100: 400 messages take two seconds (200 are the burst), and none is lost."""
    async with connect("/room/s1?media=audio&codec=u8") as ws:
        begin = time.monotonic()
        for i in range(400):
            await ws.send(b"%d" % i)
        got = await parts("s1", 400)
        assert time.monotonic() - begin > 1.5
        assert bodies(got) == [b"%d" % i for i in range(400)]


async def full(fifo):
    """The reader of the FIFO does not read: pause, nothing is lost, resume."""
    async with connect("/room/s1?media=audio&codec=u8") as ws, connect("/room/idle") as idle:
        sent, said = 0, []

        async def listen():
            async for text in ws:
                said.append(json.loads(text)["j_type"] if text[0] == "{" else text)
        listener = asyncio.ensure_future(listen())
        while "pause" not in said:
            assert sent < 2000
            try:
                await asyncio.wait_for(ws.send(b"%06d" % sent + bytes(65530)), 0.2)
            except asyncio.TimeoutError:
                pass  # it is on its way all the same
            sent += 1
        await idle.send("others live on")
        fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        mem = bytearray()

        def all_came():
            try:
                while piece := os.read(fd, 1 << 20):
                    mem.extend(piece)
            except BlockingIOError:
                pass
            return mem.count(b"MSRF") >= sent + 2 and "resume" in said
        await until(all_came, 30)
        at, got = 0, []
        while at < len(mem):
            f = Frame(bytes(mem[at:at + 70000]), 0)
            at += f.size
            if f.kind == "audio":
                got.append(f)
        assert [int(f.body[:6]) for f in got] == list(range(sent))
        listener.cancel()
        os.close(fd)


async def memory():
    """--max-memory 4M: eight messages of 3 MiB at once, each half sent when the bound is met."""
    half = random.Random(2).randbytes(3 << 19)
    bound_met = asyncio.Event()

    async def halves():
        yield half
        await bound_met.wait()
        yield half

    async def one(i):
        async with connect(f"/room/s{i}?media=audio&ack=1") as ws:
            await ws.send(halves())
            assert (await hear(ws, 60))["part"] == 0

    async def watch():
        url = URL.replace("ws:", "http:") + "/metrics"
        loop = asyncio.get_running_loop()
        while True:
            page = await loop.run_in_executor(None, lambda: urlopen(url).read().decode())
            if "msr_web_held_pauses_total 0\n" not in page:
                return bound_met.set()
            await asyncio.sleep(0.02)
    await asyncio.wait_for(asyncio.gather(watch(), *[one(i) for i in range(8)]), 60)
    assert bodies(await parts("s7", 1)) == [half + half]


# ---- raw sockets ----

def raw():
    at = urlsplit(URL)
    return socket.create_connection((at.hostname, at.port), timeout=30)


def upgraded(path):
    s = raw()
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += s.recv(1)
    assert b" 101 " in head, head
    return s


def gone(s, seconds):
    """Whether the server ends the connection in time."""
    s.settimeout(seconds)
    try:
        while s.recv(4096):
            pass
    except ConnectionResetError:
        pass
    except socket.timeout:
        return False
    return True


async def framing():
    """Broken framing ends the connection that it came on, and nothing else."""
    async with connect("/room/good") as good, connect("/room/other") as other:
        mask = bytes(4)
        faults = [
            b"\x83\x80" + mask,                                   # a reserved opcode
            b"\xc1\x80" + mask,                                   # a reserved bit
            b"\x89\xfe\x00\x80" + mask + bytes(128),              # a long ping
            b"\x09\x80" + mask,                                   # a ping in pieces
            b"\x80\x81" + mask + b"x",                            # a continuation of nothing
            b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff" + mask,   # 2^64 - 1 bytes
            b"\x81\x82" + mask + b"\xff\xfe",                     # not UTF-8
            b"\x81\x83" + mask + b"\xed\xa0\x80",                 # a surrogate
            random.Random(3).randbytes(4096),
        ]
        sockets = []
        for i, fault in enumerate(faults):
            sockets.append(upgraded(f"/room/bad{i}"))
            try:
                sockets[-1].sendall(fault)
            except ConnectionError:
                pass
            await good.send(str(i))
            assert await asyncio.wait_for(other.recv(), 5) == str(i)
        still = [i for i, s in enumerate(sockets) if not gone(s, 15)]
        assert not still, f"still connected after the faults {still}"
        await good.send("the end")
        assert await asyncio.wait_for(other.recv(), 5) == "the end"


async def slow():
    """Heads that do not come, peers that do not answer, messages that do not go on."""
    def take_all():
        begin = time.monotonic()
        nothing, head, dead, stalled = raw(), raw(), upgraded("/room/dead"), upgraded("/room/stalled")
        stalled.sendall(b"\x02\xfe" + struct.pack(">H", 1000) + bytes(4) + bytes(1000))  # a first piece
        dribbling = upgraded("/room/dribbling")
        dribbling.sendall(b"\x02\x81" + bytes(4) + b"x")
        waiting = {"nothing": nothing, "head": head, "dead": dead, "stalled": stalled, "dribbling": dribbling}
        ended = {}
        head.sendall(b"GET / HTTP/1.1\r\n")
        while waiting and time.monotonic() - begin < 30:
            for name, s in list(waiting.items()):
                s.settimeout(0.1)
                try:
                    if name == "head":
                        s.sendall(b"X: y\r\n")
                    if name == "dribbling":
                        s.sendall(b"\x00\x81" + bytes(4) + b"x")
                    got = s.recv(100)
                except socket.timeout:
                    continue
                except ConnectionError:
                    got = b""
                if not got or got[0] == 0x88:  # gone, or told to go
                    ended[name] = time.monotonic() - begin
                    del waiting[name]
                elif name == "stalled":
                    s.sendall(b"\x8a\x81" + bytes(4) + b"m")  # a pong keeps the peer alive, not the message
        return ended
    ended = await asyncio.get_running_loop().run_in_executor(None, take_all)
    assert ended.keys() == {"nothing", "head", "dead", "stalled", "dribbling"}, ended
    assert ended["nothing"] < 12 and ended["head"] < 12 and ended["dead"] < 20, ended
    assert ended["stalled"] < 25 and ended["dribbling"] < 25, ended


async def stay(path, code):
    """Connects, says so, and waits for the close code."""
    async with connect(path) as ws:
        await ws.send(part(0, b"x"))
        print("connected", flush=True)
        got = await closed(ws)
        assert got[0] == int(code), got


if __name__ == "__main__":
    try:
        asyncio.run(globals()[sys.argv[3]](*sys.argv[4:]))
    except (AssertionError, OSError, asyncio.TimeoutError, websockets.WebSocketException) as fault:
        import traceback
        traceback.print_exc()
        sys.exit(f"{sys.argv[3]}: {fault!r}")
