"""A chat client written only from the original document, and what it must see of a server.

    chat_original.py ADDRESS:PORT SCENARIO [ARGUMENT ...]

Knows the types 1 and 3 to 9, 16-byte descriptors, and headers as the document gives them. A
reply to a login that it does not know means that it is in. Exit status 0: all was as it should be.
"""
import json
import os
import re
import select
import socket
import struct
import sys
import time

LOGIN, EXISTS, BAD_NAME, BAD_LOGIN, IMAGE, UTF8, FILE, VOICE = 1, 3, 4, 5, 6, 7, 8, 9
ERROR = 10  # not in the document: an unknown type whose header and content can be passed over


class Client:
    def __init__(self, address, name=None, as_json=False):
        host, port = address.rsplit(":", 1)
        self.sock = self.connect(host, int(port))
        self.sock.settimeout(20)
        self.name = name
        if name is not None:
            answer = self.login(name, as_json)
            assert answer not in (EXISTS, BAD_NAME, BAD_LOGIN), answer

    def connect(self, host, port):
        return socket.create_connection((host, port), 10)

    def login(self, name, as_json=False):
        header = json.dumps({"to": name, "filename": None}) if as_json else name
        self.send(LOGIN, header)
        return self.recv()[0]

    @staticmethod
    def pack(kind, header=b"", content=b"", size=None):
        if isinstance(header, str):
            header = header.encode()
        if isinstance(content, str):
            content = content.encode()
        size = len(content) if size is None else size
        return struct.pack(">HHIQ", kind, len(header), 0, size) + header + content

    def send(self, kind, header=b"", content=b"", size=None):
        self.sock.sendall(self.pack(kind, header, content, size))

    def exactly(self, n):
        parts = []
        while n:
            got = self.sock.recv(min(n, 1 << 20))
            if not got:
                raise EOFError
            parts.append(got)
            n -= len(got)
        return b"".join(parts)

    def recv(self):
        kind, hsize, _, csize = struct.unpack(">HHIQ", self.exactly(16))
        header = self.exactly(hsize)
        return kind, header, self.exactly(csize)

    def message(self):
        """The next message with its header as the document's struct."""
        kind, header, content = self.recv()
        head = json.loads(header)
        assert set(head) <= {"from", "timestamp", "filename", "to"}, head
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", head["timestamp"]), head
        return kind, head, content

    def error(self):
        kind, header, content = self.recv()
        assert kind == ERROR, (kind, header)
        assert content == b""
        return json.loads(header)["error"]

    def closed(self):
        """The server ends the connection, perhaps after last words."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return True

    def quiet(self, seconds=0.2):
        return not select.select([self.sock], [], [], seconds)[0]

    def close(self):
        self.sock.close()


def eventually(check, seconds=10):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


# ---- the document ----

def logins(address):
    a = Client(address, "ann")
    b = Client(address)
    assert b.login("ann") == EXISTS
    assert b.login(" ann") == BAD_NAME
    assert b.login("an\nn") == BAD_NAME
    assert b.login("x" * 33) == BAD_NAME
    assert b.login("ann\u202e") == BAD_NAME
    assert b.login("Zoe\u0308", as_json=True) not in (EXISTS, BAD_NAME, BAD_LOGIN)
    c = Client(address)
    assert c.login("Zo\u00eb") == EXISTS  # the same name in NFC
    assert c.login("Ann") not in (EXISTS, BAD_NAME, BAD_LOGIN)  # case matters
    look_alike = Client(address)
    assert look_alike.login("\u0430nn") == EXISTS  # a Cyrillic letter in front
    assert look_alike.login("Zoe\u0308 ") == BAD_NAME
    assert look_alike.login("Zo\u00eb  II") == BAD_NAME  # two blanks
    assert look_alike.login("\u0430\u043d\u043d\u0430") not in (EXISTS, BAD_NAME, BAD_LOGIN)
    d = Client(address)
    d.send(UTF8, b"", "hi")
    assert d.recv()[0] == BAD_LOGIN
    assert d.closed()
    # A name is free again when its owner is gone.
    a.close()

    def again():
        return Client(address).login("ann") not in (EXISTS, BAD_NAME, BAD_LOGIN)
    eventually(again)


def messages(address):
    a, b, c = Client(address, "ann"), Client(address, "bob", as_json=True), Client(address, "cy")
    big = os.urandom(300000)
    for kind, header, content, filename in (
            (UTF8, "", "привет", None),
            (IMAGE, "", b"\x89PNG...", None),
            (FILE, "a.bin", big, "a.bin"),
            (FILE, json.dumps({"to": None, "filename": "/etc/passwd"}), b"x", "passwd"),
            (FILE, "..\\..\\evil.exe", b"", "evil.exe"),
            (VOICE, json.dumps({"filename": "v.wav"}), b"RIFF", "v.wav"),
            (UTF8, "", "", None),
            (UTF8, "", "я" * 20000, None)):
        a.send(kind, header, content)
        want = content.encode() if isinstance(content, str) else content
        for r in (b, c):
            got, head, body = r.message()
            assert (got, head["from"], body) == (kind, "ann", want), (got, head, body[:40])
            assert head.get("filename") == filename and "to" not in head, head
    a.send(UTF8, json.dumps({"to": "cy"}), "secret")
    _, head, body = c.message()
    assert head["to"] == "cy" and body == b"secret"
    a.send(FILE, json.dumps({"to": "cy", "filename": "big"}), big)
    assert c.message()[2] == big
    assert b.quiet() and a.quiet()


def segments(address):
    """Byte by byte, and many messages in one segment."""
    a, b = Client(address), Client(address, "bob")
    a.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in a.pack(LOGIN, "ann") + a.pack(UTF8, json.dumps({"to": "bob"}), "slow"):
        a.sock.sendall(bytes([byte]))
    a.recv()
    assert b.message()[2] == b"slow"
    a.sock.sendall(b"".join(a.pack(UTF8, "", str(i)) for i in range(5000)))
    for i in range(5000):
        assert b.message()[2] == str(i).encode()


# ---- beyond it ----

def errors(address):
    a, b = Client(address, "ann"), Client(address, "bob")
    for kind, header, content, code in (
            (UTF8, json.dumps({"to": "nobody"}), "x", "user_not_found"),
            (UTF8, "hello", "x", "bad_header"),
            (UTF8, b"\xff", "x", "bad_header"),
            (UTF8, "{" * 5000, "x", "bad_header"),
            (UTF8, json.dumps({"to": 7}), "x", "bad_header"),
            (UTF8, "", b"\xff\xfe", "bad_text"),
            (UTF8, "", b"a" * 20000 + b"\xe2\x82", "bad_text"),
            (LOGIN, "eve", "", "already_logged_in"),
            (2, "", "x" * 100, "bad_type"),
            (10, "", "", "bad_type"),
            (0xffff, b"\0" * 65535, "x" * 70000, "bad_type"),
            (FILE, "big", b"x" * 2000000, "too_large")):  # the test sets --max-content 1M
        a.send(kind, header, content)
        got = a.error()
        assert got == code, (code, got)
        a.send(UTF8, "", code)  # the stream is in step
        assert b.message()[2] == code.encode()
    # A size that never comes is only discarded; nobody else notices.
    a.send(FILE, "huge", b"x" * 1000, size=(1 << 64) - 1)
    assert a.error() == "too_large"
    a.sock.sendall(b"y" * 100000)
    b.send(UTF8, json.dumps({"to": "bob"}), "self")
    assert b.message()[2] == b"self"


def garbage(address):
    """Whatever comes, the server lives and others talk."""
    a, b = Client(address, "ann"), Client(address, "bob")
    for i in range(60):
        g = Client(address, "g%d" % i if i % 2 else None)
        try:
            g.sock.sendall(os.urandom(3000))
        except OSError:
            pass
        g.close()
    a.send(UTF8, "", "still here")
    assert b.message()[2] == b"still here"


def slow_upload(address):
    """A sender of a byte a second, and one that never ends, hold nobody up."""
    a, b, c = Client(address, "ann"), Client(address, "bob"), Client(address, "cy")
    a.send(FILE, "slow", b"x", size=100000)
    c.sock.sendall(c.pack(UTF8, "", "never ending")[:20])
    b.send(UTF8, json.dumps({"to": "ann"}), "hello")
    assert a.message()[2] == b"hello"
    a.sock.sendall(b"y")
    b.send(UTF8, json.dumps({"to": "ann"}), "hello again")
    assert a.message()[2] == b"hello again"
    a.sock.sendall(b"z" * 99998)
    assert b.message()[2][:3] == b"xyz"


def overtaking(address):
    """Texts go ahead of a large file that has not begun, and the file still arrives."""
    a, b = Client(address, "ann"), Client(address, "bob")
    b.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 200000)
    big = os.urandom(8 << 20)
    a.send(FILE, "one", big)
    a.send(FILE, "two", big)
    eventually(lambda: not b.quiet(0))
    time.sleep(0.3)  # the first fills bob's socket; nothing to poll for here
    for i in range(100):
        a.send(UTF8, "", "text %d" % i)
    a.send(UTF8, json.dumps({"to": "ann"}), "done")
    a.message()  # the server has them all
    order = []
    while len(order) < 102:
        kind, head, body = b.message()
        order.append(head["filename"] if kind == FILE else body.decode())
        assert kind != FILE or body == big
    assert order[0] == "one" and order[-1] == "two", order


def never_reads(address, size="64"):
    """A receiver that does not read is disconnected; the others get everything."""
    a, b, dead = Client(address, "ann"), Client(address, "bob"), Client(address, "dead")
    chunk = os.urandom(1 << 20)
    for _ in range(int(size)):
        a.send(FILE, "f", chunk)
        assert b.message()[2] == chunk

    def gone():
        a.send(UTF8, json.dumps({"to": "dead"}), "x")
        a.send(UTF8, json.dumps({"to": "nobody"}), "x")
        return [a.error()] == ["user_not_found"] and not a.quiet(0.1)
    eventually(gone, 20)
    dead.close()


class Narrow(Client):
    """Small buffers on both sides, so that the server soon notices who does not read."""

    def connect(self, host, port):
        sock = socket.socket()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.settimeout(10)
        sock.connect((host, port))
        return sock


def never_reads_texts(address):
    """The test sets --max-queue 1M. Nobody keeps the 80 MB of a room's texts for one that never reads."""
    a, b, _dead = Client(address, "ann"), Client(address, "bob"), Narrow(address, "dead")
    text = b"x" * 16000
    for _ in range(500):
        a.sock.sendall(a.pack(UTF8, "", text) * 10)
        for _ in range(10):
            assert b.message()[2] == text


