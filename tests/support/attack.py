#!/usr/bin/python3
"""Attacks on msr-sfu, one at a time: attack.py URL NAME [ARG ...]. Exits with 0 when the server answered each
as it should; whether anybody else was disturbed, a witness tells (sfu.py URL witness FILE)."""
import asyncio
import json
import os
import random
import re
import socket
import struct
import sys
import time
from urllib.parse import urlsplit

from sfu_client import User
from sfu_http import URL, call, http  # reads the URL from the arguments as well

RNG = random.Random(7)
HOST, PORT = urlsplit(URL).hostname, urlsplit(URL).port


def media_ports():
    return range(int(os.environ["RTC_MIN_PORT"]), int(os.environ["RTC_MIN_PORT"]) + 12)


async def grows(name, least):
    """Threads publish their counters once a second."""
    for _ in range(100):
        if await metric(name) >= least:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{name} is {await metric(name)}, not {least}: the attack did not arrive")


async def metric(name):
    text = await call("GET", "/metrics")
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def udp(host):
    """A socket that never waits: what does not fit is the attacker's loss."""
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    s.setblocking(False)
    return s, host


async def media_hosts():
    """Where the server takes media, as it offers it: which of them the witness uses is ICE's choice."""
    await call("POST", "/rooms", {"room_id": "look"}, want=201)
    offer = (await call("POST", "/rooms/look/users/look", {}, want=201))["offer"]
    await call("DELETE", "/rooms/look")
    return sorted(set(re.findall(r"candidate:\S+ 1 udp \d+ (\S+) \d+ typ host", offer, re.IGNORECASE)))


def throw(to, data, port):
    s, host = to
    try:
        s.sendto(data, (host, port))
    except OSError:
        pass


def stun(kind, *attributes):
    body = b"".join(struct.pack(">HH", t, len(v)) + v + bytes(-len(v) % 4) for t, v in attributes)
    return struct.pack(">HHI", kind, len(body), 0x2112A442) + RNG.randbytes(12) + body


def rtp(seq, ssrc, payload, pt=111, first=0x80, extension=b""):
    return struct.pack(">BBHII", first, pt, seq & 0xffff, seq * 960 & 0xffffffff, ssrc) + extension + payload


