#!/usr/bin/python3
"""Clients of msr-sfu for the shell tests, on aiortc: sfu.py URL SCENARIO [ARG ...]. Prints what went
wrong and exits with 1, or exits with 0."""
import asyncio
import json
import os
import re
import sys
import time

from aiortc import RTCPeerConnection, RTCSessionDescription

from sfu_client import TONE_HZ, Tone, User, exchange, pitch, play_sound
from sfu_http import SERVER, URL, Ears, ann_and_bob, call, description, http, run, stun_check


async def original(name=None):
    """The calls of the original document, as a backend makes them: two people hear and see each
    other, one leaves. The room may have a name."""
    room = (await call("POST", "/rooms", {"room_id": name} if name else None, want=201))["room_id"]
    ann, bob = User(room, "ann"), User(room, "bob")
    await ann.join()
    await bob.join()
    outbound = await ann.publish()
    assert list(outbound) == ["bob"], outbound
    await bob.answer(outbound["bob"])
    outbound = await bob.publish()
    await ann.answer(outbound["ann"])
    await asyncio.gather(ann.hears("bob"), bob.hears("ann"), ann.sees("bob"), bob.sees("ann"))
    state = await call("GET", f"/rooms/{room}")
    assert all(u["connected"] and len(u["tracks"]) == 2 for u in state["users"]), state
    left = await call("DELETE", bob.path)
    assert [o["id"] for o in left["outbound"]] == ["ann"], left
    await ann.answer(left["outbound"][0])
    await call("DELETE", bob.path, want=404)
    assert await call("DELETE", f"/rooms/{room}") == {}
    await call("GET", f"/rooms/{room}", want=404)
    await ann.close()
    await bob.close()


async def h264():
    """A picture in H.264 is seen, also by who comes late."""
    room = (await call("POST", "/rooms", want=201))["room_id"]
    ann, bob, eve = User(room, "ann"), User(room, "bob"), User(room, "eve")
    await ann.join()
    await bob.join()
    await bob.answer((await ann.publish(codec="H264"))["bob"])
    await bob.sees("ann")
    tracks = (await call("GET", f"/rooms/{room}"))["users"]
    assert [t["codec"] for u in tracks for t in u["tracks"] if t["kind"] == "video"] == ["h264"], tracks
    await eve.join()
    await eve.sees("ann")
    for user in ann, bob, eve:
        await user.close()


async def answer_as(user, offer, role):
    await user.receive.setRemoteDescription(RTCSessionDescription(offer["offer"], "offer"))
    answer = await user.receive.createAnswer()
    sdp = answer.sdp.replace("a=setup:active", "a=setup:" + role)
    await user.receive.setLocalDescription(RTCSessionDescription(sdp, "answer"))
    await call("POST", user.path + "/consume",
               {"answer": user.receive.localDescription.sdp, "offer_id": offer["offer_id"]})


async def roles():
    """Clients that insist on a DTLS role, active or passive, when they offer and when they answer."""
    room = (await call("POST", "/rooms", want=201))["room_id"]
    for offering, answering in [("passive", "passive"), ("active", "active")]:
        ann, bob = User(room, "ann"), User(room, "bob")
        await ann.join()
        # From the first answer on: the role of a transport stays (RFC 8842), and aiortc, told of another
        # in the handshake, takes the wrong keys.
        await answer_as(bob, await call("POST", bob.path, {}, want=201), answering)
        ann.send.addTrack(Tone(TONE_HZ["ann"]))
        await ann.send.setLocalDescription(await ann.send.createOffer())
        sdp = ann.send.localDescription.sdp.replace("a=setup:actpass", "a=setup:" + offering)
        out = await call("POST", ann.path + "/produce", {"offer": sdp})
        assert f"a=setup:{'active' if offering == 'passive' else 'passive'}" in out["answer"], out["answer"]
        await ann.send.setRemoteDescription(RTCSessionDescription(out["answer"], "answer"))
        offer = out["outbound"][0]
        assert "a=setup:actpass" in offer["offer"], offer
        await answer_as(bob, offer, answering)
        await bob.hears("ann")
        assert bob.receive.getTransceivers()[0].receiver.transport._role == \
            ("server" if answering == "passive" else "client")
        for user in ann, bob:
            await call("DELETE", user.path)
            await user.close()


