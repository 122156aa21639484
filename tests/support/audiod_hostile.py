#!/usr/bin/python3
"""Clients of msr-audiod that misbehave, on bare sockets: audiod_hostile.py URL. Beside each of them a
well-behaved client goes on; it must not notice. Prints what went wrong and exits with 1, or with 0.
"""
import json
import os
import random
import socket
import struct
import sys
import threading
import time
import traceback
import urllib.parse

URL = urllib.parse.urlparse(sys.argv[1])
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
START = b'{"command":"start_audio_receiver"}'


class Raw:
    """RFC 6455 by hand: frames with any head, and what comes back."""

    def __init__(self, receive_buffer=None):
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.connect((URL.hostname, URL.port))
        self.sock.settimeout(20)
        self.sock.sendall(f"GET {URL.path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self.file = self.sock.makefile("rb")
        assert b" 101 " in self.file.readline()
        while self.file.readline() not in (b"\r\n", b""):
            pass

    def frame(self, op, data=b"", final=True, masked=True, rsv=0):
        n = len(data)
        head = bytes([(0x80 if final else 0) | rsv << 4 | op])
        bit = 0x80 if masked else 0
        head += bytes([bit | n]) if n < 126 else struct.pack("!BH", bit | 126, n) if n < 65536 else \
            struct.pack("!BQ", bit | 127, n)
        if not masked:
            return head + data
        mask = os.urandom(4)
        key = int.from_bytes((mask * (n // 4 + 1))[:n], "big")
        return head + mask + (int.from_bytes(data, "big") ^ key).to_bytes(n, "big")

    def send(self, *args, **kw):
        self.sock.sendall(self.frame(*args, **kw))

    def receive(self):
        """(op, payload); op CLOSE also when the connection just ends."""
        try:
            head = self.file.read(2)
            if len(head) < 2:
                return CLOSE, b""
            n = head[1] & 127
            if n > 125:
                n = int.from_bytes(self.file.read(2 if n == 126 else 8), "big")
            return head[0] & 15, self.file.read(n)
        except ConnectionError:
            return CLOSE, b""

    def text(self):
        op, data = self.receive()
        assert op == TEXT, (op, data[:100])
        return json.loads(data)

    def start(self):
        assert self.text()["status"] == "connected"
        self.send(TEXT, START)
        assert self.text()["status"] == "receiver_started"
        return self

    def works(self):
        data = random.randbytes(3000)
        self.send(BINARY, data)
        assert self.receive() == (BINARY, data), "the session does not go on"

    def until_close(self):
        """The close code, 1006 for none."""
        while True:
            op, data = self.receive()
            if op == CLOSE:
                return int.from_bytes(data[:2], "big") if len(data) >= 2 else 1006

    def close(self, reset=False):
        if reset:  # RST instead of FIN
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.file.close()
        self.sock.close()


def fragmented_and_interleaved_frames_are_one_message():
    c = Raw().start()
    data = random.randbytes(5000)
    c.send(BINARY, data[:1], final=False)
    c.send(PING, b"between")
    c.send(0, b"", final=False)
    c.send(0, data[1:3000], final=False)
    c.send(PING, b"again")
    c.send(0, data[3000:])
    # When pings are answered is the server's; libwebsockets drops those that come before it has.
    got = []
    while {BINARY, PONG} - {op for op, _ in got}:
        got.append(c.receive())
        assert got[-1] in ((PONG, b"between"), (PONG, b"again"), (BINARY, data)), got[-1][0]
    c.send(TEXT, b'{"comm', final=False)
    c.send(0, b'and":"stats"}')
    while (answer := c.receive())[0] == PONG:
        pass
    assert json.loads(answer[1])["status"] == "stats"
    # A byte at a time is slow, and right too.
    for byte in c.frame(BINARY, b"slow"):
        c.sock.sendall(bytes([byte]))
    assert c.receive() == (BINARY, b"slow")
    c.close()


def a_message_inside_another_is_a_protocol_error():
    for frames in ([(BINARY, b"a", {"final": False}), (BINARY, b"b", {})], [(0, b"a", {})]):
        c = Raw().start()
        for op, data, kw in frames:
            c.send(op, data, **kw)
        assert c.until_close() in (1002, 1006)
        c.close()


def frames_that_no_client_may_send_end_the_session():
    for kw in ({"rsv": 4}, {"op": 3}, {"op": 11}, {"op": PING, "data": bytes(126)},
               {"op": PING, "final": False}):
        c = Raw().start()
        c.send(**{"op": BINARY, "data": b"abcd", **kw})
        assert c.until_close() in (1002, 1006), kw
        c.close()


def text_that_is_not_utf8_is_1007():
    c = Raw().start()
    c.send(TEXT, b'{"command":"\xff\xfe"}')
    assert c.until_close() == 1007
    c.close()


def json_at_its_limits_is_an_error_and_no_more():
    c = Raw().start()
    for text in (b"[" * 100000, b'{"a":' * 50000, b'"' + b"\\u0000" * 1000 + b'"', b'{"command":"stats","command":"stats"}',
                 b"1e999999", b'{"command":"\\ud800"}', b'{"command":"x\\u0000y"}', b"\xef\xbb\xbf{}",
                 b'{"command":"start_audio_receiver","chain":[' + b'"copy",' * 20 + b'"copy"]}',
                 b'{"command":"start_audio_receiver","chain":"' + b"copy," * 2000 + b'copy"}',
                 b'{"command":"start_audio_receiver","rate":-9223372036854775808}',
                 b'{"command":"start_audio_receiver","rate":99999999999999999999999}',
                 b'{"command":"start_audio_receiver","channels":1.5}',
                 b'{"command":"start_audio_receiver","chain":[{"name":"gain","db":1e308}]}',
                 b'{"command":"start_audio_receiver","chain":[{"name":"exec:../../bin/sh"}]}',
                 b'{"command":"start_audio_receiver","chain":[null,[],{}]}'):
        c.send(TEXT, text)
        answer = c.text()
        assert answer["status"] == "error" and len(answer["message"]) < 512, (text[:60], answer)
    c.works()
    c.close()


def floods_of_text_are_answered_one_by_one_or_closed():
    c = Raw().start()
    n = 20000
    threading.Thread(target=lambda: c.sock.sendall(c.frame(TEXT, b"nonsense") * n), daemon=True).start()
    for i in range(n):
        assert c.text()["error"] == "bad_json", i
    c.works()
    c.close()


def floods_before_start_are_refused_one_by_one():
    c = Raw()
    assert c.text()["status"] == "connected"
    n = 5000
    threading.Thread(target=lambda: c.sock.sendall(c.frame(BINARY, bytes(64)) * n), daemon=True).start()
    for i in range(n):
        assert c.text()["error"] == "not_started", i
    c.send(TEXT, START)
    assert c.text()["status"] == "receiver_started"
    c.works()
    c.close()


def floods_without_reading_are_bounded():
    """Empty messages and tiny texts, which cost the server more than the client. What the server
    does not want it may read and throw away; who called looks at its memory."""
    for frame in (lambda c: c.frame(BINARY), lambda c: c.frame(TEXT, b"[]"), lambda c: c.frame(BINARY, b"x")):
        c = Raw(receive_buffer=4096).start()
        block = frame(c) * 4000
        c.sock.settimeout(1)
        sent = 0
        try:
            while sent < 32 << 20:
                c.sock.sendall(block)
                sent += len(block)
        except OSError:
            pass  # not read any more, or closed
        print(f"# took {sent >> 10} KiB")
        c.close(reset=True)


def half_closed_connections_are_closed():
    c = Raw().start()
    c.send(BINARY, b"last")
    assert c.receive() == (BINARY, b"last")
    c.sock.shutdown(socket.SHUT_WR)
    assert c.until_close() == 1006
    c.close()
    c = Raw().start()
    c.sock.sendall(c.frame(BINARY, bytes(1000))[:500])  # half a frame
    c.sock.shutdown(socket.SHUT_WR)
    assert c.until_close() == 1006
    c.close()


def reset_connections_leave_nothing():
    for i in range(100):
        c = Raw().start()
        c.sock.sendall(c.frame(BINARY, bytes(900)) * (i % 7) + c.frame(BINARY, bytes(5000))[:i * 40])
        c.close(reset=True)


def commands_wait_for_the_sound_before_them():
    """Everything in one write: answers come in the order of what was sent."""
    c = Raw().start()
    loud = b'{"command":"start_audio_receiver","format":"s16le","rate":16000,"chain":["gain=6.0206"]}'
    sound = struct.pack("<4h", 1, 2, 3, 4)
    c.sock.sendall(c.frame(BINARY, bytes(20000)) + c.frame(BINARY, b"ab") + c.frame(TEXT, b'{"command":"stats"}') +
                   c.frame(TEXT, b'{"command":"stop_audio_receiver"}') + c.frame(BINARY, b"too late") +
                   c.frame(TEXT, loud) + c.frame(BINARY, sound) + c.frame(BINARY, b"odd"))
    assert c.receive() == (BINARY, bytes(20000))
    assert c.receive() == (BINARY, b"ab")
    stats = c.text()
    assert stats["status"] == "stats" and stats["messages"] == 2 and stats["bytes"] == 20002, stats
    assert c.text()["status"] == "receiver_stopped"
    assert c.text()["error"] == "not_started"
    assert c.text()["status"] == "receiver_started"
    assert c.receive() == (BINARY, struct.pack("<4h", 2, 4, 6, 8))
    assert c.text()["error"] == "bad_length"
    c.close()


def bystander(stop, slowest):
    c = Raw().start()
    while not stop.is_set():
        begin = time.monotonic()
        c.works()
        slowest.append(time.monotonic() - begin)
        stop.wait(0.02)
    c.close()


def main():
    failed = 0
    for name, scenario in list(globals().items()):
        if "_are_" not in name and "_is_" not in name and not name.startswith(("frames_", "commands_", "reset_")):
            continue
        stop, slowest = threading.Event(), [0]
        other = threading.Thread(target=bystander, args=(stop, slowest), daemon=True)
        other.start()
        try:
            scenario()
            problem = None
        except Exception:
            problem = traceback.format_exc()
        alive = other.is_alive()
        stop.set()
        other.join(20)
        if not problem and (not alive or other.is_alive()):
            problem = "the client beside it was disturbed"
        if not problem and max(slowest) > 5:
            problem = f"the client beside it waited for {max(slowest):.1f} s"
        print(f"{'not ok' if problem else 'ok'} {name} ({max(slowest) * 1000:.0f} ms beside it)")
        if problem:
            failed = 1
            print(problem)
    return failed


if __name__ == "__main__":
    sys.exit(main())
