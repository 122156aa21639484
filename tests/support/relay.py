#!/usr/bin/python3
"""A bad network for tests, without root: a UDP relay between real clients and msr-sfu.

    relay.py --ports 20000-20099 [--address IP] [--server IP] [--seed N] [--up JSON] [--down JSON]

    client ── UDP ──> address:(port + offset) ──[ up: loss, queue, delay ]──> server:port
           <────────────────────────────────[ down ]─────────────────────────

It listens on one port for each media port of the server (RTC_MIN_PORT to RTC_MAX_PORT, at most 512) at
a constant offset, so that a description is rewritten without asking. Behind it each client has a socket
of its own, as behind a NAT. When it is ready it prints one line:

    {"address": "172.17.0.2", "offset": 1234, "control": "http://127.0.0.1:23456/"}

The test writes address and port + offset into the UDP candidates that the client gets, and takes the
client's own candidates out of what the server gets, so that only the relayed pair can work. rewrite()
and strip() below do so in Python, throughRelay() of tests/browser/support.mjs in a page. The default
addresses are the machine's own, because Firefox neither connects to loopback nor believes an answer that
it was seen there; without one, 127.0.0.1.

One process is one network: whoever goes through it shares its bottleneck. Run one for each viewer
that has a network of its own. For each direction, with these defaults:

    {"loss": 0,            percent of datagrams lost at random
     "duplicate": 0,       percent sent twice
     "delay": 0,           ms
     "jitter": 0,          ms: each datagram is delayed by 0 to so many more
     "reorder": false,     whether one may overtake another by that
     "kbps": 0,            bottleneck, IP and UDP headers counted; 0: none
     "queue": 200}         ms that may wait before the bottleneck; what comes then is lost

Control, from pages too (CORS):

    POST /  {"up": {"loss": 5}, "down": {"kbps": 300}}   changes what is named, at once
    POST /  {"rebind": true}      new sockets towards the server, as when a NAT forgets its mappings
    POST /  {"reset": true}       counters from 0
    GET  /  (and what POST answers) {"up": {...settings, "in", "in_bytes", "lost", "overflow", "out",
            "out_bytes", "queued_ms" (now), "queued_ms_max"}, "down": {...}, "clients": n}

Ends with SIGTERM. About 20,000 datagrams a second of one core (35 us each); times are good to 1 ms.
"""
import argparse
import heapq
import http.server
import itertools
import json
import random
import re
import select
import signal
import socket
import sys
import threading
import time

SETTINGS = {'loss': 0, 'duplicate': 0, 'delay': 0, 'jitter': 0, 'reorder': False, 'kbps': 0, 'queue': 200}
COUNTERS = ('in', 'in_bytes', 'lost', 'overflow', 'out', 'out_bytes')
HEADERS = 28  # bytes of IPv4 and UDP, which the bottleneck carries too
PORTS_MAX = 512
CLIENTS_MAX = 4096  # (client, port) pairs; datagrams of more are dropped
BATCH = 32  # datagrams read from a socket before others have their turn


def rewrite(sdp, relay):
    """A description of the server, with the relay (its line of readiness, parsed) in place of it."""
    def candidate(found):
        foundation, component, priority, port = found.groups()
        return (f'a=candidate:{foundation} {component} udp {priority} {relay["address"]} '
                f'{int(port) + relay["offset"]} typ host')

    out, seen = [], set()
    for line in sdp.replace('\r\n', '\n').split('\n'):
        if line.startswith('a=candidate:'):
            line = re.sub(r'^a=candidate:(\S+) (\d+) udp (\d+) \S+ (\d+) typ host.*$', candidate, line, flags=re.I)
            port = line.split()[5]
            if relay['address'] not in line or port in seen:  # TCP, and further addresses of a port
                continue
            seen.add(port)
        if line.startswith('m='):
            seen = set()
        out.append(line)
    return '\r\n'.join(out)