async def late():
    """Somebody who joins later gets everything with the first offer, and sees it soon."""
    room = (await call("POST", "/rooms", want=201))["room_id"]
    ann, eve = User(room, "ann"), User(room, "eve")
    await ann.join()
    await ann.publish()
    for _ in range(100):
        if (await call("GET", ann.path))["connected"]:
            break
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)  # well into the stream, between key frames
    begin = time.monotonic()
    await eve.join()
    track = await eve.next_track("video", 5)
    await asyncio.wait_for(track.recv(), 5)
    took = time.monotonic() - begin
    print(json.dumps({"first_picture_s": round(took, 3)}))
    assert took < 3, took
    await eve.hears("ann")
    await ann.close()
    await eve.close()


async def stale():
    """An answer to an offer that is not the current one is refused with the current one."""
    room = (await call("POST", "/rooms", want=201))["room_id"]
    ann, bob = User(room, "ann"), User(room, "bob")
    first = await call("POST", bob.path, want=201)
    state = await call("GET", bob.path)
    assert state["offer"] == first["offer"] and state["offer_id"] == first["offer_id"]
    out = await call("POST", bob.path + "/consume", {"answer": "v=0", "offer_id": 77}, want=409)
    assert out["error"] == "stale_offer" and out["offer"] == first["offer"], out
    # While bob owes an answer he is left out; what changed comes with the reply to his answer.
    await ann.join()
    outbound = await ann.publish(video=False)
    assert outbound == {}, outbound
    assert await bob.answer(first) == 2
    await bob.hears("ann")
    out = await call("POST", bob.path + "/consume", {"answer": "v=0"}, want=409)
    assert out["error"] == "no_offer", out
    # Nothing comes of an answer once the connection has ended.
    await call("POST", bob.path + "/consume", {"restart": True})
    await bob.receive.close()
    while (await call("GET", bob.path))["connected"]:
        await asyncio.sleep(0.05)
    out = await call("POST", bob.path + "/consume", {"answer": "v=0"}, want=409)
    assert out["error"] == "connection_ended" and "replace" in out["message"], out
    await ann.close()
    await bob.close()


async def replace():
    room = (await call("POST", "/rooms", want=201))["room_id"]
    await call("POST", f"/rooms/{room}/users/ann", want=201)
    out = await call("POST", f"/rooms/{room}/users/ann", want=409)
    assert out["error"] == "user_exists"
    ann = User(room, "ann")
    await ann.join(replace=True)
    await ann.publish(video=False)
    await ann.close()


async def events():
    """A page needs no backend: offers and who comes and goes arrive as server-sent events."""
    room = (await call("POST", "/rooms", want=201))["room_id"]
    ann, bob = User(room, "ann"), User(room, "bob")
    await bob.join()
    ears = Ears(bob.path)
    wait = ears.wait
    await ears.open.wait()
    await ann.join()
    assert (await wait("joined"))["user"] == "ann"
    await ann.publish()
    tracks = await wait("tracks")
    assert {t["kind"] for t in tracks["tracks"]} == {"audio", "video"}, tracks
    offer = await wait("offer")
    assert offer["user"] == "bob"
    await bob.answer(offer)
    await bob.hears("ann")
    await call("DELETE", ann.path)
    assert (await wait("left"))["user"] == "ann"
    await call("DELETE", f"/rooms/{room}")
    assert (await wait("closed"))["reason"]
    await asyncio.wait_for(ears.ended, 5)
    await ann.close()
    await bob.close()


