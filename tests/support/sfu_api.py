#!/usr/bin/python3
"""What msr-sfu's interface says and changes, without media: sfu_api.py URL SCENARIO [ARG ...]. Prints what
went wrong and exits with 1, or exits with 0."""
import asyncio
import re
import socket
import struct
import sys
import time

from sfu_http import Ears, ann_and_bob, call, check_headers, description, http, run, stun_check


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


async def touched():
    """Any call that names a user restarts its clock, also one that is refused. For a server with
    --user-timeout 2s."""
    room = (await call("POST", "/rooms", want=201))["room_id"]
    calls = {
        "get": ("GET", "", None, 200), "again": ("POST", "", {}, 409), "json": ("POST", "", "[]", 400),
        "produce": ("POST", "/produce", {}, 400), "consume": ("POST", "/consume", {"answer": 7}, 400),
        "stale": ("POST", "/consume", {"answer": "v=0", "offer_id": 77}, 409),
        "wish": ("PATCH", "/subscription", {"users": []}, 400)}
    sdp = {"whip": (f"/whip/{room}/whip", "v=0", 400, "application/sdp"),
           "type": (f"/whip/{room}/type", "v=0", 415, "text/plain"),
           "whep": (f"/whep/{room}/whep", "v=0", 404, "application/sdp"),
           "play": (f"/whep/{room}/play", "v=0", 415, "text/plain")}
    for name in [*calls, *sdp, "silent"]:
        await call("POST", f"/rooms/{room}/users/{name}", want=201)

    async def there():
        return {u["id"] for u in (await call("GET", f"/rooms/{room}"))["users"]}

    begin = time.monotonic()
    while time.monotonic() - begin < 4.5:
        for name, (method, action, body, status) in calls.items():
            await call(method, f"/rooms/{room}/users/{name}{action}", body, want=status)
        for path, body, status, kind in sdp.values():
            await call("POST", path, body, want=status, kind=kind)
        await asyncio.sleep(0.4)
    assert await there() == {*calls, *sdp}
    while await there():
        await asyncio.sleep(0.1)
    assert time.monotonic() - begin < 20


async def whip_restart():
    """New credentials restart ICE; the answer is a fragment that says which section it is of, and the
    server goes by it. For a server with --rtc-address 127.0.0.1."""
    kind = "application/trickle-ice-sdpfrag"
    frag = "a=ice-ufrag:efgh\r\na=ice-pwd:9876543210987654321098\r\n"

    def keys(text):
        return [re.search(f"a=ice-{what}:(.*)\r", text)[1] for what in ("ufrag", "pwd")]

    for path, mid, direction in [("/whip/studio/feed", "v1", "sendonly"), ("/whep/studio", "p1", "recvonly")]:
        offer = description((mid, "video", "a=" + direction))
        _, head, answer = await asyncio.to_thread(http, "POST", path, offer, "application/sdp")
        port = int(re.search(r"udp \d+ 127.0.0.1 (\d+) typ host", answer)[1])
        assert await stun_check(port, *keys(answer)), "the server does not answer"
        # What is refused changes nothing.
        for wrong in (frag.replace("efgh", 33 * "e"), frag.replace("9876", 250 * "9"), frag.split("a=ice-pwd")[0]):
            out = await call("PATCH", head["Location"], wrong, want=400, kind=kind)
            assert out["error"] == "bad_sdp", out
            assert await stun_check(port, *keys(answer)), "ICE has restarted with what was refused"

        status, again, out = await asyncio.to_thread(
            http, "PATCH", head["Location"], frag, kind, {"If-Match": '"*"'})
        assert status == 200 and again["ETag"] != head["ETag"], (status, out)
        check_headers("PATCH", head["Location"], status, again)
        lines = out.split("\r\n")
        assert lines[0].startswith("m=video 9 ") and lines[1] == f"a=mid:{mid}", out
        assert keys(out) != keys(answer) and any("candidate:" in x for x in lines), out
        assert await stun_check(port, *keys(out)), "the server does not answer after a restart"
        assert not await stun_check(port, *keys(answer), seconds=0.9), "the old way is still there"
    await call("DELETE", "/rooms/studio")


