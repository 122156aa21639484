"""Heavy loads on the chat server, by the client from the original document: SCENARIO ADDRESS PID."""
import json
import os
import resource
import selectors
import socket
import struct
import sys
import threading
import time

from chat_original import EXISTS, FILE, UTF8, Client, eventually


def rss_mib(pid, what="VmRSS"):
    with open("/proc/%s/status" % pid) as f:
        for line in f:
            if line.startswith(what):
                return int(line.split()[1]) / 1024


def drain(socks, want, seconds, on_data=None):
    """Reads from all until each has `want` bytes."""
    sel = selectors.DefaultSelector()
    got = {}
    for s in socks:
        s.setblocking(False)
        sel.register(s, selectors.EVENT_READ)
        got[s] = 0
    left, end = len(socks), time.monotonic() + seconds
    while left:
        assert time.monotonic() < end, "%d receivers lack something" % left
        for key, _ in sel.select(1):
            n = len(key.fileobj.recv(1 << 20, socket.MSG_TRUNC)) if on_data is None else \
                on_data(key.fileobj)
            assert n, "a receiver was disconnected"
            before = got[key.fileobj]
            got[key.fileobj] = before + n
            if before < want <= before + n:
                left -= 1
    assert all(n == want for n in got.values()), "more than was sent"


def users_5000(address, pid):
    users = [Client(address, "u%d" % i) for i in range(5000)]
    sender = users[0]
    probe = users[1]
    for i in range(200):
        sender.send(UTF8, "", "x" * 64)
    one = 0
    for _ in range(200):
        kind, header, content = probe.recv()
        one += 16 + len(header) + len(content)
    drain([u.sock for u in users[2:]], one, 60)
    print("5,000 users, 1,000,000 deliveries; server %.0f MiB" % rss_mib(pid))
    assert rss_mib(pid, "VmHWM") < 64


def connects(address, pid, seconds="10", rate="2000", delay="0.5"):
    """Connections as fast as they can be made, at least `rate` a second for `seconds`, while others
    talk with at most `delay`."""
    host, port = address.rsplit(":", 1)
    a, b = Client(address, "ann"), Client(address, "bob")
    stop = time.monotonic() + float(seconds)
    count = [0, 0]

    def storm(k):
        while time.monotonic() < stop:
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            try:
                s.connect((host, int(port)))
                count[k] += 1
            except OSError:
                pass
            s.close()
    children = []
    for k in range(2):
        child = os.fork()
        if not child:
            storm(k)
            with open("storm-%d" % k, "w") as f:
                f.write(str(count[k]))
            os._exit(0)
        children.append(child)
    worst = 0
    while time.monotonic() < stop:
        begin = time.monotonic()
        a.send(UTF8, "", "ping")
        assert b.message()[2] == b"ping"
        worst = max(worst, time.monotonic() - begin)
        time.sleep(0.01)
    for child in children:
        os.waitpid(child, 0)
    total = sum(int(open("storm-%d" % k).read()) for k in range(2))
    print("%d connections a second, worst delay %.0f ms" % (total / float(seconds), worst * 1000))
    assert total > float(seconds) * float(rate) and worst < float(delay)


def gigabyte(address, pid, size):
    """`size` MiB to 10 receivers who read, and one who never does: nobody else notices."""
    size = int(size) << 20
    sender, idle = Client(address, "sender"), Client(address, "idle")
    readers = [Client(address, "r%d" % i) for i in range(10)]
    chunk = os.urandom(1 << 20)
    got = [0] * 10

    def upload():
        sender.send(FILE, "big", b"", size=size)
        left = size
        while left:
            sender.sock.sendall(chunk[:min(left, len(chunk))])
            left -= min(left, len(chunk))

    def read(k):
        buf = bytearray(1 << 20)
        readers[k].sock.settimeout(300)  # nothing comes before the upload is complete
        kind, hsize, _, csize = struct.unpack(">HHIQ", readers[k].exactly(16))
        readers[k].exactly(hsize)
        assert kind == FILE and csize == size
        while got[k] < size:
            n = readers[k].sock.recv_into(buf, min(len(buf), size - got[k]))
            assert n
            at = got[k] % len(chunk)
            assert buf[:1] == chunk[at:at + 1]
            got[k] += n
    start = time.monotonic()
    threads = [threading.Thread(target=upload)] + \
              [threading.Thread(target=read, args=(k,)) for k in range(10)]
    for t in threads:
        t.start()
    # Everybody in the room is busy with the file; newcomers must find the server quick.
    worst = n = 0
    while any(t.is_alive() for t in threads):
        begin = time.monotonic()
        visitor = Client(address, "visitor%d" % n)
        visitor.send(UTF8, json.dumps({"to": visitor.name}), "ping")
        visitor.recv()
        worst = max(worst, time.monotonic() - begin)
        visitor.close()
        n += 1
        time.sleep(0.05)
    for t in threads:
        t.join()
    assert all(n == size for n in got), got
    print("%d MiB to 10: %.1f s, worst delay of newcomers %.0f ms, server %.0f MiB at most" %
          (size >> 20, time.monotonic() - start, worst * 1000, rss_mib(pid, "VmHWM")))
    assert rss_mib(pid, "VmHWM") < 64

    # The one who never reads goes in the end, and the file with it.
    def spooled():
        return [fd for fd in os.listdir("/proc/%s/fd" % pid)
                if "(deleted)" in os.readlink("/proc/%s/fd/%s" % (pid, fd))]
    eventually(lambda: not spooled(), 60)
    eventually(lambda: Client(address).login("idle") != EXISTS, 20)
    idle.close()


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    globals()[sys.argv[1]](*sys.argv[2:])
