"""Requests to msr-sfu that are held against the manual, its events, and descriptions without a client
behind them. Takes the server's URL from the first argument; imports nothing of media, which takes a second."""
import asyncio
import contextvars
import hashlib
import hmac
import json
import os
import re
import socket
import struct
import sys
import traceback
import urllib.request
import zlib

URL = sys.argv[1]
SERVER = contextvars.ContextVar("server", default=URL)  # a task's own, where it asks another one


def http(method, path, body=None, kind="application/json", headers=None):
    """Status, headers and body: parsed where it is JSON."""
    data = None if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
    req = urllib.request.Request(SERVER.get() + path, data, headers or {}, method=method)
    if data is not None:
        req.add_header("Content-Type", kind)
    try:
        with urllib.request.urlopen(req, timeout=10) as r:
            status, head, text = r.status, r.headers, r.read().decode()
    except urllib.error.HTTPError as e:
        status, head, text = e.code, e.headers, e.read().decode()
    if "json" in head.get("Content-Type", ""):
        text = json.loads(text)
    return status, head, text


TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
with open(TOP + "/man/msr-sfu.8", encoding="utf-8") as f:
    CODES = set(re.findall(r"^\.It ([a-z_]+) Ta (\d+) Ta", f.read(), re.M))
with open(TOP + "/examples/msr-sfu.openapi.json", encoding="utf-8") as f:
    DESCRIBED = json.load(f)


def check_documented(method, path, status, out):
    """An error has its row in the manual, and the description knows of it for this call."""
    assert (out["error"], str(status)) in CODES, f"the manual lacks {status} {out}"
    for pattern, methods in DESCRIBED["paths"].items():
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", pattern), path) and method.lower() in methods:
            known = methods[method.lower()]["responses"]
            assert str(status) in known, f"the description lacks {status} of {method} {pattern}"


def check_event(name, data):
    """The description knows of the event and of what it says."""
    schema = DESCRIBED["components"]["schemas"]["OfferEvent" if name == "offer" else name.capitalize()]
    assert set(schema["required"]) <= set(data) <= set(schema["properties"]), f"{name} {data}"


def check_headers(method, path, status, head):
    """The description knows of what a client has to keep of a reply."""
    for pattern, methods in DESCRIBED["paths"].items():
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", pattern), path) and method.lower() in methods:
            reply = methods[method.lower()]["responses"][str(status)]
            reply = DESCRIBED["components"]["responses"].get(reply.get("$ref", "").rpartition("/")[2], reply)
            for name in ("Location", "ETag", "Accept-Patch", "Retry-After"):
                known = name in reply.get("headers", {})
                assert known == (name in head), f"{name} of {status} of {method} {pattern}"


async def call(method, path, body=None, want=200, **kw):
    status, head, out = await asyncio.to_thread(http, method, path, body, **kw)
    assert status == want, f"{method} {path}: {status} {out}"
    if status >= 400:
        check_documented(method, path, status, out)
    else:
        check_headers(method, path, status, head)
    return out


def run(scenario, *args):
    """Runs a scenario. Where it fails, that ends at once: asyncio would wait for threads that still hear events."""
    async def whole():
        try:
            await scenario(*args)
        except Exception:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)

    asyncio.run(whole())


class Ears:
    """An event stream; ends when the server ends it."""

    def __init__(self, path):
        self.seen, loop = asyncio.Queue(), asyncio.get_running_loop()
        self.open = asyncio.Event()

        def listen():
            with urllib.request.urlopen(URL + path + "/events", timeout=20) as r:
                assert r.headers["Content-Type"].startswith("text/event-stream")
                loop.call_soon_threadsafe(self.open.set)
                name = None
                for line in r:
                    line = line.decode().rstrip("\n")
                    if line.startswith("event:"):
                        name = line[6:].strip()
                    elif line.startswith("data:"):
                        loop.call_soon_threadsafe(
                            self.seen.put_nowait, (name, json.loads(line[5:])))

        self.ended = asyncio.create_task(asyncio.to_thread(listen))

    async def wait(self, name, timeout=10):
        while True:
            got, data = await asyncio.wait_for(self.seen.get(), timeout)
            check_event(got, data)
            if got == name:
                return data


def description(*sections, setup="actpass", bundle=True):
    """A description without a client behind it, of (mid, kind, more lines), e.g. ("0", "audio")."""
    out = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
    if bundle:
        out += "a=group:BUNDLE " + " ".join(s[0] for s in sections) + "\r\n"
    for mid, kind, *more in sections:
        codec = {"audio": "opus/48000/2", "video": "VP8/90000"}[kind]
        lines = [f"m={kind} 9 UDP/TLS/RTP/SAVPF 96", "c=IN IP4 0.0.0.0", f"a=rtpmap:96 {codec}",
                 "a=rtcp-mux", "a=ice-ufrag:abcd", "a=ice-pwd:0123456789012345678901",
                 "a=fingerprint:sha-256 " + ":".join(["AB"] * 32), f"a=setup:{setup}", *more]
        if mid is not None:
            lines.append(f"a=mid:{mid}")
        out += "\r\n".join(lines) + "\r\n"
    return out


async def ann_and_bob():
    """A room with ann and bob in it, of whom nothing is there but their resources: their paths."""
    room = (await call("POST", "/rooms", want=201))["room_id"]
    ann, bob = f"/rooms/{room}/users/ann", f"/rooms/{room}/users/bob"
    await call("POST", ann, want=201)
    await call("POST", bob, want=201)
    return room, ann, bob


async def stun_check(port, ufrag, pwd, seconds=3):
    """Whether the server answers on a media port to a connectivity check of a client "abcd" (RFC 8489),
    which is sent as long as it does not. The client gives in, whatever role the server has."""
    ident, name = os.urandom(12), f"{ufrag}:abcd".encode()

    def attribute(kind, value):
        return struct.pack(">HH", kind, len(value)) + value + bytes(-len(value) % 4)

    def head(rest):
        return struct.pack(">HHI", 1, rest, 0x2112A442) + ident

    body = attribute(6, name) + attribute(0x24, bytes(3) + b"\1") + attribute(0x8029, bytes(7) + b"\1")
    mac = hmac.new(pwd.encode(), head(len(body) + 24) + body, hashlib.sha1).digest()
    body += attribute(8, mac)
    crc = zlib.crc32(head(len(body) + 8) + body) ^ 0x5354554E
    request = head(len(body) + 8) + body + attribute(0x8028, struct.pack(">I", crc))

    def ask():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.3)
            for _ in range(int(seconds / 0.3)):
                s.sendto(request, ("127.0.0.1", port))
                try:
                    while data := s.recv(1500):
                        if data[8:20] == ident:
                            return data[:2] == b"\1\1"
                except TimeoutError:
                    pass
        return False

    return await asyncio.to_thread(ask)