async def trickle():
    """A candidate that is trickled is tried, whatever stands beside it, and that no more come may be said
    with the last of them or alone. For a server with --rtc-address 127.0.0.1."""
    offer = description(("0", "audio", "a=sendonly"))
    _, head, _ = await asyncio.to_thread(http, "POST", "/whip/studio/feed", offer, "application/sdp")
    kind = "application/trickle-ice-sdpfrag"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        s.settimeout(5)
        frag = ("a=candidate:1 1 ssltcp 2130706431 127.0.0.1 443 typ host\r\na=candidate:of what is to come\r\n"
                f"a=candidate:2 1 udp 2130706431 127.0.0.1 {s.getsockname()[1]} typ host\r\na=end-of-candidates\r\n")
        await call("PATCH", head["Location"], frag, want=204, kind=kind)
        check = await asyncio.to_thread(s.recv, 1500)
    assert check[:2] == b"\0\1" and b"abcd:" in check, check
    await call("PATCH", head["Location"], "a=mid:0\r\na=end-of-candidates\r\n", want=204, kind=kind)
    await call("PATCH", head["Location"], "a=mid:0\r\n", want=400, kind=kind)
    frag = "a=candidate:1 1 udp 1 192.0.2.9 9 typ host\r\n"
    for mid in "1", "00":
        out = await call("PATCH", head["Location"], f"a=mid:0\r\n{frag}a=mid:{mid}\r\n{frag}", want=400, kind=kind)
        assert out["error"] == "bad_sdp" and f"a=mid:{mid} " in out["message"], out
    await call("DELETE", head["Location"])
    # Many lines, in a session of many sections.
    names = [f"{i:032}" for i in range(512)]
    offer = description((names[0], "audio", "a=sendonly"))
    offer += "".join(f"m=audio 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:{name}\r\n" for name in names[1:])
    status, head, out = await asyncio.to_thread(http, "POST", "/whip/studio/feed", offer, "application/sdp")
    assert status == 201, out
    begin = time.monotonic()
    await call("PATCH", head["Location"], 262000 * "\n" + "a=end-of-candidates", want=204, kind=kind)
    assert time.monotonic() - begin < 1.5, time.monotonic() - begin
    await call("DELETE", head["Location"])