def strip(sdp):
    """A description of the client, without its candidates."""
    return re.sub(r'a=candidate:.*\r?\n', '', sdp)


class Direction:
    """What one direction does to a datagram: admit() says when it is to be sent, if at all."""

    def __init__(self, settings, rng):
        self.settings, self.rng = {**SETTINGS, **settings}, rng
        self.free_at = self.last_at = 0.0
        self.reset()

    def reset(self):
        self.count, self.queued_max = dict.fromkeys(COUNTERS, 0), 0.0

    def queued_ms(self):
        return max(0.0, self.free_at - time.monotonic()) * 1000

    def admit(self, size, now):
        """The times at which to send it: none, one or two."""
        s, c = self.settings, self.count
        c['in'] += 1
        c['in_bytes'] += size
        if self.rng.random() * 100 < s['loss']:
            c['lost'] += 1
            return ()
        at = now
        if s['kbps']:
            waits = max(0.0, self.free_at - now)
            if waits * 1000 > s['queue']:
                c['overflow'] += 1
                return ()
            self.queued_max = max(self.queued_max, waits * 1000)
            at = self.free_at = now + waits + (size + HEADERS) * 8 / (s['kbps'] * 1000)
        at += (s['delay'] + self.rng.random() * s['jitter']) / 1000
        if not s['reorder']:
            at = self.last_at = max(at, self.last_at)
        return (at, at) if self.rng.random() * 100 < s['duplicate'] else (at,)

    def sent(self, size):
        self.count['out'] += 1
        self.count['out_bytes'] += size

    def report(self):
        return {**self.settings, **self.count, 'queued_ms': round(self.queued_ms(), 1),
                'queued_ms_max': round(self.queued_max, 1)}


class Relay:
    def __init__(self, args):
        rng = random.Random(args.seed)
        self.up, self.down = Direction(args.up, rng), Direction(args.down, rng)
        self.address, self.server = args.address, args.server
        self.family = socket.AF_INET6 if ':' in args.server else socket.AF_INET
        self.poll = select.epoll()
        self.near = {}  # descriptor -> (socket, port of the server)
        self.far = {}  # descriptor -> (socket, near socket, client)
        self.clients = {}  # (near descriptor, client) -> far socket
        self.due, self.order = [], itertools.count()
        self.rebind = self.end = False
        self.offset = self.listen(*args.ports)

    def socket(self, family):
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            s.setsockopt(socket.SOL_SOCKET, option, 1 << 20)
        return s

    def listen(self, first, last):
        """Binds a port for each of the server's at one offset. Returns it."""
        family = socket.AF_INET6 if ':' in self.address else socket.AF_INET
        for _ in range(200):
            base, sockets = random.randrange(20000, 32000 - (last - first)), []
            try:
                for port in range(first, last + 1):
                    sockets.append(self.socket(family))
                    sockets[-1].bind((self.address, base + port - first))
            except OSError:
                for s in sockets:
                    s.close()
                continue
            for port, s in zip(range(first, last + 1), sockets):
                self.near[s.fileno()] = s, port
                self.poll.register(s.fileno(), select.EPOLLIN)
            return base - first
        sys.exit('no free block of ports')

    def far_of(self, near, port, client):
        key = near.fileno(), client
        s = self.clients.get(key)
        if not s and len(self.clients) < CLIENTS_MAX:
            s = self.socket(self.family)
            s.connect((self.server, port))
            self.clients[key] = s
            self.far[s.fileno()] = s, near, client
            self.poll.register(s.fileno(), select.EPOLLIN)
        return s

    def forget(self):
        """What waits for the old sockets is lost with them."""
        for s, _, _ in self.far.values():
            self.poll.unregister(s.fileno())
            s.close()
        self.far, self.clients, self.rebind = {}, {}, False

    def later(self, direction, data, now, sock, to):
        for at in direction.admit(len(data), now):
            heapq.heappush(self.due, (at, next(self.order), direction, sock, data, to))

    def read(self, fd, now):
        near = self.near.get(fd)
        for _ in range(BATCH):
            try:
                if near:
                    data, client = near[0].recvfrom(65536)
                    sock = self.far_of(near[0], near[1], client)
                    if sock:
                        self.later(self.up, data, now, sock, None)
                elif fd in self.far:
                    sock, back, client = self.far[fd]
                    self.later(self.down, sock.recv(65536), now, back, client)
                else:
                    return
            except BlockingIOError:
                return
            except OSError:  # nobody listens there any more
                continue

    def send_due(self, now):
        while self.due and self.due[0][0] <= now:
            _, _, direction, sock, data, to = heapq.heappop(self.due)
            try:
                if to:
                    sock.sendto(data, to)
                else:
                    sock.send(data)
                direction.sent(len(data))
            except OSError:  # closed meanwhile, or the other side is gone
                pass

    def run(self):
        while not self.end:
            wait = min(0.2, max(0.0, self.due[0][0] - time.monotonic())) if self.due else 0.2
            for fd, _ in self.poll.poll(wait):
                self.read(fd, time.monotonic())
            if self.rebind:
                self.forget()
            self.send_due(time.monotonic())

    def change(self, wish):
        """What a POST asks for; an error text or None. On the control thread: only sets what run() reads."""
        for name, direction in (('up', self.up), ('down', self.down)):
            new = wish.get(name, {})
            if set(new) - set(SETTINGS):
                return f'unknown: {sorted(set(new) - set(SETTINGS))}'
            direction.settings = {**direction.settings, **new}
            if wish.get('reset'):
                direction.reset()
        self.rebind = self.rebind or bool(wish.get('rebind'))
        return None

    def report(self):
        return {'up': self.up.report(), 'down': self.down.report(), 'clients': len(self.clients)}