def leaver_stays(address):
    """The test sets --max-queue 256K. Who leaves with much to fetch does not keep the room's texts."""
    a, c, leaver = Client(address, "ann"), Client(address, "cy"), Narrow(address, "leaver")
    a.send(FILE, json.dumps({"to": "leaver", "filename": "f"}), b"x" * (4 << 20))
    leaver.exactly(1000)
    leaver.sock.shutdown(socket.SHUT_WR)

    def left():
        a.send(UTF8, json.dumps({"to": "leaver"}), "x")
        a.send(UTF8, json.dumps({"to": "ann"}), "x")
        gone = a.recv()[0] == ERROR
        if gone:
            a.recv()
        return gone
    eventually(left)
    for i in range(40):
        a.send(UTF8, "", "y" * 16000)
        assert c.message()[2] == b"y" * 16000
    rest = 0
    try:
        while got := len(leaver.sock.recv(1 << 16)):
            rest += got
    except ConnectionResetError:
        pass
    assert rest < 1 << 20, rest


def leaver_dawdles(address):
    """The test sets --send-timeout 1s. Leaving, too, one has to take 1 MiB in that time."""
    a, leaver = Client(address, "ann"), Narrow(address, "leaver")
    a.send(FILE, json.dumps({"to": "leaver", "filename": "f"}), b"x" * (4 << 20))
    leaver.exactly(1000)
    leaver.sock.shutdown(socket.SHUT_WR)
    end = time.monotonic() + 6
    try:
        while time.monotonic() < end and leaver.sock.recv(1 << 16):
            time.sleep(0.05)
    except ConnectionResetError:
        pass
    assert time.monotonic() < end, "still there"