async def subscription():
    """What a user wants is heeded, also for those who publish later, and shown; mistakes change
    nothing."""
    room = (await call("POST", "/rooms", want=201))["room_id"]
    ann, bob = User(room, "ann"), User(room, "bob")
    await ann.join()
    await bob.join()
    ears = Ears(bob.path)
    await ears.open.wait()

    async def wants(**body):
        out = await call("PATCH", bob.path + "/subscription", body)
        assert out == (await call("GET", bob.path))["subscription"], out
        return out

    assert await wants() == {"users": {}, "max_kbps": None}
    out = await wants(users={"ann": {"audio": "off", "video": "off"}}, max_kbps=500)
    assert out == {"users": {"ann": {"audio": "off", "video": "off"}}, "max_kbps": 500}, out
    outbound = await ann.publish()
    await bob.answer(outbound["bob"])
    video = await bob.next_track("video", 5)
    metrics = lambda: asyncio.to_thread(http, "GET", "/metrics")
    while "msr_sfu_subscriptions 2" not in (await metrics())[2]:
        await asyncio.sleep(0.1)
    try:
        await asyncio.wait_for(video.recv(), 1)
        raise AssertionError("pictures come though they are off")
    except asyncio.TimeoutError:
        pass
    out = await wants(users={"ann": {"audio": "on"}})
    assert out["users"] == {"ann": {"audio": "on", "video": "off"}}, out
    layer = await ears.wait("layer")
    assert (layer["to"], layer["user"], layer["layer"]) == ("bob", "ann", "high"), layer
    await bob.hears("ann")
    await wants(users={"ann": {"video": "low"}, "zoe": {"video": "mid"}})
    await asyncio.wait_for(video.recv(), 5)
    layer = await ears.wait("layer")
    assert (layer["layer"], layer["reason"], layer["width"]) == ("high", "wanted", 160), layer
    # What is left beside the sound is too little for a picture.
    for kbps, name in [(10, "off"), (500, "high")]:
        await wants(max_kbps=kbps)
        layer = await ears.wait("layer")
        assert (layer["layer"], layer["reason"]) == (name, "bandwidth"), layer
    await wants(users={"ann": {"video": "off"}})
    assert (await ears.wait("layer"))["layer"] == "off"
    for body, code in [
        ("[]", "bad_json"), ({"user": {}}, "bad_request"), ({"users": []}, "bad_request"),
        ({"users": {"ann": "off"}}, "bad_request"), ({"users": {"../x": {}}}, "bad_id"),
        ({"users": {"ann": {"audio": "low"}}}, "bad_request"),
        ({"users": {"ann": {"audio": True}}}, "bad_request"),
        ({"users": {"ann": {"video": "on"}}}, "bad_request"),
        ({"users": {"ann": {"screen": "off"}}}, "bad_request"),
        ({"users": {"ann": {"video": "low"}, "bob": {"video": 1}}}, "bad_request"),
        ({"max_kbps": "500"}, "bad_request"), ({"max_kbps": -1}, "bad_request"),
        ({"max_kbps": 10000001}, "bad_request"), ({"max_kbps": 0.5}, "bad_request"),
    ]:
        out = await call("PATCH", bob.path + "/subscription", body, want=400)
        assert out["error"] == code and out["message"], (body, out)
    assert await wants() == {"users": {"ann": {"audio": "on", "video": "off"},
                                       "zoe": {"audio": "on", "video": "mid"}}, "max_kbps": 500}
    out = await wants(users={"ann": {"video": "auto"}, "zoe": {"video": "auto"}}, max_kbps=None)
    assert out == {"users": {}, "max_kbps": None}, out
    many = {f"u{i}": {"video": "low"} for i in range(1025)}
    out = await call("PATCH", bob.path + "/subscription", {"users": many}, want=503)
    assert out["error"] == "limit", out
    assert await wants() == {"users": {}, "max_kbps": None}
    # Those who are not there are forgotten, the oldest first, so that a room may stay open for ever.
    await wants(users={"ann": {"video": "low"}})
    await wants(users={f"u{i}": {"video": "low"} for i in range(1023)})
    await wants(users={"u0": {"audio": "off"}})
    out = await wants(users={f"v{i}": {"video": "low"} for i in range(100)})
    assert len(out["users"]) == 1024, len(out["users"])
    kept = {"ann", "u0", *(f"u{i}" for i in range(101, 1023)), *(f"v{i}" for i in range(100))}
    assert set(out["users"]) == kept, kept ^ set(out["users"])
    usual = {"audio": "on", "video": "auto"}
    out = await wants(users={**{f"w{i}": usual for i in range(2000)}, **{x: usual for x in kept}})
    assert out["users"] == {}, out
    out = await call("PATCH", f"/rooms/{room}/users/zoe/subscription", {}, want=404)
    assert out["error"] == "no_user", out
    await call("DELETE", f"/rooms/{room}")
    await asyncio.wait_for(ears.ended, 5)
    await ann.close()
    await bob.close()


