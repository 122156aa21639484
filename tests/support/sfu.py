#!/usr/bin/python3
"""Clients of msr-sfu for the shell tests, on aiortc: sfu.py URL SCENARIO [ARG ...]. Prints what went
wrong and exits with 1, or exits with 0."""
import asyncio
import json
import os
import re
import socket
import sys
import time

from aioice import stun
from aiortc import RTCPeerConnection, RTCSessionDescription

from sfu_client import (
    TONE_HZ, Ears, Tone, User, ann_and_bob, call, description, exchange, http, pitch, play_sound)


async def original():
    """The calls of the original document, as a backend makes them: two people hear and see each
    other, one leaves."""
    room = (await call("POST", "/rooms", want=201))["room_id"]
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
    await ann.close()
    await bob.close()


async def superseded():
    """An offer that stays unanswered is replaced after ten seconds; its answer is refused then, with the
    offer that took its place."""
    room, ann, bob = await ann_and_bob()
    begin = time.monotonic()
    ears = Ears(bob)
    first = await ears.wait("offer")
    out = await call("POST", ann + "/produce", {"offer": description(("0", "audio", "a=sendonly"))})
    assert out["outbound"] == [], out
    second = await ears.wait("offer", 20)
    assert time.monotonic() - begin > 9, "it was replaced at once"
    assert second["offer_id"] > first["offer_id"] and "a=sendonly" in second["offer"], second
    answer = description(("0", "audio", "a=recvonly"), setup="active")
    out = await call("POST", bob + "/consume", {"answer": answer, "offer_id": first["offer_id"]}, want=409)
    assert out["error"] == "stale_offer", out
    assert (out["offer"], out["offer_id"]) == (second["offer"], second["offer_id"]), out
    assert "msr_sfu_stale_answers_total 1" in (await asyncio.to_thread(http, "GET", "/metrics"))[2]
    body = {"answer": answer, "offer_id": second["offer_id"]}
    assert await call("POST", bob + "/consume", body) == {}
    await call("DELETE", f"/rooms/{room}")
    await asyncio.wait_for(ears.ended, 5)


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


async def whip_restart():
    """New credentials restart ICE; the answer is a fragment that says which section it is of."""
    offer = description(("v1", "video", "a=sendonly"))
    _, head, _ = await asyncio.to_thread(http, "POST", "/whip/studio/feed", offer, "application/sdp")
    play = description(("p1", "video", "a=recvonly"))
    _, played, _ = await asyncio.to_thread(http, "POST", "/whep/studio", play, "application/sdp")
    frag = "a=ice-ufrag:efgh\r\na=ice-pwd:9876543210987654321098\r\n"
    for session, mid in [(head, "v1"), (played, "p1")]:
        status, again, out = await asyncio.to_thread(
            http, "PATCH", session["Location"], frag, "application/trickle-ice-sdpfrag",
            {"If-Match": '"*"'})
        assert status == 200 and again["ETag"] != session["ETag"], (status, out)
        lines = out.split("\r\n")
        assert lines[0].startswith("m=video 9 ") and lines[1] == f"a=mid:{mid}", out
        assert lines[2].startswith("a=ice-ufrag:") and any("candidate:" in x for x in lines), out
    for session in (head, played):
        await call("DELETE", session["Location"])


async def whip_replace():
    """Somebody who is not connected loses the place to a WHIP client whose offer is of use, not to others."""
    room = (await call("POST", "/rooms", want=201))["room_id"]
    path = f"/whip/{room}/ann"
    await call("POST", f"/rooms/{room}/users/ann", want=201)
    ears = Ears(f"/rooms/{room}/users/ann")
    await ears.open.wait()
    good = description(("0", "audio", "a=sendonly"))
    for wrong in ["", "v=0", "nonsense", good.replace("m=audio 9", "m=audio 0"),
                  "".join(line for line in good.splitlines(True) if "fingerprint" not in line),
                  good.replace("ufrag:abcd", "ufrag:" + 40 * "a")]:
        out = await call("POST", path, wrong, want=400, kind="application/sdp")
        assert out["error"] == "bad_sdp" and "offer" in await call("GET", f"/rooms/{room}/users/ann"), (wrong, out)
    status, _, out = await asyncio.to_thread(http, "POST", path, good, "application/sdp")
    assert status == 201, out
    assert (await ears.wait("closed"))["reason"] == "replaced"
    state = await call("GET", f"/rooms/{room}/users/ann")
    assert "offer" not in state and [t["kind"] for t in state["tracks"]] == ["audio"], state
    # Nor does one that WHIP made, whose session goes on.
    status, head, _ = await asyncio.to_thread(http, "POST", path, good, "application/sdp")
    assert status == 201, status
    await call("POST", path, "v=0", want=400, kind="application/sdp")
    await call("DELETE", head["Location"])


