"""A hostile server, and what the client must make of it: chat_hostile.py SCENARIO

Each scenario plays the server for a client of its own, in a pipe or a terminal, in the current
folder. Exit status 0: all was as it should be.
"""
import datetime
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time

from chat_pty import Terminal

LOGIN_OK, EXISTS, IMAGE, UTF8, FILE, VOICE, ERROR, JOINED, LEFT, USERS = 2, 3, 6, 7, 8, 9, 10, 11, 12, 13
NOW = "2026-01-01T00:00:00.000000Z"
# Escape sequences, a C1 control, changes of direction, a line of its own.
EVIL = "a\033]0;title\007\033[2J\u009b31m\u202e\u2066\r\nb\b\x7f"


def message(kind, content=b"", size=None, **head):
    header = json.dumps({"from": "eve", "timestamp": NOW, **head}).encode()
    return raw(kind, header, content, size)


def raw(kind, header=b"", content=b"", size=None):
    if isinstance(content, str):
        content = content.encode()
    return struct.pack(">HHIQ", kind, len(header), 0, len(content) if size is None else size) + header + content


class Server:
    """Listens, starts a client with these options, and takes its login."""

    def __init__(self, *options, terminal=False, stdin=subprocess.PIPE, answer=True, buffer=None):
        self.listener = socket.create_server(("127.0.0.1", 0))
        if buffer:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.command = ["msr-chat", "client", "-a", "127.0.0.1:%d" % self.listener.getsockname()[1],
                        "-u", "me", "-d", "got", *options]
        if terminal:
            self.terminal = Terminal(self.command)
            self.pid = self.terminal.pid
        else:
            self.client = subprocess.Popen(self.command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.pid = self.client.pid
        self.listener.settimeout(20)
        self.accept(answer)

    def accept(self, answer=True):
        self.sock = self.listener.accept()[0]
        self.sock.settimeout(20)
        kind, size = struct.unpack(">HH", self.exactly(16)[:4])
        assert kind == 1 and json.loads(self.exactly(size))["to"] == "me"
        if answer:
            self.send(raw(LOGIN_OK))

    def exactly(self, n):
        got = b""
        while len(got) < n:
            part = self.sock.recv(n - len(got))
            assert part, "the client has gone"
            got += part
        return got

    def send(self, data):
        self.sock.sendall(data)

    def reset(self):
        """Closes so that the client cannot send any more either."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def end_of_input(self):
        """The client's input ends, so it takes leave."""
        self.client.stdin.close()
        self.client.stdin = None

    def closing(self):
        """Whether the client has sent its last byte to the kernel: its end is shut down (FIN-WAIT-1)."""
        port = self.sock.getpeername()[1]
        with open("/proc/net/tcp") as f:
            return any(line.split()[1].endswith(":%04X" % port) and line.split()[3] == "04" for line in f)

    def end(self):
        """Closes, after a client that takes leave; its status, output and complaints."""
        while not self.client.stdin and self.sock.recv(65536):
            pass
        self.sock.close()
        if self.client.stdin:
            self.client.wait(timeout=30)  # communicate() would end its input
        out, err = self.client.communicate(timeout=30)
        assert self.client.returncode >= 0, "a signal"
        return self.client.returncode, out.decode(), err.decode()

    def leave_terminal(self):
        os.kill(self.pid, signal.SIGTERM)
        assert os.waitpid(self.pid, 0)[1] >= 0

    def peak(self):
        """MiB of memory at most."""
        with open("/proc/%d/status" % self.pid) as f:
            return int(re.search(r"VmHWM:\s+(\d+)", f.read())[1]) / 1024


def clean(text):
    bad = re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert not bad, (bad, text[max(0, bad.start() - 40):])


def everything_evil():
    yield message(UTF8, EVIL)
    yield raw(UTF8, json.dumps({"from": EVIL, "to": EVIL, "timestamp": EVIL[:60]}).encode(), b"\xff\xc0\x80 \xed\xa0\x80")
    yield message(FILE, b"x", filename=EVIL)
    yield raw(IMAGE, json.dumps({"from": EVIL, "timestamp": EVIL[:18]}).encode(), b"\x89PNG\r\n\x1a\n" + b"\xff" * 40)
    yield message(VOICE, b"RIFF\xff\xff\xff\xffWAVEfmt \xff\xff\xff\xff" + b"\xff" * 60, filename=EVIL + ".wav")
    yield message(JOINED)
    yield raw(JOINED, json.dumps({"from": EVIL, "timestamp": EVIL}).encode())
    yield raw(USERS, b"", json.dumps([EVIL, "zoe"]).encode())
    yield raw(ERROR, json.dumps({"error": EVIL, "message": EVIL}).encode())


# ---- scenarios ----

def file_names():
    names = ["../up", "/etc/passwd", "..", ".", "", "a/../../b", "..\\..\\c", ".bashrc", "-rf", "a\nb", "\u202egnp.exe",
             "x" * 300 + ".txt", "\u00e4" * 200, "dir/", "same", "same", "NUL\t", "~", "x.part", "  "]
    s = Server()
    for name in names:
        s.send(message(FILE, b"content", filename=name))
    s.send(raw(FILE, json.dumps({"from": "../../x", "timestamp": "../../y"}).encode(), b"content"))
    s.end_of_input()
    status, out, _ = s.end()
    assert status == 0, status
    assert os.listdir(".") == ["got"] and not os.path.exists("../up")
    got = os.listdir("got")
    assert len(got) == len(names) + 1, got
    for name in got:
        assert open("got/" + name).read() == "content"
        assert name[0] not in ".-" and len(name.encode()) < 256
        clean(name)
    assert "same~2" in got and "x.part" in got
    clean(out)


def escapes():
    for options in [], ["--json"], ["--color"]:
        s = Server(*options)
        for part in everything_evil():
            s.send(part)
        s.end_of_input()
        _, out, err = s.end()
        assert "zoe" not in out and "eve" in out
        if options == ["--color"]:
            out = re.sub("\033\\[[0-9]*m", "", out)
        if options == ["--json"]:
            lines = [json.loads(line) for line in out.splitlines()]
            assert [l["ev"] for l in lines].count("message") == 5
            assert not re.search("[\0-\x09\x0b-\x1f\x7f]", out)
        else:
            clean(out)
            clean(err)


def escapes_in_a_terminal():
    s = Server(terminal=True)
    for part in everything_evil():
        s.send(part)
    s.send(message(UTF8, "the end"))
    s.terminal.read_until(lambda seen: b"the end" in seen)
    os.write(s.terminal.fd, b"/users\r")
    s.terminal.read_until(lambda seen: b"1 here:" in seen)
    os.write(s.terminal.fd, b"z\t")
    s.terminal.read_until(lambda seen: b"oe: " in seen)
    seen = s.terminal.seen.decode(errors="replace")
    for evil in "\033]0", "\033[2J", "\u009b", "\u202e", "\u2066":
        assert evil not in seen, evil
    s.leave_terminal()


def sizes():
    """Descriptors that lie: more than there is, more than anybody has."""
    s = Server("--max-file", "1M")
    s.send(message(FILE, b"x" * 1000000, size=2**64 - 1, filename="huge"))
    status, _, err = s.end()
    assert status == 1 and "too large to be saved" in err, err
    assert not os.path.exists("got") or not os.listdir("got")
    s = Server("--max-file", str(2**63 - 1))
    s.send(message(FILE, b"x" * 1000, size=2**63 - 1, filename="huge"))
    status, _, err = s.end()
    assert status == 1 and "huge: not received completely" in err, err
    assert not os.listdir("got")
    # An endless text, and an endless list.
    for kind in UTF8, USERS:
        s = Server()
        s.send(message(kind, size=2**64 - 1))
        for _ in range(48):
            s.send(b"[" * (1 << 20))
        assert s.peak() < 48, s.peak()
        status, out, _ = s.end()
        assert status == 1 and out == "", (status, out[:300])


def texts_are_cut():
    s = Server()
    s.send(message(UTF8, "\u00e4" * 1000000) + message(UTF8, "next"))
    got = b""
    while not got.endswith(b"next\n"):  # before that the client is not to take leave
        piece = os.read(s.client.stdout.fileno(), 65536)
        assert piece, got[-200:]
        got += piece
    s.end_of_input()
    status, out, _ = s.end()
    lines = (got.decode() + out).splitlines()
    assert status == 0 and len(lines) == 2 and lines[1].endswith("<eve> next")
    assert 1000000 < len(lines[0].encode()) < 1100000


def cut_off():
    """The connection ends in the middle of a file, first in a pipe, then in a terminal."""
    s = Server()
    s.send(message(FILE, b"x" * 500, size=1000, filename="half"))
    status, out, err = s.end()
    assert status == 1 and "half: not received completely" in err and out == ""
    assert os.listdir("got") == []
    s = Server(terminal=True)
    s.send(message(FILE, b"x" * 500, size=1000, filename="half"))
    s.terminal.read_until(lambda seen: b"receiving half [" in seen)
    part, = os.listdir("got")
    assert part.startswith("half") and part.endswith(".part"), part
    s.sock.close()
    s.terminal.read_until(lambda seen: b"disconnect" in seen)
    s.accept()
    s.terminal.read_until(lambda seen: seen.count(b"login: me") == 2)
    s.send(message(UTF8, "here again"))
    s.terminal.read_until(lambda seen: b"here again" in seen)
    # The bar is gone, before the next line is drawn.
    after = s.terminal.seen[s.terminal.seen.rindex(b"not received completely"):]
    assert b"receiving half" not in after, after
    assert os.listdir("got") == []
    s.leave_terminal()


def both_ways():
    """A file in each direction at once: each tells its progress 20 times at most."""
    with open("big", "wb") as f:
        f.truncate(8 << 20)
    s = Server("--json")
    s.client.stdin.write(b"/file big\n")
    s.end_of_input()
    s.exactly(1000)
    s.send(message(FILE, size=8 << 20, filename="other"))
    for _ in range(128):
        s.send(b"x" * 65536)
        s.exactly(65000)
    status, out, _ = s.end()
    told = [e["state"] for e in map(json.loads, out.splitlines()) if e["ev"] == "progress"]
    assert status == 0 and 5 < told.count("sending") <= 20 and 5 < told.count("receiving") <= 20, told


def headers():
    """Headers that are too long, no JSON, of the wrong kind, and one that never ends."""
    s = Server()
    for header in (b"", b"x" * 65535, b"{" * 65535, b'{"a":' * 13000, b"[]", b'"x"', b'{"from":1}', b'{"from":null}',
                   b'{"from":"a\\u0000b"}', b'{"from":"%s"}' % (b"y" * 1000), b"\xff\xfe", b'{"from":"x","filename":[]}'):
        for kind in UTF8, FILE, JOINED, LEFT, ERROR, USERS, 0, 14, 65535, LOGIN_OK:
            s.send(raw(kind, header, b"content"))
    s.send(message(UTF8, "still in step"))
    s.send(struct.pack(">HHIQ", UTF8, 65535, 0, 0) + b"{" * 65534)
    s.end_of_input()
    status, out, _ = s.end()
    assert "still in step" in out
    assert len(os.listdir("got")) <= 1  # {"from":null} is an empty object


def users():
    """Lists of users: garbage, names that are none, and far too many."""
    s = Server("--wait", "1s")
    for content in b"", b"[", b"{}", b"null", b"[" * 4000000, b"[[],{},1,null,\"\",\"a\\nb\"]", b"[%s[]]" % (b"[]," * 300000):
        s.send(raw(USERS, b"", content))
    s.send(raw(USERS, b"", json.dumps(["u%d" % i for i in range(150000)] + ["u1"] * 5).encode()))
    s.send(message(LEFT) + raw(LEFT, b"{}") + message(JOINED, b"", **{"from": "a\nb"}))
    s.send(message(UTF8, "marker"))
    assert b"marker" in s.client.stdout.readline()
    s.client.stdin.write(b"/users\n")
    s.end_of_input()
    line = s.client.stdout.readline().decode()
    assert line.startswith("100000 here: u0 u1 u10 "), line[:100]
    s.end()


def silent():
    """A server that says nothing, one that says everything but that, and one that does not close."""
    mute = Server(answer=False)
    busy = Server(answer=False)
    stays = Server()
    stays.end_of_input()
    start = time.monotonic()
    while time.monotonic() < start + 15:
        try:
            busy.send(message(UTF8, "x") + raw(14, b"", b"y"))
        except OSError:
            break
        time.sleep(0.1)
    for s, status in (mute, 1), (busy, 1), (stays, 0):
        _, err = s.client.communicate(timeout=10)
        assert s.client.returncode == status, (s.client.returncode, err)
        assert status == 0 or b"does not answer" in err, err
    assert time.monotonic() - start < 20


def slow_uplink():
    """The end of a file is still in the client's kernel when it takes leave, for longer than that takes."""
    with open("big", "wb") as f:
        f.truncate(1 << 20)
    deaf, slow = [Server(buffer=16384) for _ in range(2)]
    for s in deaf, slow:
        s.client.stdin.write(b"/file big\n")
        s.end_of_input()
    end, got = time.monotonic() + 13, 0
    while time.monotonic() < end:  # and the room goes on talking
        got += len(slow.exactly(5000))
        slow.send(message(UTF8, "x"))
        time.sleep(0.5)
    slow.exactly((1 << 20) - got)
    status, _, err = slow.end()
    assert status == 0, (status, err)
    _, err = deaf.client.communicate(timeout=20)
    assert deaf.client.returncode == 1 and b"did not take all" in err, err


def last_words():
    """The server says why and closes while the client is sending: the user reads why."""
    refusal = raw(ERROR, json.dumps({"error": "shutting_down", "message": "the server stops"}).encode())
    with open("big", "wb") as f:
        f.truncate(1 << 28)
    s = Server(stdin=subprocess.PIPE)
    s.client.stdin.write(b"/file big\n")
    s.client.stdin.flush()
    s.exactly(1 << 16)
    os.kill(s.pid, signal.SIGSTOP)  # so that the client finds both at once
    s.send(refusal)
    s.reset()
    time.sleep(0.1)
    os.kill(s.pid, signal.SIGCONT)
    out, err = s.client.communicate(timeout=30)
    assert s.client.returncode == 1 and b"shutting_down: the server stops" in err, err


def closed_early():
    """The server closes, as if all were well, before it has taken everything: that is no success."""
    with open("big", "wb") as f:
        f.truncate(3 << 20)
    s = Server(buffer=65536)
    s.client.stdin.write(b"/file big\n")
    s.end_of_input()
    s.exactly(1 << 16)
    time.sleep(0.5)  # the client has written all it can, here or after more was read
    while s.client.poll() is None and not s.closing():
        s.exactly(1 << 16)
    s.sock.shutdown(socket.SHUT_WR)
    out, err = s.client.communicate(timeout=30)
    assert s.client.returncode == 1 and b"did not take all" in err, (s.client.returncode, err)


def refusals():
    """Refused: the client ends, or tries again, as the answer says."""
    s = Server("--reconnect", answer=False)
    s.send(raw(EXISTS, b"x" * 100, b"y" * 100))
    status, _, err = s.end()
    assert status == 1 and "somebody has this name already" in err
    # Messages before the answer, then an answer that comes twice.
    s = Server(answer=False)
    s.send(message(FILE, b"early", filename="early") + raw(LOGIN_OK) + raw(LOGIN_OK) + raw(EXISTS))
    s.client.stdin.write(b"hello\n")
    s.end_of_input()
    assert s.exactly(21)[16:] == b"hello"
    status, out, _ = s.end()
    assert status == 0 and "early" in out and os.listdir("got") == ["early"]


def name_still_there():
    """The connection is lost, and the server has not noticed: the client tries until it is let in, with
    pauses that grow."""
    s = Server("--reconnect", "--json")
    lost = time.monotonic()
    s.reset()
    s.accept(answer=False)
    again = time.monotonic()
    s.send(raw(EXISTS))
    s.sock.close()
    s.accept()
    assert again - lost >= 1 and time.monotonic() - again >= 2, (again - lost, time.monotonic() - again)
    s.end_of_input()
    status, out, err = s.end()
    told = [json.loads(line)["ev"] for line in out.splitlines()]
    assert status == 0 and told == ["login", "disconnect", "disconnect", "login"], (status, told, err)


def local_times():
    """Times are those of where the user is, with the day where it is another."""
    os.environ["TZ"] = "IST-5:30"
    now = datetime.datetime.utcnow()
    yesterday = now - datetime.timedelta(days=1)
    s = Server()
    for when in now, yesterday:
        s.send(message(UTF8, "hello", timestamp=when.isoformat() + "Z"))
    s.end_of_input()
    status, out, _ = s.end()
    there = datetime.timedelta(hours=5, minutes=30)
    assert status == 0 and out == (f"{now + there:%H:%M} <eve> hello\n"
                                   f"{yesterday + there:%Y-%m-%d %H:%M} <eve> hello\n"), out


def pictures():
    """Bytes that only begin as pictures, for a terminal that shows some."""
    s = Server(terminal=True)
    s.terminal.read_until(lambda seen: b"\033[c" in seen)
    os.write(s.terminal.fd, b"\033[?62;4c")
    kinds = {"png": b"\x89PNG\r\n\x1a\n", "gif": b"GIF89a", "jpg": b"\xff\xd8\xff", "bmp": b"BM" + b"\xff" * 30,
             "webp": b"RIFF\xff\xff\xff\xffWEBP", "svg": b"<svg width='1e9' height='1e9'><image href='/etc/passwd'/>"}
    for kind, head in kinds.items():
        for rest in b"", b"\xff" * 5000, b"\0" * 5000:
            s.send(message(IMAGE, head + rest, filename="x." + kind))
        s.terminal.read_until(lambda seen: seen.count(b"%s picture" % kind.encode()) == 3)
    s.send(message(UTF8, "the end"))
    s.terminal.read_until(lambda seen: b"the end" in seen)
    assert b"passwd" not in s.terminal.seen
    s.leave_terminal()


globals()[sys.argv[1]]()