def pressed(address, n_slow, n_fast, sip_size):
    """A room, slow readers who take something all the time, and a sender with 12 MB for all."""
    slow = [Narrow(address, "slow%d" % i) for i in range(int(n_slow))]
    fast = [Client(address) for _ in range(int(n_fast))]
    for i, f in enumerate(fast):  # the slow ones are alone in not asking for presence
        f.send(LOGIN, json.dumps({"to": "fast%d" % i, "presence": True}))
    a = fast[0]
    poller = select.poll()
    readers = {s.sock.fileno(): s.sock for s in fast}
    for sock in readers.values():
        poller.register(sock, select.POLLIN)
    todo = memoryview(a.pack(UTF8, "", "y" * 16000) * 750)
    a.sock.setblocking(False)
    start = sip = time.monotonic()
    got = 0
    while got < 12000000:  # what another one has of it: kernels hold much
        assert time.monotonic() < start + 15, got
        try:
            todo = todo[a.sock.send(todo):]
        except BlockingIOError:
            pass
        for fd, _ in poller.poll(10):
            n = len(readers[fd].recv(1 << 20))
            got += n if fd == fast[1].sock.fileno() else 0
        if time.monotonic() > sip + 0.1:
            sip = time.monotonic()
            for s in slow:
                if select.select([s.sock], [], [], 0)[0]:
                    try:
                        s.sock.recv(int(sip_size))
                    except ConnectionResetError:
                        pass