async def whip_room():
    """A room that WHIP made ends by itself when it is empty; one that was asked for stays."""
    await call("POST", "/rooms", {"room_id": "asked"}, want=201)
    offer = description(("0", "video", "a=sendonly"))
    locations = {}
    for room in ("asked", "made"):
        status, head, _ = await asyncio.to_thread(
            http, "POST", f"/whip/{room}/feed", offer, "application/sdp")
        assert status == 201
        locations[room] = head["Location"]
    play = description(("0", "video", "a=recvonly"))
    _, head, _ = await asyncio.to_thread(http, "POST", "/whep/made", play, "application/sdp")
    for location in locations.values():
        await call("DELETE", location)
    await asyncio.sleep(1.5)
    await call("GET", "/rooms/made")  # has a viewer
    await call("DELETE", head["Location"])
    for _ in range(100):
        rooms = [r["room_id"] for r in (await call("GET", "/rooms"))["rooms"]]
        if rooms == ["asked"]:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"there are {rooms}")


async def until_empty():
    """A room may be asked for until it is empty: it waits for the first to come, lasts as long as
    somebody is in it, and ends by itself. Others stay."""
    begin = time.monotonic()
    await call("POST", "/rooms", {"room_id": "kept"}, want=201)
    await call("POST", "/rooms", {"room_id": "not", "until_empty": False}, want=201)
    for room in ("used", "unused"):
        await call("POST", "/rooms", {"room_id": room, "until_empty": True}, want=201)
    for wrong in (1, "true", None):
        out = await call("POST", "/rooms", {"until_empty": wrong}, want=400)
        assert out["error"] == "bad_request", out

    async def there():
        return {r["room_id"] for r in (await call("GET", "/rooms"))["rooms"]}

    await call("POST", "/rooms/used/users/ann", want=201)
    ears = Ears("/rooms/used/users/ann")
    await ears.open.wait()
    while "unused" in await there():
        await asyncio.sleep(0.1)
    assert 2 < time.monotonic() - begin < 10, begin
    await asyncio.sleep(2.5)
    assert await there() == {"kept", "not", "used"}
    await call("DELETE", "/rooms/used/users/ann")
    await asyncio.wait_for(ears.ended, 5)
    while "used" in await there():
        await asyncio.sleep(0.1)
    assert await there() == {"kept", "not"}


async def vanish():
    """A user that never connects is removed after --user-timeout."""
    room = (await call("POST", "/rooms", want=201))["room_id"]
    await call("POST", f"/rooms/{room}/users/ann", want=201)
    for _ in range(100):
        if not (await call("GET", f"/rooms/{room}"))["users"]:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the user is still there")


async def touched():
    """Any call that names a user restarts its clock, also one that is refused. For a server with
    --user-timeout 2s."""
    room = (await call("POST", "/rooms", want=201))["room_id"]
    calls = {
        "get": ("GET", "", None, 200), "again": ("POST", "", {}, 409), "json": ("POST", "", "[]", 400),
        "produce": ("POST", "/produce", {}, 400), "consume": ("POST", "/consume", {"answer": 7}, 400),
        "stale": ("POST", "/consume", {"answer": "v=0", "offer_id": 77}, 409),
        "wish": ("PATCH", "/subscription", {"users": []}, 400)}
    for name in [*calls, "whip", "silent"]:
        await call("POST", f"/rooms/{room}/users/{name}", want=201)

    async def there():
        return {u["id"] for u in (await call("GET", f"/rooms/{room}"))["users"]}

    begin = time.monotonic()
    while time.monotonic() - begin < 4.5:
        for name, (method, action, body, status) in calls.items():
            await call(method, f"/rooms/{room}/users/{name}{action}", body, want=status)
        await call("POST", f"/whip/{room}/whip", "v=0", want=400, kind="application/sdp")
        await asyncio.sleep(0.4)
    assert await there() == {*calls, "whip"}
    while await there():
        await asyncio.sleep(0.1)
    assert time.monotonic() - begin < 20