async def lite():
    """A client with ICE lite only answers: the server checks, and is the one that chooses the pair, although
    it was not it that offered. For a server with --rtc-address 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        s.settimeout(5)
        candidate = f"a=candidate:1 1 udp 2130706431 127.0.0.1 {s.getsockname()[1]} typ host"
        offer = description(("0", "audio", "a=sendonly", candidate))
        for more, controlling in (("", False), ("a=ice-lite\r\n", True)):
            _, head, _ = await asyncio.to_thread(
                http, "POST", "/whip/studio/feed", offer.replace("m=audio", more + "m=audio"), "application/sdp")
            kinds, at, check = [], 20, await asyncio.to_thread(s.recv, 1500)
            while at < len(check):
                kind, size = struct.unpack_from(">HH", check, at)
                kinds.append(kind)
                at += 4 + (size + 3) // 4 * 4
            assert (0x802A in kinds, 0x8029 in kinds) == (controlling, not controlling), kinds
            assert (0x25 in kinds) == controlling, "USE-CANDIDATE is of who controls"
            await call("DELETE", head["Location"])
            try:
                while await asyncio.to_thread(s.recv, 1500):
                    s.settimeout(1)
            except TimeoutError:
                s.settimeout(5)


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
    assert 1 < time.monotonic() - begin < 10, begin
    await asyncio.sleep(1.5)
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
        ("produce", {"offer": description(("0", "audio")), "sources": {"0": "camera", "1": "screen"}}, "bad_request"),
        ("produce", {"offer": {"type": "answer", "sdp": description(("0", "audio"))}}, "bad_request"),
        ("consume", {"answer": {"type": "offer", "sdp": description(("0", "audio"))}}, "bad_request"),
        ("consume", {"answer": "nonsense"}, "bad_sdp"),
        ("consume", {"answer": "v=0", "offer_id": "x"}, "bad_request"),
    ]:
        out = await call("POST", f"{user}/{action}", body, want=400)
        assert out["error"] == code and out["message"], (action, body, out)
    # A fingerprint that nobody could check is told at once, not when the call does not come about.
    digest = ":".join(["AB"] * 32)
    for hashed, said in [("sha-256 " + digest[:-3], "not as long"), ("sha-512 " + digest, "not as long"),
                         ("sha-1 " + digest[:59], "sha-256, sha-384 or sha-512"), ("", "missing")]:
        offer = description(("0", "audio")).replace("sha-256 " + digest, hashed)
        if not hashed:
            offer = offer.replace("a=fingerprint:\r\n", "")
        out = await call("POST", user + "/produce", {"offer": offer}, want=400)
        assert out["error"] == "bad_sdp" and said in out["message"], (hashed, out)
    for hashed in ("sha-384 " + ":".join(["AB"] * 48), f"SHA-256 {digest}\r\na=fingerprint:sha-1 {digest[:59]}"):
        offer = description(("0", "audio")).replace("sha-256 " + digest, hashed)
        await call("POST", f"/rooms/r/users/{hashed[4]}", want=201)
        await call("POST", f"/rooms/r/users/{hashed[4]}/produce", {"offer": offer})
        await call("DELETE", f"/rooms/r/users/{hashed[4]}")
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

    assert await published([(None, "video", "a=sendonly")], {"": "screen"}, bundle=False) == ["screen"]
    assert await published([(None, "video", "a=sendonly")], {"": "camera"}, bundle=False) == ["camera"]
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


async def taken_not_at_all():
    """An answer may refuse every section, by a client that has none of the codecs; what is offered to it
    afterwards it takes."""
    room = (await call("POST", "/rooms", want=201))["room_id"]
    ann, bob = f"/rooms/{room}/users/ann", f"/rooms/{room}/users/bob"
    await call("POST", ann, want=201)
    sections = [("0", "video", "a=sendonly")]
    await call("POST", ann + "/produce", {"offer": description(*sections)})
    assert (await call("POST", bob, want=201))["offer"].count("m=") == 1
    none = description(("0", "video", "a=inactive"), setup="active").replace("m=video 9", "m=video 0")
    assert await call("POST", bob + "/consume", {"answer": none}) == {}
    assert "offer" not in await call("GET", bob)
    sections.append(("1", "audio", "a=sendonly"))
    out = await call("POST", ann + "/produce", {"offer": description(*sections)})
    offer = out["outbound"][0]["offer"]
    assert re.findall("m=.*? .*? ", offer) == ["m=video 0 ", "m=audio 9 "], offer
    bare = [line for line in none.split("m=")[1].splitlines(True) if not line.startswith(("a=ice", "a=finger"))]
    answer = description(("1", "audio", "a=recvonly"), setup="active")
    answer = answer.replace("m=audio", "m=" + "".join(bare) + "m=audio")
    assert await call("POST", bob + "/consume", {"answer": answer}) == {}
    await call("DELETE", f"/rooms/{room}")


async def stopped():
    """Who stops all that was published publishes nothing; what is added afterwards, or within the same
    offer, comes over a transport from the start. For a server with --rtc-address 127.0.0.1."""
    room, ann, bob = await ann_and_bob()
    body = {"answer": description(("0", "audio", "a=inactive"), setup="active")}
    await call("POST", bob + "/consume", body)

    def port(out):
        return re.search(r"udp \d+ 127.0.0.1 (\d+) typ host", out["answer"])[1]

    def renewed(offer, ufrag):
        return offer.replace("ufrag:abcd", "ufrag:" + ufrag)

    def stop(offer):
        return offer.replace("m=video 9", "m=video 0").replace("a=group:BUNDLE 0", "a=group:BUNDLE")

    async def tracks():
        return [t["id"] for t in (await call("GET", ann))["tracks"]]

    one = description(("0", "video", "a=sendonly"))
    out = await call("POST", ann + "/produce", {"offer": stop(one)}, want=400)
    assert out["error"] == "bad_sdp", out  # there is nothing yet that could end
    first = port(await call("POST", ann + "/produce", {"offer": one}))
    assert await tracks() == ["ann/0"]
    # Within the same offer; a failure changes nothing.
    both = renewed(stop(one) + "m=" + description(("1", "video", "a=sendonly")).split("m=")[1], "efgh")
    both = both.replace("a=group:BUNDLE", "a=group:BUNDLE 1")
    out = await call("POST", ann + "/produce", {"offer": both.replace("AB:AB", "CD:CD")}, want=409)
    assert out["error"] == "other_connection", out
    await call("POST", ann + "/produce", {"offer": both.replace("a=rtcp-mux\r\n", "")}, want=400)
    assert await tracks() == ["ann/0"] and port(await call("POST", ann + "/produce", {"offer": one})) == first
    out = await call("POST", ann + "/produce", {"offer": both})
    assert port(out) != first and await tracks() == ["ann/1"]
    # A section that goes on is an ICE restart of the same.
    more = renewed(description(("1", "video", "a=sendonly"), ("2", "audio", "a=sendonly")), "ijkl")
    assert port(await call("POST", ann + "/produce", {"offer": more})) == port(out)
    # All of them.
    nothing = await call("POST", ann + "/produce", {"offer": stop(renewed(one, "ijkl"))})
    assert "m=video 0 " in nothing["answer"] and "ice-ufrag" not in nothing["answer"], nothing
    assert await tracks() == []
    # With the credentials of before the transport goes on, as in Firefox; with others it is another.
    assert port(await call("POST", ann + "/produce", {"offer": renewed(one, "ijkl")})) == port(out)
    await call("POST", ann + "/produce", {"offer": stop(renewed(one, "ijkl"))})
    assert port(await call("POST", ann + "/produce", {"offer": renewed(one, "mnop")})) != port(out)
    assert await tracks() == ["ann/0"]
    await call("DELETE", f"/rooms/{room}")


async def useless():
    """WHIP and WHEP have one offer: one that cannot come to anything is refused, and says why."""
    kind = "application/sdp"

    async def refused(path, offer, said, status=400, code="bad_sdp"):
        out = await call("POST", path, offer, want=status, kind=kind)
        assert out["error"] == code and said in out["message"], out

    good = description(("0", "video", "a=sendonly"))
    unknown = good.replace("VP8/", "H265/")
    await refused("/whip/r/ann", unknown, "VP8")
    await refused("/whip/r/ann", description(("0", "audio", "a=recvonly")), "a=sendonly")
    await refused("/whip/r/ann", good.replace("a=sendonly", "a=inactive"), "a=sendonly")
    await call("GET", "/rooms/r", want=404)  # which it would have made
    await call("POST", "/whip/r/ann", good, want=201, kind=kind)
    await refused("/whep/r/ann", good, "a=recvonly")
    await refused("/whep/r", description(("0", "audio", "a=recvonly")), "published yet", 404, "not_publishing")
    await refused("/whep/r", unknown.replace("a=sendonly", "a=recvonly"), "vp8")
    some = description(("0", "audio", "a=recvonly"), ("1", "video", "a=recvonly"))
    await call("POST", "/whep/r/ann", some, want=201, kind="Application/SDP\t; charset=utf-8")
    await call("DELETE", "/rooms/r")


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
    """Parameters of a codec that are as long as a line are refused, and stop nobody in the room; a
    description that does not fit into the memory for one is told from one that is wrong."""
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
    section = f"m=audio 9 RTP/AVP {' '.join(map(str, range(128)))}\r\n" + 16 * "a=rtcp-fb:* nack\r\n"
    many = description(("0", "video", "a=sendonly")) + 150 * section
    for path in f"/whip/{room}/zoe", f"/whep/{room}/ann", f"/whep/{room}":
        out = await call("POST", path, many, want=503, kind="application/sdp")
        assert out["error"] == "no_memory", out
    out = await call("POST", ann + "/produce", {"offer": many}, want=503)
    assert out["error"] == "no_memory", out
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
    """With a small port range the next connection gets 503, also one that is to take the place of another,
    who keeps it; and a place that is freed is used."""
    room = (await call("POST", "/rooms", want=201))["room_id"]
    for i in range(int(n)):
        await call("POST", f"/rooms/{room}/users/u{i}", want=201)
    out = await call("POST", f"/rooms/{room}/users/more", want=503)
    assert out["error"] == "no_ports", out
    before = await call("GET", f"/rooms/{room}")
    waits = await call("GET", f"/rooms/{room}/users/u1")
    sdp = description(("0", "audio", "a=sendonly"))
    for path, body, kind in [(f"/rooms/{room}/users/u1", {"replace": True}, "application/json"),
                             (f"/whip/{room}/u1", sdp, "application/sdp"), (f"/whip/{room}/more", sdp, "application/sdp")]:
        out = await call("POST", path, body, want=503, kind=kind)
        assert out["error"] == "no_ports", out
    assert await call("GET", f"/rooms/{room}/users/u1") == waits
    assert await call("GET", f"/rooms/{room}") == before
    await call("DELETE", f"/rooms/{room}/users/u0")
    for _ in range(100):
        status, _, out = await asyncio.to_thread(http, "POST", f"/rooms/{room}/users/more")
        if status == 201:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"the port did not come back: {out}")


if __name__ == "__main__":
    run(globals()[sys.argv[2]], *sys.argv[3:])
