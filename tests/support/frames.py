#!/usr/bin/python3
"""Writes msr-frame(5) records to standard output: a second implementation of the format, for tests.

  frames.py [KEY=VALUE ...] COMMAND ... ; keys hold for the commands that follow them

keys: room session storage kind codec rate channels size time step part
  time   of the next part, in microseconds since 1970 (default: now)
  step   microseconds from part to part (default 100000)
  size   bytes of a part (default 4096)
  part   number of the next part (default 0)
commands:
  @FILE          the file in parts of `size` bytes
  @FILE:1,0,3    only these parts of it, in this order, numbered as they stand there
  close          ends the session
  text:WORDS     room text
  junk:N         N bytes that are no frames
"""
import os
import random
import struct
import sys
import time

KINDS = {"open": 1, "close": 2, "audio": 3, "video": 4, "rtp": 5, "rtcp": 6, "text": 7}
CODECS = {"none": 0, "webm": 1, "ogg": 2, "wav": 3, "mp4": 4, "u8": 16, "s16le": 17, "s24le": 18,
          "s32le": 19, "f32le": 20, "opus": 32, "vp8": 33}
NO_BODY_CRC = 1

TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def record(kind, room, session, storage="", codec=0, rate=0, channels=0, time_us=0, part=0, body=b""):
    ids = room.encode() + session.encode() + storage.encode()
    head = struct.pack("<4sBBBBIBBBBqQIBBH", b"MSRF", 1, kind, NO_BODY_CRC, codec, len(body),
                       len(room), len(session), len(storage), channels, time_us, part, rate, 0, 0, 0)
    whole = head + struct.pack("<II", crc32c(head + ids), 0) + ids + body
    return whole + bytes(-len(whole) % 8)


def main():
    k = {"room": "room", "session": "s1", "storage": "", "kind": "audio", "codec": "none", "rate": "0",
         "channels": "0", "size": "4096", "time": str(time.time_ns() // 1000), "step": "100000",
         "part": "0"}
    out = sys.stdout.buffer

    def put(kind, body=b"", part=0):
        out.write(record(kind, k["room"], k["session"], k["storage"], CODECS[k["codec"]],
                         int(k["rate"]), int(k["channels"]), int(k["time"]), part, body))

    for word in sys.argv[1:]:
        if word.startswith("@"):
            name, _, wanted = word[1:].partition(":")
            data = open(name, "rb").read()
            size = int(k["size"])
            n_parts = (len(data) + size - 1) // size
            for i in [int(w) for w in wanted.split(",")] if wanted else range(n_parts):
                put(KINDS[k["kind"]], data[i * size:(i + 1) * size], int(k["part"]) + i)
                k["time"] = str(int(k["time"]) + int(k["step"]))
            if not wanted:
                k["part"] = str(int(k["part"]) + n_parts)
        elif word == "close":
            put(KINDS["close"])
        elif word.startswith("text:"):
            put(KINDS["text"], word[5:].encode())
        elif word.startswith("junk:"):
            out.write(random.Random(1).randbytes(int(word[5:])))
        else:
            key, _, value = word.partition("=")
            k[key] = value
    out.flush()


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        os._exit(0)