async def whip():
    """Publish and play with one request each; trickle, DELETE."""
    await call("POST", "/whep/studio", "v=0", want=404, kind="application/sdp")
    for path in "/whip/studio/feed", "/whep/studio", "/whep/studio/feed":
        status, head, _ = await asyncio.to_thread(http, "OPTIONS", path)
        assert (status, head["Allow"], head["Accept-Post"]) == (204, "POST, OPTIONS", "application/sdp"), dict(head)
    status, head, _ = await asyncio.to_thread(http, "OPTIONS", "/rooms")
    assert status == 204 and "Accept-Post" not in head, dict(head)
    send, play = RTCPeerConnection(), RTCPeerConnection()
    send.addTrack(Tone(TONE_HZ["feed"]))
    head = await exchange(send, "/whip/studio/feed")
    assert head["ETag"] and head["Location"].startswith("/sessions/"), dict(head)
    session, etag = head["Location"], head["ETag"]

    head, track = await play_sound(play, "/whep/studio")
    frames = [await asyncio.wait_for(track.recv(), 10) for _ in range(40)][15:]
    assert abs(pitch(frames) - TONE_HZ["feed"]) < 60, pitch(frames)

    frag = "a=candidate:1 1 udp 1 192.0.2.9 9 typ host\r\n"
    kind = "application/trickle-ice-sdpfrag"
    for tags in (etag, "*", '"*"', f'"77", {etag}', f'"7,7" ,{etag},W/"8"'):
        await call("PATCH", session, frag, want=204, kind=kind, headers={"If-Match": tags})
    for tags in ('"77"', etag[:-1] + 'junk"', "W/" + etag, etag.strip('"'), '"77", "78"', '"77'):
        await call("PATCH", session, frag, want=412, kind=kind, headers={"If-Match": tags})
    await call("PATCH", session, frag, want=415, kind="text/plain")
    await call("POST", "/whip/studio/feed", "v=0", want=409, kind="application/sdp")
    await call("DELETE", head["Location"])
    await call("DELETE", session)
    await call("DELETE", session, want=404)
    assert (await call("GET", "/rooms/studio"))["users"] == []
    await send.close()
    await play.close()


async def whip_again():
    """A publisher goes and comes back; who plays it goes on without a new connection."""
    async def feed(hz):
        pc = RTCPeerConnection()
        pc.addTrack(Tone(hz))
        return pc, (await exchange(pc, "/whip/studio/feed"))["Location"]

    first, session = await feed(440)
    play = RTCPeerConnection()
    _, track = await play_sound(play, "/whep/studio")
    for _ in range(400):
        await asyncio.wait_for(track.recv(), 10)
    await call("DELETE", session)
    await first.close()

    async def heard(hz):
        while abs(pitch([await track.recv() for _ in range(20)]) - hz) > 60:
            pass

    # Numbers that were there would be replays to the player, for as long as the first life was.
    second, session = await feed(2500)
    await asyncio.wait_for(heard(2500), 5)
    await call("DELETE", session)
    await second.close()
    await play.close()


