"""What whip-publish and whep-play share: a WebRTC session that one POST starts and a DELETE ends
(RFC 9725). Needs python3-aiortc."""
import asyncio
import base64
import http.client
import signal
import sys
import urllib.error
import urllib.parse
import urllib.request

try:
    from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
except ModuleNotFoundError:
    sys.exit(f"{sys.argv[0].rpartition('/')[2]}: python3-aiortc is missing; install it")

CONNECT_S = 15  # for ICE and DTLS together


class Problem(Exception):
    """Something to tell the user in one line."""


def parse(parser):
    """The arguments, with what a server or the proxy before it may ask for."""
    parser.add_argument("--user", metavar="NAME:PASSWORD", help="for a server that asks for a password")
    parser.add_argument("--token", help="for a server that asks for a token")
    args = parser.parse_args()
    args.auth = args.user and "Basic " + base64.b64encode(args.user.encode()).decode()
    if args.token:
        args.auth = f"Bearer {args.token}"
    return args


def request(method, url, auth, body=None):
    """Status, headers and text of the reply, whatever the status."""
    try:
        req = urllib.request.Request(url, body and body.encode(), method=method)
        if auth:
            req.add_unredirected_header("Authorization", auth)
        if body:
            req.add_header("Content-Type", "application/sdp")
        with urllib.request.urlopen(req, timeout=10) as r:
            return r.status, r.headers, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.headers, e.read().decode(errors="replace")
    except OSError as e:
        reason = getattr(e, "reason", e)
        raise Problem(f"{url}: {getattr(reason, 'strerror', None) or reason}; is the server running there?") from e
    except (ValueError, http.client.HTTPException) as e:
        raise Problem(f"{url}: {e}; is that an address of WHIP or WHEP?") from e


class Session:
    """One peer connection. Fill self.pc, then start(); async with ends it, also at Ctrl-C."""

    def __init__(self, url, auth=None):
        # Without servers in the configuration aiortc asks a STUN server of its own choice.
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.url, self.auth, self.location = url, auth, None
        self.connected, self.over = asyncio.Event(), asyncio.Event()
        self.failed = False
        self.pc.on("connectionstatechange", self.state_changed)

    def state_changed(self):
        if self.pc.connectionState == "connected":
            self.connected.set()
        elif self.pc.connectionState in ("failed", "closed"):
            # Closed by the server, or lost; by ourselves only after over.
            self.failed = not self.over.is_set()
            self.over.set()

    def offer(self):
        """For who only receives without what aiortc estimates its bandwidth by: that is hardly more than what comes
        just then, so that the server would send the smallest picture there is, and never a larger one."""
        lines = self.pc.localDescription.sdp.splitlines(True)
        if all(t.direction == "recvonly" for t in self.pc.getTransceivers()):
            lines = [line for line in lines if "abs-send-time" not in line and "goog-remb" not in line]
        return "".join(lines)

    async def start(self):
        """True when media can flow; False when interrupted, or when the server says "not yet"."""
        if not self.pc.localDescription:
            await self.pc.setLocalDescription(await self.pc.createOffer())
        status, headers, text = await asyncio.to_thread(
            request, "POST", self.url, self.auth, self.offer())
        if status == 404 and headers["Retry-After"]:
            return False
        if status != 201 or not headers["Location"]:
            raise Problem(f"{self.url}: status {status}, {text.strip()}")
        self.location = urllib.parse.urljoin(self.url, headers["Location"])
        if urllib.parse.urlsplit(self.location).netloc != urllib.parse.urlsplit(self.url).netloc:
            self.auth = None  # is for nobody else
        await self.pc.setRemoteDescription(RTCSessionDescription(text, "answer"))
        waits = [asyncio.ensure_future(e.wait()) for e in (self.connected, self.over)]
        await asyncio.wait(waits, timeout=CONNECT_S, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if not self.connected.is_set() and not self.over.is_set():
            raise Problem("no path for media: are the server's media ports (--rtc-min-port ...) open?")
        return self.connected.is_set()

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.over.set)
        return self

    async def __aexit__(self, *_):
        self.over.set()
        try:
            if self.location:
                await asyncio.to_thread(request, "DELETE", self.location, self.auth)
        finally:
            await self.pc.close()


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(main):
    """Runs main(), turns a Problem into a line and the exit status."""
    try:
        asyncio.run(main)
    except Problem as e:
        sys.exit(f"{sys.argv[0].rpartition('/')[2]}: {e}")