async def errors():
    """Every mistake has its code; nobody else is disturbed."""
    room = (await call("POST", "/rooms", {"room_id": "r"}, want=201))["room_id"]
    assert room == "r"
    user = "/rooms/r/users/ann"
    for method, path, body, status, code in [
        ("POST", "/rooms", {"room_id": "r"}, 409, "room_exists"),
        ("POST", "/rooms", {"room_id": "../x"}, 400, "bad_id"),
        ("POST", "/rooms", {"room_id": 7}, 400, "bad_request"),
        ("POST", "/rooms", "{", 400, "bad_json"),
        ("POST", "/rooms", "[]", 400, "bad_json"),
        ("POST", "/rooms/none/users/ann", None, 404, "no_room"),
        ("POST", "/rooms/r/users/.ann", None, 400, "bad_id"),
        ("GET", user, None, 404, "no_user"),
        ("POST", user + "/produce", {"offer": "v=0"}, 404, "no_user"),
    ]:
        out = await call(method, path, body, want=status)
        assert out["error"] == code and out["message"], (path, out)
    await call("POST", user, want=201)
    for action, body, code in [
        ("produce", {}, "bad_request"), ("produce", {"offer": 7}, "bad_request"),
        ("produce", {"offer": "nonsense"}, "bad_sdp"), ("produce", {"offer": ""}, "bad_sdp"),
        ("produce", {"offer": {"type": "offer", "sdp": "v=0\r\n"}}, "bad_sdp"),
        ("produce", {"offer": "v=0", "sources": []}, "bad_request"),
        ("produce", {"offer": "v=0", "sources": {"0": "telephone"}}, "bad_request"),
        ("consume", {"answer": "nonsense"}, "bad_sdp"),
        ("consume", {"answer": "v=0", "offer_id": "x"}, "bad_request"),
    ]:
        out = await call("POST", f"{user}/{action}", body, want=400)
        assert out["error"] == code and out["message"], (action, body, out)
    wish = user + "/subscription"
    with_body = [("POST", "/rooms"), ("POST", user), ("POST", user + "/produce"),
                 ("POST", user + "/consume"), ("PATCH", wish), ("POST", "/whip/r/bob"),
                 ("POST", "/whep/r"), ("POST", "/whep/r/ann"), ("PATCH", "/sessions/x")]
    for method, path in with_body:
        out = await call(method, path, "x" * 300000, want=413)
        assert out["error"] == "too_large", out
        out = await call(method, path, "{}", want=411, headers={"Transfer-Encoding": "chunked"})
        assert out["error"] == "length_required", out
        out = await call(method, path, "{}", want=400, headers={"Content-Length": "many"})
        assert out["error"] == "bad_length", out
    for method, path in [("GET", "/rooms/.r"), ("DELETE", "/rooms/.r"), ("GET", "/rooms/.r/events"),
                         ("GET", "/rooms/r/users/.ann"), ("DELETE", "/rooms/r/users/.ann"),
                         ("GET", "/rooms/r/users/.ann/events"), ("POST", "/whip/r/.bob")]:
        out = await call(method, path, None if method != "POST" else "v=0", want=400, kind="application/sdp")
        assert out["error"] == "bad_id", out
    lines = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n" + "a=x\r\n" * 10000
    await call("POST", user + "/produce", {"offer": lines}, want=400)
    out = await call("PUT", "/rooms", {}, want=405)
    assert out["error"], out
    await call("GET", "/nothing", want=404)
    assert (await call("GET", "/rooms"))["rooms"][0]["users"] == 1


