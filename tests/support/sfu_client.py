"""A client of msr-sfu on aiortc, for sfu.py and attack.py: a user with both connections, its sound and
picture."""
import asyncio
import fractions
import logging
import time

import av
import numpy as np
from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from sfu_http import call, http

logging.disable(logging.CRITICAL)  # what aiortc says of connections that tests break

RATE = 48000
TONE_HZ = {"ann": 440, "bob": 1200, "eve": 2500, "feed": 800}


class Tone(MediaStreamTrack):
    """A sine whose pitch tells who is heard."""
    kind = "audio"

    def __init__(self, hz):
        super().__init__()
        self.hz, self.n, self.begin = hz, 0, None

    async def recv(self):
        step = RATE // 50
        if self.begin is None:
            self.begin = time.monotonic()
        await asyncio.sleep(max(0, self.begin + self.n / RATE - time.monotonic()))
        t = (np.arange(step) + self.n) / RATE
        samples = (np.sin(2 * np.pi * self.hz * t) * 12000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, self.n
        frame.time_base = fractions.Fraction(1, RATE)
        self.n += step
        return frame


class Colour(MediaStreamTrack):
    """A picture whose brightness tells who is seen."""
    kind = "video"

    def __init__(self, grey):
        super().__init__()
        self.grey, self.n, self.begin = grey, 0, None

    async def recv(self):
        if self.begin is None:
            self.begin = time.monotonic()
        await asyncio.sleep(max(0, self.begin + self.n / 15 - time.monotonic()))
        picture = np.full((120, 160, 3), self.grey, np.uint8)
        picture[:, self.n % 160] = 255
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = self.n * 6000, fractions.Fraction(1, 90000)
        self.n += 1
        return frame


def pitch(frames):
    """The loudest frequency of some audio frames."""
    x = np.concatenate([f.to_ndarray().reshape(-1, len(f.layout.channels))[:, 0] for f in frames])
    spectrum = np.abs(np.fft.rfft(x.astype(float)))
    return np.fft.rfftfreq(len(x), 1 / frames[0].sample_rate)[spectrum.argmax()]


class User:
    """One participant: a sending and a receiving connection."""

    def __init__(self, room, name):
        self.path, self.name = f"/rooms/{room}/users/{name}", name
        self.send, self.receive = RTCPeerConnection(), RTCPeerConnection()
        self.tracks = asyncio.Queue()
        self.receive.on("track", self.tracks.put_nowait)

    async def join(self, **body):
        out = await call("POST", self.path, body, want=201)
        return await self.answer(out)

    async def answer(self, offer):
        """Answers an offer and those that follow from the answers. Returns how many."""
        n = 0
        while offer.get("offer"):
            await self.receive.setRemoteDescription(RTCSessionDescription(offer["offer"], "offer"))
            await self.receive.setLocalDescription(await self.receive.createAnswer())
            offer = await call("POST", self.path + "/consume", {
                "answer": self.receive.localDescription.sdp, "offer_id": offer["offer_id"]})
            n += 1
        return n

    async def publish(self, video=True, codec=None):
        """Sound and, with `video`, a picture, in this codec ("H264") if one is named."""
        self.send.addTrack(Tone(TONE_HZ[self.name]))
        if video:
            self.send.addTrack(Colour(60 if self.name == "ann" else 180))
        if codec:
            able = RTCRtpSender.getCapabilities("video").codecs
            self.send.getTransceivers()[1].setCodecPreferences([c for c in able if c.name == codec])
        await self.send.setLocalDescription(await self.send.createOffer())
        out = await call("POST", self.path + "/produce", {"offer": self.send.localDescription.sdp})
        await self.send.setRemoteDescription(RTCSessionDescription(out["answer"], "answer"))
        return {o["id"]: o for o in out["outbound"]}

    async def hears(self, name, timeout=15):
        track = await self.next_track("audio", timeout)
        frames = [await asyncio.wait_for(track.recv(), timeout) for _ in range(40)][15:]
        got = pitch(frames)
        assert abs(got - TONE_HZ[name]) < 60, f"{self.name} hears {got:.0f} Hz, not {name}"

    async def sees(self, name, timeout=15):
        track = await self.next_track("video", timeout)
        frames = [await asyncio.wait_for(track.recv(), timeout) for _ in range(10)]
        grey = float(np.median(frames[-1].to_ndarray(format="gray")))
        want = 60 if name == "ann" else 180
        assert abs(grey - want) < 25, f"{self.name} sees brightness {grey}, not that of {name}"

    async def next_track(self, kind, timeout):
        waiting = []
        try:
            while True:
                track = await asyncio.wait_for(self.tracks.get(), timeout)
                if track.kind == kind:
                    return track
                waiting.append(track)
        finally:
            for track in waiting:
                self.tracks.put_nowait(track)

    async def close(self):
        await self.send.close()
        await self.receive.close()


async def exchange(pc, path):
    """Connects `pc` by WHIP or WHEP; gives the headers of the answer."""
    await pc.setLocalDescription(await pc.createOffer())
    status, head, answer = await asyncio.to_thread(http, "POST", path, pc.localDescription.sdp, "application/sdp")
    assert status == 201, (status, answer)
    await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    return head


async def play_sound(pc, path):
    """Plays the sound of `path` by WHEP; gives the headers and the track."""
    tracks = asyncio.Queue()
    pc.on("track", tracks.put_nowait)
    pc.addTransceiver("audio", "recvonly")
    head = await exchange(pc, path)
    return head, await asyncio.wait_for(tracks.get(), 10)