def private_flood(address):
    """Private messages cannot have somebody disconnected: beyond a bound the sender is told."""
    a, b = Client(address, "ann"), Client(address, "bob")
    text = "x" * 16000
    to_bob = a.pack(UTF8, json.dumps({"to": "bob"}), text)
    busy = 0
    for i in range(3000):  # 48 MB; bob may be 16 MiB behind, half of that in private
        a.sock.sendall(to_bob)
        while not a.quiet(0):
            assert a.error() == "busy"
            busy += 1
    a.send(UTF8, json.dumps({"to": "ann"}), "end")
    while True:
        kind, header, _ = a.recv()
        if kind == UTF8:
            break
        assert json.loads(header)["error"] == "busy"
        busy += 1
    assert busy > 500, busy
    for i in range(3000 - busy):
        assert b.message()[2] == text.encode()
    a.send(UTF8, json.dumps({"to": "bob"}), "again")
    assert b.message()[2] == b"again"


def passwords(address):
    """The test has a user ann with the password geheim. What is not it gets BadLogin, however long it is."""
    for password in ("geheim ", "g" * 255, "g" * 256, "g" * 3000, 7, ["geheim"]):
        c = Client(address)
        c.send(LOGIN, json.dumps({"to": "ann", "password": password}))
        kind, header, _ = c.recv()
        assert kind == BAD_LOGIN and c.closed(), (password, kind, header)
    c = Client(address)
    c.send(LOGIN, json.dumps({"to": " ann", "password": "geheim"}))
    assert c.recv()[0] == BAD_NAME
    c.send(LOGIN, json.dumps({"to": "ann", "password": "geheim"}))
    assert c.recv()[0] not in (EXISTS, BAD_NAME, BAD_LOGIN)


def password_storm(address):
    """More logins than can wait to be checked: nobody is told that the password is wrong."""
    crowd = [Client(address) for _ in range(400)]
    for c in crowd:
        c.send(LOGIN, json.dumps({"to": "ann", "password": "geheim"}))
    eventually(lambda: not crowd[-1].quiet(0))
    full = 0
    for c in reversed(crowd):
        if not c.quiet(0):
            kind, header, _ = c.recv()
            assert kind != BAD_LOGIN
            if kind == ERROR:
                assert json.loads(header)["error"] == "server_full" and c.closed()
                full += 1
    assert full > 50, full


