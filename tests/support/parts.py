#!/usr/bin/python3
"""A load of numbered parts for msr-ws, and the proof of what became of them.

    parts.py send URL SESSIONS SECONDS [--rate 50] [--report FILE]
        opens SESSIONS sessions and sends RATE parts a second on each for SECONDS, 20 ms of sound a
        part, whose samples carry the part's number. Comes back after any break with what was not
        acknowledged. FILE gets {"SESSION": highest acknowledged part}. Status 0: all was.

    parts.py check STORAGE FILE
        every acknowledged part is in the finished recordings of its session exactly once.
"""
import argparse
import array
import asyncio
import collections
import glob
import json
import os
import random
import sys
import wave

import websockets

RATE = 8000  # samples a second
SAMPLES = RATE // 50  # of one part
MARK = 0x5A5A  # the first sample of a part; then its number in two samples
KEPT = 4096  # parts that may wait to be acknowledged


def body(part):
    samples = array.array("h", [MARK, part >> 15, part & 0x7FFF])
    samples.extend([part % 1000] * (SAMPLES - 3))
    return samples.tobytes()


class Session:
    def __init__(self, url, name, total, rate):
        self.url, self.name, self.total, self.rate = url, name, total, rate
        self.kept = collections.deque()  # parts sent at least once and not acknowledged
        self.made = 0  # parts that exist
        self.acked = -1
        self.breaks = 0

    async def send(self, ws):
        for part in list(self.kept):
            await ws.send(body(part))
        clock = asyncio.get_running_loop().time
        due = clock()
        while self.made < self.total:
            due = max(due + 1 / self.rate, clock() - 1)
            await asyncio.sleep(max(0, due - clock()))
            while len(self.kept) >= KEPT:
                await asyncio.sleep(0.01)
            part = self.made
            self.made += 1
            self.kept.append(part)
            await ws.send(body(part))
        await ws.send('{"j_type":"end"}')

    def acknowledged(self, part):
        self.acked = max(self.acked, part)
        while self.kept and self.kept[0] <= part:
            self.kept.popleft()

    async def connection(self):
        query = f"media=audio&codec=s16le&rate={RATE}&ack=1&resume=1"
        if self.made:
            query += f"&part={self.kept[0] if self.kept else self.made}"
        async with websockets.connect(f"{self.url}/room/{self.name}?{query}", compression=None,
                                      ping_interval=None, open_timeout=5, close_timeout=2) as ws:
            sender = asyncio.create_task(self.send(ws))
            try:
                async for text in ws:
                    message = json.loads(text)
                    if message["j_type"] == "ack":
                        self.acknowledged(message["part"])
                    elif message["j_type"] == "error":
                        print(self.name, text, file=sys.stderr)
            finally:
                sender.cancel()
                await asyncio.gather(sender, return_exceptions=True)

    async def run(self, deadline):
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(random.random())
        while self.acked < self.total - 1:
            try:
                await self.connection()
            except (OSError, asyncio.TimeoutError, websockets.WebSocketException):
                pass
            if self.acked >= self.total - 1:
                return True
            self.breaks += 1
            if clock() > deadline:
                return False
            await asyncio.sleep(0.2)
        return True


async def send(args):
    clock = asyncio.get_running_loop().time
    total = int(args.seconds * args.rate)
    prefix = args.prefix
    sessions = [Session(args.url, f"{prefix}{i}", total, args.rate) for i in range(args.sessions)]
    done = await asyncio.gather(*(s.run(clock() + args.seconds + args.patience) for s in sessions))
    if args.report:
        with open(args.report, "w") as f:
            json.dump({s.name: s.acked for s in sessions}, f)
    print(f"{sum(done)} of {len(done)} sessions acknowledged whole, {total} parts each, "
          f"{sum(s.breaks for s in sessions)} breaks")
    return 0 if all(done) else 1


def parts_of(path):
    """The numbers of the parts in a recording, in their order."""
    with wave.open(path) as w:
        assert w.getnchannels() == 1 and w.getframerate() == RATE, path
        samples = array.array("h", w.readframes(w.getnframes()))
    at = 0
    while at + 2 < len(samples):
        if samples[at] != MARK:
            at += 1  # silence for a gap
            continue
        part = samples[at + 1] << 15 | samples[at + 2]
        if samples[at:at + SAMPLES].tobytes() != body(part):
            raise SystemExit(f"{path}: part {part} is damaged")
        yield part
        at += SAMPLES


def check(args):
    bad = 0
    with open(args.report) as f:
        report = json.load(f)
    files = 0
    for name, acked in report.items():
        count = collections.Counter()
        for path in glob.glob(f"{args.storage}/{name}.wav") + glob.glob(f"{args.storage}/{name}~*.wav"):
            if not os.path.exists(path[:-4] + ".json"):
                print(f"{path} has no .json")
                bad += 1
            files += 1
            count.update(parts_of(path))
        missing = [p for p in range(acked + 1) if not count[p]]
        double = [p for p in range(acked + 1) if count[p] > 1]
        if missing or double:
            bad += 1
            print(f"{name}: of {acked + 1} acknowledged parts {len(missing)} are missing "
                  f"{missing[:5]}, {len(double)} are there more than once {double[:5]}")
    print(f"{len(report)} sessions in {files} files: {bad} bad")
    return 1 if bad else 0


def main():
    parser = argparse.ArgumentParser()
    sub = parser.add_subparsers(dest="action", required=True)
    s = sub.add_parser("send")
    s.add_argument("url")
    s.add_argument("sessions", type=int)
    s.add_argument("seconds", type=float)
    s.add_argument("--rate", type=float, default=50)
    s.add_argument("--report")
    s.add_argument("--prefix", default="s")
    s.add_argument("--patience", type=float, default=60, help="seconds to get the rest through")
    c = sub.add_parser("check")
    c.add_argument("storage")
    c.add_argument("report")
    args = parser.parse_args()
    sys.exit(asyncio.run(send(args)) if args.action == "send" else check(args))


if __name__ == "__main__":
    main()