async def mids():
    """A mid may be long, or missing where there is one section, and not spoil what others get."""
    room = (await call("POST", "/rooms", want=201))["room_id"]
    ann, bob = f"/rooms/{room}/users/ann", f"/rooms/{room}/users/bob"
    await call("POST", ann, want=201)
    origins = set()

    async def published(want, sources=None, **kw):
        body = {"offer": description(*want, **kw), "sources": sources or {}}
        out = await call("POST", ann + "/produce", body)
        origins.add(out["answer"].split("o=")[1].split()[1])
        return [t["source"] for t in (await call("GET", ann))["tracks"]]

    assert await published([(None, "video", "a=sendonly")], {"0": "screen"}, bundle=False) == ["camera"]
    assert await published([(None, "video", "a=sendonly")], bundle=False) == ["camera"]
    long = ["0123456789abcdef0123456789abcde" + c for c in "xy"]
    sections = [(mid, "video", "a=sendonly") for mid in long]
    assert await published(sections, {long[1]: "screen"}) == ["camera", "screen"]
    assert len({t["id"] for t in (await call("GET", ann))["tracks"]}) == 2
    assert len(origins) == 1, "a session keeps its id (RFC 3264 section 8)"
    await call("POST", ann + "/produce",
               {"offer": description(("a" * 19 + "\u00e9", "audio", "a=sendonly"))}, want=400)
    assert "offer" in await call("POST", bob, want=201)


async def switch():
    """A camera that becomes a screen within one offer is another track, whose stream says so."""
    room = (await call("POST", "/rooms", want=201))["room_id"]
    ann, bob = f"/rooms/{room}/users/ann", f"/rooms/{room}/users/bob"
    await call("POST", ann, want=201)

    async def source(**body):
        out = await call("POST", ann + "/produce",
                         {"offer": description(("0", "video", "a=sendonly")), **body})
        return out, (await call("GET", ann))["tracks"][0]["source"]

    assert (await source())[1] == "camera"
    await call("POST", bob, want=201)
    body = {"answer": description(("0", "video", "a=recvonly"), setup="active")}
    await call("POST", bob + "/consume", body)
    out, now = await source(sources={"0": "screen"})
    assert now == "screen" and "a=msid:ann~screen " in out["outbound"][0]["offer"], out
    assert (await source())[1] == "screen"  # nothing said, nothing changed


async def refuse():
    """A receiver that answers a section as inactive, or refuses it, gets nothing of it."""
    room = (await call("POST", "/rooms", want=201))["room_id"]
    ann, bob = f"/rooms/{room}/users/ann", f"/rooms/{room}/users/bob"
    await call("POST", ann, want=201)
    sections = []

    async def publish(mid, kind):
        sections.append((mid, kind, "a=sendonly"))
        out = await call("POST", ann + "/produce", {"offer": description(*sections)})
        return out["outbound"]

    async def answer(*directions):
        """Of bob, to the offer that waits."""
        kinds = [s[1] for s in sections]
        answered = [(str(i), kinds[i], f"a={d}") for i, d in enumerate(directions)]
        body = {"answer": description(*answered, setup="active")}
        await call("POST", bob + "/consume", body)

    await publish("0", "video")
    await call("POST", bob, want=201)
    ears = Ears(bob)
    await ears.open.wait()
    await answer("recvonly")
    assert await publish("1", "video")
    await answer("inactive", "recvonly")
    told = await ears.wait("layer")
    assert told["track"] == "ann/0" and told["layer"] == "off", told
    assert await publish("2", "video")
    await answer("inactive", "inactive", "recvonly")
    told = await ears.wait("layer")
    assert told["track"] == "ann/1" and told["layer"] == "off", told
    await call("DELETE", f"/rooms/{room}")


async def stun_check(port, ufrag, pwd):
    """What the server answers on a media port to a connectivity check of a client "abcd": success, or nothing."""
    message = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    message.attributes.update({"USERNAME": f"{ufrag}:abcd", "PRIORITY": 1, "ICE-CONTROLLED": 1})
    message.add_message_integrity(pwd.encode())

    def ask():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.3)
            for _ in range(10):
                s.sendto(bytes(message), ("127.0.0.1", port))
                try:
                    while data := s.recv(1500):
                        try:
                            got = stun.parse_message(data)
                        except ValueError:
                            continue
                        if got.transaction_id == message.transaction_id:
                            return got.message_class == stun.Class.RESPONSE
                except TimeoutError:
                    pass
        return False

    return await asyncio.to_thread(ask)


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