def control(relay):
    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self, status, body):
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header('Content-Type', 'application/json')
            self.send_header('Content-Length', str(len(text)))
            self.send_header('Access-Control-Allow-Origin', '*')
            self.send_header('Access-Control-Allow-Headers', '*')
            self.end_headers()
            self.wfile.write(text)

        def do_OPTIONS(self):
            self.answer(200, {})

        def do_GET(self):
            self.answer(200, relay.report())

        def do_POST(self):
            try:
                wish = json.loads(self.rfile.read(int(self.headers.get('Content-Length', 0))))
                wrong = relay.change(wish)
            except (ValueError, AttributeError, TypeError) as e:
                wrong = str(e)
            self.answer(400 if wrong else 200, {'error': wrong} if wrong else relay.report())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f'http://127.0.0.1:{server.server_port}/'


def own_address():
    """Where this machine would send from; connecting a UDP socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(('192.0.2.1', 9))
            return s.getsockname()[0]
        except OSError:
            return '127.0.0.1'


def port_range(text):
    first, last = (int(port) for port in text.split('-'))
    if not 0 < first <= last < min(65536, first + PORTS_MAX):
        raise ValueError(text)
    return first, last


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--ports', type=port_range, required=True, help="the server's media ports, FIRST-LAST")
    parser.add_argument('--address', default=own_address(), help='to listen on')
    parser.add_argument('--server', default=own_address(), help='its numeric address')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--up', type=json.loads, default={}, help='client to server')
    parser.add_argument('--down', type=json.loads, default={}, help='server to client')
    args = parser.parse_args()
    if (set(args.up) | set(args.down)) - set(SETTINGS):
        parser.error('unknown setting')
    relay = Relay(args)
    signal.signal(signal.SIGTERM, lambda *_: setattr(relay, 'end', True))
    signal.signal(signal.SIGINT, lambda *_: setattr(relay, 'end', True))
    print(json.dumps({'address': relay.address, 'offset': relay.offset, 'control': control(relay)}), flush=True)
    relay.run()


if __name__ == '__main__':
    main()
