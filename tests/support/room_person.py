"""A person in a room of msr-ws, as the page would be: room_person.py URL NAME [LINE ...]

Says each LINE (NAME=TEXT is private), then prints what others say as lines of JSON until killed.
"""
import asyncio
import json
import sys

import websockets


async def main(url, name, lines):
    async with websockets.connect(url) as ws:
        print(json.dumps({"ready": name}), flush=True)
        loop = asyncio.get_running_loop()

        def say(text):
            line = {"type": "text", "from": name, "text": text, "ts": "2026-01-01T00:00:00.000Z"}
            loop.create_task(ws.send(json.dumps(line)))
        loop.add_reader(sys.stdin, lambda: say(sys.stdin.readline().rstrip("\n")))
        for line in lines:
            say(line)
        async for message in ws:
            print(message, flush=True)


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