async def flood():
    """STUN, DTLS, RTP and RTCP from strangers to the media ports, 30,000 datagrams from 24 sockets."""
    hosts = await media_hosts()
    sockets = [udp(hosts[i % len(hosts)]) for i in range(24)]
    user = RNG.randbytes(40).hex().encode()
    before = await metric("msr_sfu_rx_stray_total")
    for i in range(30000):
        s, port = sockets[i // 6 % 24], RNG.choice(media_ports())
        kind = i % 6
        if kind == 0:
            data = stun(1, (6, user), (0x24, bytes(4)), (0x802a, bytes(8)), (0x25, b""), (8, RNG.randbytes(20)))
        elif kind == 1:
            data = stun(RNG.choice([0x101, 0x111, 0x11, 3]), (8, RNG.randbytes(20)), (0x20, bytes(8)))
        elif kind == 2:  # lengths that lie
            data = stun(1, (6, user))[:RNG.randrange(1, 60)] + struct.pack(">HH", 6, 0xffff)
        elif kind == 3:  # a ClientHello, cut somewhere
            data = (bytes.fromhex("16feff000000000000000000380100002c000000000000002cfefd") + RNG.randbytes(32)
                    + bytes.fromhex("00000002c02b0100"))[:RNG.randrange(1, 70)]
        elif kind == 4:
            data = rtp(i, 7, RNG.randbytes(RNG.choice([0, 30, 1200, 1600, 9000])))
        else:
            data = struct.pack(">BBHI", RNG.choice([0x80, 0x9f]), RNG.randrange(200, 208), RNG.randrange(65536), 7)
        throw(s, data, port)
        if i % 200 == 0:
            await asyncio.sleep(0.005)
    await grows("msr_sfu_rx_stray_total", before + 100)


class Publisher(User):
    """Somebody with keys, who sends what he likes."""

    async def begin(self):
        await self.join()
        await self.publish()
        self.dtls = self.send.getTransceivers()[0].sender.transport
        for _ in range(200):
            if self.dtls.state == "connected":
                return self
            await asyncio.sleep(0.05)
        raise AssertionError("no connection")

    async def sealed(self, packet):
        """As SRTP or SRTCP, and where libsrtp refuses to seal it, in the clear."""
        try:
            await self.dtls._send_rtp(packet)
        except Exception:  # pylint: disable=broad-except
            await self.raw(packet + RNG.randbytes(16))

    async def raw(self, data):
        await self.dtls.transport._send(data)

    async def stop_sending(self):
        """The connection stays. Number and time of the last packet of each SSRC."""
        last, real = {}, self.dtls._send_rtp

        async def watch(data):
            if not 192 <= data[1] <= 223:
                seq, ts, ssrc = struct.unpack_from(">HII", data, 2)
                last[ssrc] = seq, ts
            await real(data)
        self.dtls._send_rtp = watch
        await asyncio.sleep(0.5)
        for transceiver in self.send.getTransceivers():
            await transceiver.sender.stop()
        self.dtls._send_rtp = real
        return last


async def insider(name):
    await call("POST", "/rooms", {"room_id": "evil"}, want=201)
    return await Publisher("evil", name).begin()


async def outsider(publisher):
    await publisher.close()
    await call("DELETE", "/rooms/evil")


async def early():
    """RTP, RTCP and data of a client whose DTLS has not begun: its own ICE lets them in."""
    await call("POST", "/rooms", {"room_id": "evil"}, want=201)
    before = await metric("msr_sfu_rx_stray_total")
    ann = User("evil", "ann")
    begun = asyncio.Event()
    await ann.join()
    original = ann.send._RTCPeerConnection__connect

    async def connect():
        for transceiver in ann.send.getTransceivers():
            dtls = transceiver.sender.transport
            real = dtls.start

            async def start(parameters, dtls=dtls, real=real):
                for i in range(500):
                    await dtls.transport._send(rtp(i, 1, bytes(100)))
                    await dtls.transport._send(struct.pack(">BBHI", 0x80, 201, 1, 1) + RNG.randbytes(14))
                    await dtls.transport._send(RNG.randbytes(200))
                begun.set()
                await real(parameters)
            dtls.start = start
        await original()
    ann.send._RTCPeerConnection__connect = connect
    await ann.publish(video=False)
    await asyncio.wait_for(begun.wait(), 20)
    for _ in range(200):
        if ann.send.connectionState == "connected":
            break
        await asyncio.sleep(0.05)
    assert ann.send.connectionState == "connected", ann.send.connectionState
    await grows("msr_sfu_rx_stray_total", before + 300)
    await ann.close()
    await call("DELETE", "/rooms/evil")


async def replay():
    """Every SRTP packet of a publisher four times more, at once and later; and with a bit changed."""
    eve = await insider("eve")
    viewer = User("evil", "bob")
    await viewer.join()
    send, kept = eve.dtls.transport._send, []

    async def again(data):
        await send(data)
        if 128 <= data[0] <= 191:
            kept.append(data)
            for old in [data, *RNG.sample(kept, min(3, len(kept)))]:
                await send(old)
            flipped = bytearray(data)
            flipped[RNG.randrange(len(data))] ^= 1 << RNG.randrange(8)
            await send(bytes(flipped))
    before = await metric("msr_sfu_rx_unauthentic_total")
    eve.dtls.transport._send = again
    track = await viewer.next_track("audio", 15)
    times = [(await asyncio.wait_for(track.recv(), 15)).pts for _ in range(100)]
    assert times == sorted(set(times)), "a packet was forwarded twice"
    await grows("msr_sfu_rx_unauthentic_total", before + 200)
    await viewer.close()
    await outsider(eve)


async def packets():
    """RTP and RTCP that are authentic and wrong: extensions, paddings, payloads, sizes, compounds."""
    eve = await insider("eve")
    viewer = User("evil", "bob")
    await viewer.join()
    before = await metric("msr_sfu_rx_packets_total")
    ssrcs = [t.sender._ssrc for t in eve.send.getTransceivers()]
    for i in range(3000):
        seq = 50000 + i
        pt = RNG.choice([96, 97, 98, 99, 100, 111, RNG.randrange(128)])
        ext = RNG.choice([
            struct.pack(">HH", 0xBEDE, 0xffff), struct.pack(">HH", 0xBEDE, 1) + b"\x1f\x00\x00\x00",
            struct.pack(">HH", 0xBEDE, 3) + b"\x10a\x2fbbbb\xff\xff\xff\xff\xff\xff",
            struct.pack(">HH", 0x1000, 2) + b"\x01\xffabcdef", struct.pack(">HH", 0x100f, 1) + b"\x01\x00\x00\x05",
            struct.pack(">HH", 0xBEDE, 60) + RNG.randbytes(240), struct.pack(">HH", RNG.randrange(65536), 2) + RNG.randbytes(8)])
        packet = RNG.choice([
            lambda: rtp(seq, RNG.choice(ssrcs), RNG.randbytes(RNG.randrange(1200)), pt, 0x90, ext),
            lambda: rtp(seq, RNG.choice(ssrcs), RNG.randbytes(RNG.randrange(40)), pt),
            lambda: rtp(seq, RNG.choice(ssrcs), RNG.randbytes(20) + b"\xff", pt, 0xa0),  # padding longer than it
            lambda: rtp(seq, RNG.choice(ssrcs), b"", pt, 0x8f),  # fifteen CSRCs that are not there
            lambda: rtp(seq, RNG.randrange(1 << 32), RNG.randbytes(100), pt),
            lambda: rtp(seq, RNG.choice(ssrcs), RNG.randbytes(RNG.choice([1400, 1480, 1600, 8000])), pt),
            lambda: rtp(seq, RNG.choice(ssrcs), b"", pt),
        ])()
        await (eve.sealed(packet) if i % 4 else eve.raw(packet[:RNG.randrange(1, 30)]))
        if i % 100 == 0:
            await asyncio.sleep(0.01)
    for i in range(3000):
        compound = b""
        for _ in range(RNG.randrange(1, 5)):
            body = RNG.randbytes(RNG.randrange(0, 40) * 4)
            body = struct.pack(">II", 1, RNG.choice(ssrcs)) + body if i % 2 else body
            length = len(body) // 4 if RNG.random() < 0.6 else RNG.randrange(65536)
            compound += struct.pack(">BBH", 0x80 | RNG.randrange(32) | RNG.choice([0, 32]), RNG.randrange(200, 208), length) + body
        await (eve.sealed(compound + bytes(8)) if i % 4 else eve.raw(compound[:RNG.randrange(2, 20)]))
        if i % 100 == 0:
            await asyncio.sleep(0.01)
    await grows("msr_sfu_rx_packets_total", before + 5000)
    await viewer.close()
    await outsider(eve)


async def descriptions():
    """Offers of every size and kind of nonsense."""
    await call("POST", "/rooms", {"room_id": "evil"}, want=201)
    await call("POST", "/rooms/evil/users/eve", want=201)
    path = "/rooms/evil/users/eve/produce"
    ann = User("evil", "ann")
    ann.send.addTransceiver("audio")
    ann.send.addTransceiver("video")
    await ann.send.setLocalDescription(await ann.send.createOffer())
    good = ann.send.localDescription.sdp
    lines = good.splitlines()
    section = "\r\n".join(lines[next(i for i, one in enumerate(lines) if one.startswith("m=")):])
    out = await call("POST", path, {"offer": "v" * (1 << 20)}, want=413)
    assert out["error"] == "too_large", out
    for text in [
        good + "a=x\r\n" * 10000, good + section * 60, good + "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n" * 3000,
        good + "a=" + "y" * 200000 + "\r\n", good + "a=extmap:1 " + "u" * 5000 + "\r\n", "\0" * 1000, "v=0\r\n" * 30000,
        good.replace("a=rtpmap", "a=rtpmap:999999999999"), good.replace("a=fingerprint:", "a=fingerprint:sha-256 " + "AA:" * 9999),
        good.replace("a=ice-ufrag:", "a=ice-ufrag:" + "u" * 9999), good.replace("m=audio 9", "m=audio 99999999999999999999"),
    ]:
        status, _, out = await asyncio.to_thread(http, "POST", path, {"offer": text})
        assert status in (200, 400, 413), (text[:80], status, out)
    for _ in range(150):
        broken = bytearray(good.encode())
        for _ in range(RNG.randrange(1, 20)):
            at = RNG.randrange(len(broken))
            what = RNG.randrange(3)
            if what == 0:
                broken[at] = RNG.randrange(128)
            elif what == 1:
                del broken[at:at + RNG.randrange(1, 40)]
            else:
                broken[at:at] = broken[at:at + RNG.randrange(100)] * RNG.randrange(1, 9)
        status, _, out = await asyncio.to_thread(http, "POST", path, {"offer": broken.decode("latin-1")})
        assert status in (200, 400, 409, 413), (status, out)  # 409: the fingerprint is another
    await ann.close()
    await call("DELETE", "/rooms/evil")


class Odd:
    """A stream that goes on as its sender likes, behind the last number and time that it had."""

    def __init__(self, to, mid, pt, step, ssrc, seq=0, ts=0):
        self.to, self.mid, self.pt, self.step, self.ssrc, self.seq, self.ts = to, mid, pt, step, ssrc, seq, ts

    def packet(self, payload=b"\xf8\xff\xfe", pt=None, first=0x80, more=b"", mid=True):
        """The next one; what `more` says stands between header and payload."""
        if mid and not first & 0x1f:
            first, more = first | 0x10, struct.pack(">HHBcH", 0xBEDE, 1, 0x10, self.mid, 0)
        self.seq, self.ts = self.seq + 1 & 0xffff, self.ts + self.step & 0xffffffff
        return struct.pack(">BBHII", first, self.pt if pt is None else pt, self.seq, self.ts, self.ssrc) + more + payload

    async def send(self, n=20, **what):
        for _ in range(n):
            await self.to.sealed(self.packet(**what))
            await asyncio.sleep(0.002)


def reports(ours, theirs):
    """RTCP of every kind with numbers that cannot be, about our streams and about theirs."""
    def message(kind, count, body):
        return struct.pack(">BBH", 0x80 | count, kind, len(body) // 4) + body

    def feedback(kind, fmt, media, body=b""):
        return message(kind, fmt, struct.pack(">II", 1, media) + body)
    for ssrc in ours:
        for ntp in 0, 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, RNG.randrange(1 << 64):
            yield message(200, 0, struct.pack(">IQIII", ssrc, ntp, RNG.randrange(1 << 32), 0xffffffff, 0xffffffff))
        yield message(203, 1, struct.pack(">I", ssrc))  # BYE, in the middle
        yield message(203, 31, struct.pack(">31I", *[ssrc] * 31))
        yield message(204, 3, struct.pack(">I4s", ssrc, b"what") + bytes(40))
        yield message(207, 0, struct.pack(">IBBHQ", ssrc, 4, 0, 2, 1 << 63) + struct.pack(">BBHIII", 5, 0, 3, ssrc, 0, 1 << 31))
    for ssrc in theirs:
        yield message(201, 31, struct.pack(">I", 1) + 31 * struct.pack(">IIIIII", ssrc, 0xffffffff, *[0xffffffff] * 4))
        yield message(201, 1, struct.pack(">IIIIIII", 1, ssrc, 0x00800000, 0, 0x80000000, 1, 0x80000000))
        for first in range(0, 65536, 17 * 256):
            yield feedback(205, 1, ssrc, b"".join(struct.pack(">HH", first + 17 * i & 0xffff, 0xffff) for i in range(256)))
        yield from [feedback(206, 1, ssrc)] * 50
        yield from [feedback(206, 4, 0, struct.pack(">IB3x", ssrc, i) * 50) for i in range(20)]
        for exponent, mantissa in (0, 0), (0, 1), (45, 0x3ffff), (46, 0x3ffff), (63, 0x3ffff), (0, 0), (63, 0):
            yield feedback(206, 15, 0, b"REMB" + struct.pack(">IIII", 1 << 24 | exponent << 18 | mantissa, ssrc, 0, 0))
        yield feedback(206, 15, 0, b"REMB" + struct.pack(">II", 0xff000000, ssrc))  # many that are not there
        for base, count, chunks, deltas in [
                (0, 65528, [0x1fff] * 8, 0), (0, 65535, [0x2001], 1), (9, 0, [0], 2), (60000, 60000, [0x3fff] * 8, 0),
                (0, 500, [0x4000 | 500], 1000), (0, 14, [0xbfff], 14), (1, 7, [0xd555], 2), (5, 1, [0x2001], 1), (5, 100, [0xffff] * 15, 0)]:
            body = struct.pack(">HH", base, count) + RNG.randbytes(4) + struct.pack(f">{len(chunks)}H", *chunks) + RNG.randbytes(deltas)
            yield from [feedback(205, 15, ssrc, body + bytes(-len(body) % 4))] * 5


async def odd_packets(eve, sound, picture, rtx):
    """What a publisher may send by mistake. Each kind stands between packets as they should be. How many
    numbers it has left out, but for jumps so far that the stream begins anew."""
    await sound.send(50)
    for jump in 3600 * 48000, -3600 * 48000, 1 << 31, 48000 * 50, -1:
        sound.ts = sound.ts + jump & 0xffffffff
        await sound.send()
    for jump in 100, 2000, 5000, 20000, 32000:
        sound.seq = sound.seq + jump & 0xffff
        await sound.send()
    await sound.send()
    for n in range(3):  # each window of fifty the wrong way round
        for packet in reversed([sound.packet() for _ in range(50)]):
            await eve.sealed(packet)
        await sound.send(n)
    for pt in 13, 63, 127, 97, 98, 35, 0:  # comfort noise, RED, error correction, the picture's ...
        for _ in range(10):
            await sound.send(1, payload=bytes([111, 0, 0, 0]) + RNG.randbytes(40), pt=pt)
            await sound.send(1)
    extensions = [
        struct.pack(">HH", 0xBEDE, 250) + RNG.randbytes(1000), struct.pack(">HH", 0xBEDE, 250) + b"\x2f" * 1000,
        struct.pack(">HHBB", 0x1000, 64, 2, 250) + bytes(254), struct.pack(">HHBBc", 0x1000, 1, 1, 1, b"0") + b"\x02",
        struct.pack(">HH", 0x1000, 1) + bytes(4), struct.pack(">HH", 0xBEDE, 0), struct.pack(">HH", 0xffff, 1) + b"abcd"]
    for extension in extensions:
        await sound.send(5, first=0x90, more=extension)
        await sound.send(1)
    await sound.send(10, first=0x8f, more=RNG.randbytes(60))  # fifteen CSRCs
    for padding in b"", b"\1", bytes(199) + b"\xc8":
        for _ in range(10):
            await sound.send(1, payload=padding, first=0xa0 if padding else 0x80)
            await sound.send(1)
    for n in range(200):
        await picture.send(1, payload=RNG.randbytes(RNG.choice([1, 2, 5, 60, 1100])), pt=picture.pt | RNG.choice([0, 0x80]))
        rtx.ts = picture.ts
        await rtx.send(1, payload=RNG.randbytes(2) + b"\x10\0\0\0\x9d\1\x2a" + RNG.randbytes(50))
        if n % 50 == 49:
            picture.ssrc = RNG.randrange(1 << 32)
    for mid in True, False:
        sound.ssrc, sound.seq = RNG.randrange(1 << 32), RNG.randrange(65536)
        await sound.send(5, mid=mid)  # beside the old one: not yet
        await asyncio.sleep(1.1)
        await sound.send(100, mid=mid)
    return 2100


class Heard:
    """What a viewer gets of each SSRC, before anything is done with it."""

    def __init__(self, pc):
        self.packets = {}
        for transceiver in pc.getTransceivers():
            receiver = transceiver.receiver
            receiver._handle_rtp_packet = self.hook(receiver._handle_rtp_packet)

    def hook(self, real):
        async def handle(packet, arrival_time_ms):
            self.packets.setdefault(packet.ssrc, []).append((packet.sequence_number, packet.timestamp))
            await real(packet, arrival_time_ms)
        return handle

    def numbers(self, ssrc):
        """Unwrapped, sorted."""
        out = []
        for seq, _ in self.packets.get(ssrc, []):
            out.append(seq if not out else out[-1] + ((seq - out[-1] + 0x8000 & 0xffff) - 0x8000))
        return sorted(set(out))


def ssrc_of(sdp, user, kind):
    """Of what an offer to a viewer has of that user."""
    section = next(one for one in sdp.split("m=") if one.startswith(kind) and f"a=msid:{user} " in one)
    return int(re.search(r"a=ssrc:(\d+)", section)[1])


async def odd():
    """Packets and reports of eve, and reports of bob, who listens, that should not be and may be. All the while
    he gets ann's sound whole, and of eve's what she has given numbers without a hole."""
    await call("POST", "/rooms", {"room_id": "odd"}, want=201)
    ann, bob = User("odd", "ann"), User("odd", "bob")
    await ann.join()
    await ann.publish(video=False)
    eve = await Publisher("odd", "eve").begin()
    await bob.join()
    heard = Heard(bob.receive)
    kinds = ("ann", "audio"), ("eve", "audio"), ("eve", "video")
    from_ann, from_eve, picture_of_eve = (ssrc_of(bob.receive.remoteDescription.sdp, *kind) for kind in kinds)
    sound, picture = [t.sender for t in eve.send.getTransceivers()]
    last = await eve.stop_sending()
    streams = [Odd(eve, b"0", 96, 960, sound._ssrc, *last[sound._ssrc]),
               Odd(eve, b"1", 97, 3000, picture._ssrc, *last[picture._ssrc]), Odd(eve, b"1", 98, 3000, picture._rtx_ssrc)]
    before = await metric("msr_sfu_rx_packets_total")
    listener = bob.receive.getTransceivers()[0].receiver.transport

    async def odd_reports():
        for message in [*reports([s.ssrc for s in streams], [1]), *reports([2], [from_ann, from_eve, picture_of_eve])]:
            await eve.sealed(message)
            await listener._send_rtp(message)
            await asyncio.sleep(0.002)
    left_out, _ = await asyncio.gather(odd_packets(eve, *streams), odd_reports())
    await grows("msr_sfu_rx_packets_total", before + 1500)
    await asyncio.sleep(0.5)
    for user in bob, ann, eve:
        await user.close()
    await call("DELETE", "/rooms/odd")
    for ssrc, least, holes in (from_ann, 200, 0), (from_eve, 700, left_out):
        got = heard.numbers(ssrc)
        assert len(got) > least, f"{len(got)} packets, not {least}"
        missing = set(range(got[0], got[-1] + 1)) - set(got)
        assert len(missing) == holes, f"not {holes} but {len(missing)} are missing: {sorted(missing)[:100]}"
    times = [ts for _, ts in heard.packets[from_ann]]
    assert all(0 < (b - a & 0xffffffff) < 96000 for a, b in zip(times, times[1:])), times


def request(method, path, body=b""):
    return f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def all_of(jobs, want=None):
    """Makes all these requests over a few kept connections; so many have this answer: "201", "503 limit"."""
    counts, jobs = {}, iter(jobs)

    async def worker():
        reader, writer = await asyncio.open_connection(HOST, PORT)
        for job in jobs:
            writer.write(request(*job))
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
            length = [int(one.split(b":")[1]) for one in head.split(b"\r\n") if one.lower().startswith(b"content-length")]
            said = json.loads(await reader.readexactly(length[0]))
            answer = head.split()[1].decode() + (f" {said['error']}" if "error" in said else "")
            counts[answer] = counts.get(answer, 0) + 1
        writer.close()
    await asyncio.gather(*(worker() for _ in range(8)))
    assert want in (None, counts), f"{counts}, not {want}"
    return counts


def rooms_of(numbers):
    return [("POST", "/rooms", json.dumps({"room_id": f"crowd{i}"}).encode()) for i in numbers]


async def only_ports(most):
    for _ in range(200):
        if await metric("msr_sfu_ports_used") <= most:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("ports did not come back")


async def crowd(rooms, users):
    """Thousands of rooms, and more users than there are ports."""
    rooms, users = int(rooms), int(users)
    await all_of(rooms_of(range(rooms)), {"201": rooms})
    counts = await all_of([("POST", f"/rooms/crowd{i % 7}/users/u{i}") for i in range(users)])
    assert set(counts) == {"201", "503 no_ports"} and sum(counts.values()) == users, counts
    await all_of([("DELETE", f"/rooms/crowd{i}") for i in range(rooms)], {"200": rooms})
    await only_ports(4)  # the witness's


async def fill(rooms, people, ports):
    """As many rooms as there may be, rooms full of people until the ports do not do for another, and of
    everything a hundred more than there may be."""
    rooms, people, ports = int(rooms), int(people), int(ports)
    full = ports // people  # rooms

    async def users(name, n, where, want):
        await all_of([("POST", f"/rooms/crowd{where[i % len(where)]}/users/{name}{i}") for i in range(n)], want)
    await all_of(rooms_of(range(rooms)), {"201": rooms})
    await all_of(rooms_of(range(rooms, rooms + 100)), {"503 limit": 100})
    await users("a", full * people, range(full), {"201": full * people})
    await users("b", 100, range(full), {"503 limit": 100})
    left = ports - full * people
    await users("c", left + 100, range(full, rooms), {"201": left, "503 no_ports": 100})
    there = (await call("GET", "/rooms"))["rooms"]
    assert len(there) == rooms and sum(one["users"] for one in there) == ports
    assert await metric("msr_sfu_ports_used") == ports


async def clear(rooms):
    rooms = int(rooms)
    await all_of([("DELETE", f"/rooms/crowd{i}") for i in range(rooms)], {"200": rooms})
    await only_ports(0)


async def half_open():
    """Connections that begin a request and never end it; others are answered all the while."""
    beginnings = [b"", b"P", b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ", request("POST", "/rooms", b"{}")[:-1],
                  b"POST /rooms HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{", b"\x16\x03\x01\x02\x00\x01",
                  b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    sockets = []
    for i in range(400):
        s = socket.socket()
        s.setblocking(False)
        sockets.append(s)
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_connect(s, (HOST, PORT)), 5)
            s.send(beginnings[i % len(beginnings)])
        except (OSError, asyncio.TimeoutError):
            pass
        if i % 50 == 49:
            begin = time.monotonic()
            await call("GET", "/rooms")
            took = time.monotonic() - begin
            assert took < 3, f"others wait {took} s behind {i + 1} half requests"
    for s in sockets:
        s.close()


asyncio.run(globals()[sys.argv[2]](*sys.argv[3:]))
