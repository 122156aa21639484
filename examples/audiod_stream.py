"""Sends raw sound through msr-audiod and hands out what comes back. Needs python3-websockets.

    source = packets(0)  # standard input
    async for kind, value in process(url, source, chain=["highpass", "vad"]):
        ...  # ("sound", bytes), ("event", {"event": "voice", ...})

Samples are s16le, mono. The protocol: msr-audiod(8).
"""
import asyncio
import concurrent.futures
import json
import sys
import threading

try:
    import websockets
except ModuleNotFoundError:
    sys.exit(f"{sys.argv[0].rpartition('/')[2]}: python3-websockets is missing; install it")

PACKET_S = 0.02  # seconds of a packet
IN_FLIGHT = 32  # packets under way: a file is read as fast as they come back

BROKEN = (OSError, websockets.WebSocketException)  # no connection, or no longer


class Refused(Exception):
    """The server's own words."""


def packets(fd, rate=16000):
    """A queue of what can be read from `fd`, in packets; b"" is its end. It outlives a connection."""
    loop, queue, size = asyncio.get_running_loop(), asyncio.Queue(1), int(rate * PACKET_S) * 2

    def fill():
        source = open(fd, "rb", closefd=False)  # ours alone: at its end Python wants the lock of sys.stdin
        try:
            while True:
                data = source.read(size)
                data = data[:len(data) // 2 * 2]
                putting = queue.put(data)
                asyncio.run_coroutine_threadsafe(putting, loop).result()
        except (concurrent.futures.CancelledError, RuntimeError):  # the loop has ended
            putting.close()

    # A thread, because reading a pipe waits; a daemon, because nothing ends that.
    threading.Thread(target=fill, daemon=True).start()
    return queue


async def ask(ws, **command):
    await ws.send(json.dumps(command))
    answer = json.loads(await ws.recv())
    if answer["status"] == "error":
        raise Refused(answer["message"])
    return answer


async def send(ws, source, packet, tail, window):
    """All of `source`, then `tail` bytes of silence."""
    sent = 0
    while data := await source.get():
        await window.acquire()
        await ws.send(data)
        sent += 1
    for at in range(0, tail, packet):
        await window.acquire()
        await ws.send(bytes(min(packet, tail - at)))
        sent += 1
    return sent


async def process(url, source, chain, rate=16000, tail_s=0.5):
    """Yields ("event", dict) and ("sound", bytes) until `source`, of packets(), is at its end, and
    `tail_s` seconds of silence behind it, so that whatever the chain delays or decides late comes out
    too."""
    window = asyncio.Semaphore(IN_FLIGHT)
    packet = int(rate * PACKET_S) * 2
    async with websockets.connect(url, compression=None) as ws:
        await ws.recv()  # the welcome
        started = await ask(ws, command="start_audio_receiver", format="s16le", rate=rate, chain=chain)
        tail = (started.get("delay", 0) + int(tail_s * rate)) * 2
        sender = asyncio.create_task(send(ws, source, packet, tail, window))
        came = 0
        try:
            while not (sender.done() and came == sender.result()):
                message = asyncio.create_task(ws.recv())
                await asyncio.wait([message] if sender.done() else [message, sender],
                                   return_when=asyncio.FIRST_COMPLETED)
                if not message.done():
                    message.cancel()
                    continue
                message = message.result()
                if isinstance(message, bytes):
                    came += 1
                    window.release()
                    yield "sound", message
                elif "event" in (told := json.loads(message)):
                    yield "event", told
                else:  # an error stands for the packet that it is about
                    print(told.get("message", told), file=sys.stderr)
                    came += 1
                    window.release()
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