def rate(address):
    """The test sets --rate 10 --burst 20 --limit-loopback."""
    a, b = Client(address, "ann"), Client(address, "bob")
    for i in range(24):
        a.send(UTF8, "", str(i))
    assert a.error() == "rate_warning"
    assert a.error() == "rate"
    for i in range(21):
        assert b.message()[2] == str(i).encode()
    for i in range(200):
        try:
            a.send(2 if i % 2 else UTF8, "", "flood")  # what is refused anyway counts, too
        except OSError:
            break
    codes = []
    try:
        while True:
            codes.append(a.error())
    except (EOFError, OSError):
        pass
    assert codes[-1] == "flood", codes[-3:]


def address_limit(address):
    """The test sets --max-per-address 3 --limit-loopback."""
    held = [Client(address, "u%d" % i) for i in range(3)]
    fourth = Client(address)
    assert fourth.error() == "server_full"
    assert fourth.closed()
    held[0].close()

    def again():
        try:
            return Client(address).login("again") not in (EXISTS, BAD_NAME, BAD_LOGIN, ERROR)
        except (EOFError, OSError):
            return False
    eventually(again)


def timeouts(address):
    """The test sets --login-timeout 1s --message-timeout 1s."""
    late, a = Client(address), Client(address, "ann")
    a.sock.sendall(a.pack(UTF8, "", "half")[:18])
    assert late.error() == "timeout" and late.closed()
    assert a.error() == "timeout" and a.closed()


def idle(address):
    """The test sets --idle-timeout 2s. Who says nothing is disconnected, others are not."""
    silent, busy = Client(address, "ann"), Client(address, "bob")
    end = time.monotonic() + 6
    while silent.quiet(0.3):
        assert time.monotonic() < end, "still there"
        busy.send(UTF8, json.dumps({"to": "bob"}), "still here")
        assert busy.message()[2] == b"still here"
    assert silent.error() == "timeout" and silent.closed()


def long_headers(address):
    """The test sets --max-header 512."""
    a, b = Client(address, "ann"), Client(address, "bob")
    a.send(UTF8, json.dumps({"to": "bob"}).ljust(513), "x")
    assert a.error() == "bad_header"
    a.send(UTF8, json.dumps({"to": "bob"}).ljust(512), "it fits")
    assert b.message()[2] == b"it fits"


def no_space(address):
    """The spool has no room: the sender is told, and goes on."""
    a, b = Client(address, "ann"), Client(address, "bob")
    a.send(FILE, "big", b"x" * (4 << 20))
    assert a.error() == "no_space"
    a.send(UTF8, "", "small still works")
    assert b.message()[2] == b"small still works"


def spool_share(address):
    """The test sets --max-spool 4M --limit-loopback: 2 MiB for all that come from here."""
    a, b, c = Client(address, "ann"), Client(address, "bob"), Client(address, "cy")
    a.send(FILE, "half", b"x" * 1200000, size=1500000)

    def refused():
        b.send(FILE, json.dumps({"to": "cy", "filename": "more"}), b"y" * 1500000)
        b.send(UTF8, json.dumps({"to": "bob"}), "and")
        kind, header, _ = b.recv()
        if kind != ERROR:
            assert c.message()[2] == b"y" * 1500000
            return False
        assert json.loads(header)["error"] == "no_space"
        return b.message()[2] == b"and"
    eventually(refused)
    a.sock.sendall(b"x" * 300000)
    assert len(b.message()[2]) == 1500000 and len(c.message()[2]) == 1500000
    # Delivered and gone: there is room again.
    eventually(lambda: not refused())