async def too_many():
    """An offer that goes over the limit fails; the others learn what it has changed all the same."""
    room, ann, bob = await ann_and_bob()
    body = {"answer": description(("0", "audio", "a=inactive"), setup="active")}
    await call("POST", bob + "/consume", body)
    sections = [(str(i), "video", "a=sendonly") for i in range(33)]
    out = await call("POST", ann + "/produce", {"offer": description(*sections)}, want=503)
    assert out["error"] == "limit", out
    tracks = (await call("GET", ann))["tracks"]
    assert (await call("GET", bob))["offer"].count("m=video") == len(tracks) == 32


async def reordered():
    """An offer that fails at its first section leaves the tracks of the others whole, in whatever
    order it names them."""
    room = (await call("POST", "/rooms", want=201))["room_id"]
    ann = f"/rooms/{room}/users/ann"
    await call("POST", ann, want=201)
    ears = Ears(f"/rooms/{room}")
    await ears.open.wait()
    sections = [(str(i), "audio", "a=sendonly") for i in range(32)]
    await call("POST", ann + "/produce", {"offer": description(*sections)})
    whole = (await ears.wait("tracks"))["tracks"]
    assert [t["codec"] for t in whole] == ["opus"] * 32, whole
    more = description(("x", "audio", "a=sendonly"), *sections)
    for _ in range(3):
        out = await call("POST", ann + "/produce", {"offer": more}, want=503)
        assert out["error"] == "limit", out
        assert (await ears.wait("tracks"))["tracks"] == whole
        assert (await call("GET", ann))["tracks"] == whole
    await call("POST", ann + "/produce", {"offer": description(*reversed(sections))})
    assert (await ears.wait("tracks"))["tracks"] == whole
    await call("DELETE", f"/rooms/{room}")
    await asyncio.wait_for(ears.ended, 5)


async def long_parameters():
    """Parameters of a codec that are as long as a line are refused, and stop nobody in the room."""
    room, ann, bob = await ann_and_bob()
    body = {"answer": description(("0", "audio", "a=inactive"), setup="active")}
    await call("POST", bob + "/consume", body)

    def offer(length):
        fmtp = "profile-level-id=42e01f;packetization-mode=1;x="
        fmtp += "x" * (length - len(fmtp))
        return description(("0", "video", "a=sendonly", "a=fmtp:96 " + fmtp)).replace("VP8/", "H264/")

    out = await call("POST", ann + "/produce", {"offer": offer(4086)}, want=400)
    assert out["error"] == "bad_sdp", out
    assert (await call("GET", ann))["tracks"] == []
    out = await call("POST", ann + "/produce", {"offer": offer(1024)})
    assert [o["id"] for o in out["outbound"]] == ["bob"], out
    assert "a=sendonly" in (await call("POST", f"/rooms/{room}/users/eve", want=201))["offer"]
    await call("DELETE", f"/rooms/{room}")


async def another():
    """A description of another PeerConnection than the one before is refused, and changes nothing."""
    room, ann, bob = await ann_and_bob()

    def renewed(sdp):
        return sdp.replace("AB:AB", "CD:CD").replace("ufrag:abcd", "ufrag:efgh")

    one = description(("0", "audio", "a=sendonly"))
    two = description(("0", "audio", "a=sendonly"), ("1", "video", "a=sendonly"))
    ufrag = re.search("a=ice-ufrag:.*", (await call("POST", ann + "/produce", {"offer": one}))["answer"])[0]
    out = await call("POST", ann + "/produce", {"offer": renewed(two)}, want=409)
    assert out["error"] == "other_connection" and "replace" in out["message"], out
    assert len((await call("GET", ann))["tracks"]) == 1
    assert ufrag in (await call("POST", ann + "/produce", {"offer": two}))["answer"]
    # The same one restarts ICE, unless its offer is refused for something else.
    body = {"offer": two.replace("ufrag:abcd", "ufrag:efgh")}
    await call("POST", ann + "/produce", {"offer": body["offer"].replace("a=rtcp-mux\r\n", "")}, want=400)
    assert ufrag in (await call("POST", ann + "/produce", {"offer": two}))["answer"]
    assert ufrag not in (await call("POST", ann + "/produce", body))["answer"]

    body = {"answer": description(("0", "audio", "a=inactive"), setup="active")}
    # One that fails late leaves the offer to be answered again.
    long = {"answer": body["answer"].replace("ufrag:abcd", "ufrag:" + 40 * "a")}
    assert (await call("POST", bob + "/consume", long, want=400))["error"] == "bad_sdp"
    assert "a=sendonly" in (await call("POST", bob + "/consume", body))["offer"]
    taken = description(("0", "audio", "a=recvonly"), ("1", "video", "a=recvonly"), setup="active")
    out = await call("POST", bob + "/consume", {"answer": renewed(taken)}, want=409)
    assert out["error"] == "other_connection", out
    assert await call("POST", bob + "/consume", {"answer": taken}) == {}

    await call("POST", ann, {"replace": True}, want=201)
    await call("POST", ann + "/produce", {"offer": renewed(two)})
    await call("DELETE", f"/rooms/{room}")