async def restart():
    """A user asks for an offer that restarts ICE on its receiving connection: new credentials, which the
    server takes once the offer is answered. For a server with --rtc-address 127.0.0.1."""
    room, _, bob = await ann_and_bob()

    def credentials(offer):
        return [re.search(f"a=ice-{what}:(.*)\r", offer["offer"])[1] for what in ("ufrag", "pwd")]

    def answer(ufrag, offer):
        sdp = description(("0", "audio", "a=inactive"), setup="active")
        return {"answer": sdp.replace("ufrag:abcd", "ufrag:" + ufrag), "offer_id": offer["offer_id"]}

    first = await call("GET", bob)
    port = int(re.search(r"udp \d+ 127.0.0.1 (\d+) typ host", first["offer"])[1])
    # Also while an offer waits: it is the user who asks.
    second = await call("POST", bob + "/consume", {"restart": True})
    assert second["offer_id"] > first["offer_id"] and credentials(second) != credentials(first), second
    out = await call("POST", bob + "/consume", answer("abcd", first), want=409)
    assert out["error"] == "stale_offer" and out["offer"] == second["offer"], out
    assert await call("POST", bob + "/consume", answer("abcd", second)) == {}
    # Where none is to be answered instead, there is no offer.
    out = await call("POST", bob + "/consume", answer("abcd", first), want=409)
    assert out["error"] == "no_offer", out
    assert await stun_check(port, *credentials(second)), "the server does not answer"
    assert not await stun_check(port, *credentials(first)), "the server goes by what it has never offered"

    ears = Ears(bob)
    await ears.open.wait()
    third = await call("POST", bob + "/consume", {"restart": True})
    assert (await ears.wait("offer"))["offer_id"] == third["offer_id"]
    assert await stun_check(port, *credentials(second)), "the way is lost before the offer is answered"
    assert await call("POST", bob + "/consume", answer("efgh", third)) == {}
    assert await stun_check(port, *credentials(third)), "the server does not answer after a restart"

    for body in ({"restart": 1}, {"restart": None}, {"restart": False}, {**answer("efgh", third), "restart": True}):
        out = await call("POST", bob + "/consume", body, want=400)
        assert out["error"] == "bad_request", out
    await asyncio.to_thread(http, "POST", f"/whip/{room}/eve", description(("0", "audio", "a=sendonly")), "application/sdp")
    out = await call("POST", f"/rooms/{room}/users/eve/consume", {"restart": True}, want=409)
    assert out["error"] == "no_offer", out
    await call("DELETE", f"/rooms/{room}")
    await asyncio.wait_for(ears.ended, 5)


async def cycles(n, connected="0"):
    """Joining and leaving over and over, the first ones with media that flows."""
    room = (await call("POST", "/rooms", want=201))["room_id"]
    for i in range(int(n)):
        if i < int(connected):
            ann, bob = User(room, "ann"), User(room, "bob")
            await bob.join()
            await ann.join()
            await bob.answer((await ann.publish())["bob"])
            await (await bob.next_track("audio", 15)).recv()
            await ann.close()
            await bob.close()
            await call("DELETE", bob.path)
        await call("POST", f"/rooms/{room}/users/ann", {"replace": True}, want=201)
        await call("DELETE", f"/rooms/{room}/users/ann")
    await call("DELETE", f"/rooms/{room}")


class Hearing:
    """What is heard of one call: frames, those lost, the longest pause and the pitch."""

    def __init__(self):
        self.frames, self.pause, self.recent, self.first, self.last = 0, 0, [], None, None

    def hear(self, frame):
        now = time.monotonic()
        if self.last is None:
            self.first = frame.pts
        else:
            self.pause = max(self.pause, now - self.last)
        self.last, self.frames, self.recent = now, self.frames + 1, [*self.recent, frame][-25:]

    def told(self):
        frame = self.recent[-1]
        return {"frames": self.frames, "lost": int((frame.pts - self.first) // frame.samples) + 1 - self.frames,
                "pause": round(self.pause, 3), "pitch": round(pitch(self.recent))}


async def witness(progress, control):
    """A call of ann and bob that nothing that others do may disturb, and another on the server `control`,
    to which nobody does anything: what the machine does to one, it does to the other. Writes what both
    bobs have heard to the file `progress`, twice a second, until it is ended; anew when the file is gone."""
    heard = {"attacked": Hearing(), "control": Hearing()}

    async def listen(name, url):
        SERVER.set(url)
        room = (await call("POST", "/rooms", {"room_id": "witness"}, want=201))["room_id"]
        ann, bob = User(room, "ann"), User(room, "bob")
        await ann.join()
        await bob.join()
        await bob.answer((await ann.publish(video=False))["bob"])
        track = await bob.next_track("audio", 15)
        while True:
            heard[name].hear(await asyncio.wait_for(track.recv(), 30))

    async def tell():
        begun = False
        while True:
            await asyncio.sleep(0.5)
            if begun and not os.path.exists(progress):
                heard.update(attacked=Hearing(), control=Hearing())
                begun = False
            elif all(one.recent for one in heard.values()):
                with open(progress + ".part", "w", encoding="utf-8") as f:
                    json.dump({name: one.told() for name, one in heard.items()}, f)
                os.rename(progress + ".part", progress)
                begun = True
    await asyncio.gather(listen("attacked", URL), listen("control", control), tell())


if __name__ == "__main__":
    run(globals()[sys.argv[2]], *sys.argv[3:])