def spool_files(address):
    """The test leaves the server 64 descriptors: contents do not take those of connections."""
    a, b = Client(address, "ann"), Narrow(address, "bob")
    for i in range(70):
        a.send(FILE, json.dumps({"to": "bob", "filename": "f%d" % i}), b"x" * 17000)
    a.send(UTF8, json.dumps({"to": "ann"}), "done")
    refused = 0
    while (got := a.recv())[0] == ERROR:
        assert json.loads(got[1])["error"] == "no_space"
        refused += 1
    assert 0 < refused < 70, refused
    Client(address, "cy").send(UTF8, json.dumps({"to": "ann"}), "here")
    assert a.message()[2] == b"here"
    for i in range(70 - refused):
        assert len(b.message()[2]) == 17000


def presence(address):
    a = Client(address)
    a.send(LOGIN, json.dumps({"to": "ann", "presence": True}))
    assert a.recv()[0] == 2
    kind, header, content = a.recv()
    assert (kind, header, json.loads(content)) == (13, b"", ["ann"])
    b = Client(address, "bob")
    kind, header, content = a.recv()
    assert (kind, json.loads(header)["from"], content) == (11, "bob", b"")
    b.send(UTF8, "", "hi")
    assert a.message()[2] == b"hi"
    b.close()
    kind, header, _ = a.recv()
    assert (kind, json.loads(header)["from"]) == (12, "bob")
    c = Client(address, "cy")  # did not ask
    a.recv()
    Client(address, "di").close()
    assert c.quiet()


def history(address):
    """The test sets --history 3."""
    a = Client(address, "ann")
    for i in range(5):
        a.send(UTF8, "", str(i))
    a.send(UTF8, json.dumps({"to": "ann"}), "done")
    stamp = a.message()[1]["timestamp"]
    b = Client(address, "bob")
    for i in (2, 3, 4):
        _, head, body = b.message()
        assert body == str(i).encode() and head["timestamp"] <= stamp
    assert b.quiet()


def long_history(address):
    """The test sets --history 100 --max-queue 256K: of 40 texts of 16 KiB the last 7 fit in half."""
    a = Client(address, "ann")
    for i in range(40):
        a.send(UTF8, "", "%02d" % i + "x" * 16382)
    a.send(UTF8, json.dumps({"to": "ann"}), "done")
    a.message()
    b = Client(address, "bob")
    for i in range(33, 40):
        assert b.message()[2][:2] == b"%02d" % i
    assert b.quiet()


def half_closed(address):
    """Who ends its side still gets the answers to what it sent."""
    a = Client(address, "ann")
    a.send(UTF8, json.dumps({"to": "nobody"}), "x")
    a.sock.shutdown(socket.SHUT_WR)
    assert a.error() == "user_not_found"
    assert a.closed()


def listens(address):
    try:
        Client(address).close()
    except OSError:
        return False
    return True


def upload_then_stop(address, pid):
    """SIGTERM in the middle of an upload: it is finished, delivered, and the server ends."""
    a, b, late = Client(address, "ann"), Client(address, "bob"), Client(address)
    a.send(FILE, "f", b"x" * 50000, size=200000)
    eventually(lambda: any("(deleted)" in os.readlink("/proc/%s/fd/%s" % (pid, fd))
                           for fd in os.listdir("/proc/%s/fd" % pid)))
    os.kill(int(pid), 15)
    # Nobody is let in meanwhile.
    eventually(lambda: not listens(address))
    late.send(LOGIN, "late")
    assert late.error() == "shutting_down" and late.closed()
    a.sock.sendall(b"x" * 150000)
    while True:
        kind, header, content = b.recv()
        if kind == FILE:
            break
    assert len(content) == 200000
    assert b.closed() and a.closed()


def endless_upload_then_stop(address, pid):
    """SIGTERM during an upload that does not go on; it ends with the server."""
    a = Client(address, "ann")
    a.send(FILE, "f", b"x" * 50000, size=200000)
    eventually(lambda: any("(deleted)" in os.readlink("/proc/%s/fd/%s" % (pid, fd))
                           for fd in os.listdir("/proc/%s/fd" % pid)))
    os.kill(int(pid), 15)
    assert a.closed()


if __name__ == "__main__":
    globals()[sys.argv[2]](sys.argv[1], *sys.argv[3:])