async def full():
    """Of more tracks than sections a receiver gets the rest as soon as others have gone."""
    room = (await call("POST", "/rooms", want=201))["room_id"]
    base, bob = f"/rooms/{room}/users/", f"/rooms/{room}/users/bob"
    sections = [(str(i), "video", "a=sendonly") for i in range(32)]
    for i in range(9):
        await call("POST", f"{base}u{i}", want=201)
        await call("POST", f"{base}u{i}/produce", {"offer": description(*sections)})

    async def answer(offer):
        assert offer["offer"].count("m=video") == 256
        n = [line for line in offer["offer"].split("\r\n") if line in ("a=sendonly", "a=inactive")]
        flip = {"a=sendonly": "a=recvonly", "a=inactive": "a=inactive"}
        answered = [(str(i), "video", flip[x]) for i, x in enumerate(n)]
        body = {"answer": description(*answered, setup="active")}
        return n.count("a=sendonly"), await call("POST", bob + "/consume", body)

    joined = await call("POST", bob, want=201)
    n, out = await answer(joined)
    assert n == 256 and out == {}, n
    shown = re.search(r"a=msid:(u\d)", joined["offer"]).group(1)  # not those that found none
    await call("DELETE", base + shown)
    n, more = await answer(await call("GET", bob))
    assert n < 256
    n, out = await answer(more)
    assert n == 256 and out == {}, n


async def ports(n):
    """With a small port range the next connection gets 503, and a place that is freed is used."""
    room = (await call("POST", "/rooms", want=201))["room_id"]
    for i in range(int(n)):
        await call("POST", f"/rooms/{room}/users/u{i}", want=201)
    out = await call("POST", f"/rooms/{room}/users/more", want=503)
    assert out["error"] == "no_ports", out
    await call("DELETE", f"/rooms/{room}/users/u0")
    for _ in range(100):
        status, _, out = await asyncio.to_thread(http, "POST", f"/rooms/{room}/users/more")
        if status == 201:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"the port did not come back: {out}")


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


async def witness(progress):
    """A call of ann and bob that nothing that others do may disturb. Writes what bob has heard so far to
    the file `progress`, twice a second, until it is ended: frames, those lost, the longest pause and the
    pitch."""
    room = (await call("POST", "/rooms", {"room_id": "witness"}, want=201))["room_id"]
    ann, bob = User(room, "ann"), User(room, "bob")
    await ann.join()
    await bob.join()
    await bob.answer((await ann.publish(video=False))["bob"])
    track = await bob.next_track("audio", 15)
    first = last = None
    frames, pause, recent, begin = 0, 0, [], time.monotonic()
    while True:
        frame = await asyncio.wait_for(track.recv(), 30)
        now = time.monotonic()
        if last is not None:
            pause = max(pause, now - last)
        first, last = frame.pts if first is None else first, now
        frames += 1
        recent = [*recent, frame][-25:]
        if now - begin > 0.5:
            begin = now
            lost = (frame.pts - first) // frame.samples + 1 - frames
            state = {"frames": frames, "lost": int(lost), "pause": round(pause, 2), "pitch": round(pitch(recent))}
            with open(progress + ".part", "w", encoding="utf-8") as f:
                json.dump(state, f)
            os.rename(progress + ".part", progress)


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[2]](*sys.argv[3:]))
