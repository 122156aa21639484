#!/usr/bin/python3
"""The smallest client of msr-audiod: one packet there and back. Needs python3-websockets.

    audio-client.py [ws://localhost:8004/ws]
"""
import argparse
import asyncio
import json
import sys

try:
    import websockets
except ModuleNotFoundError:
    sys.exit("audio-client.py: python3-websockets is missing; install it")


async def audio_client(url):
    # Connect to the server
    async with websockets.connect(url) as websocket:
        # The welcome
        welcome = await websocket.recv()
        print(f"Received: {welcome}")

        # Start the audio receiver
        await websocket.send(json.dumps({"command": "start_audio_receiver"}))
        response = await websocket.recv()
        print(f"The server's answer: {response}")

        # Some sound
        audio_data = bytes([i % 256 for i in range(1024)])

        # Send it and get it back processed
        await websocket.send(audio_data)
        processed_data = await websocket.recv()

        print(f"Received processed data, {len(processed_data)} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Sends one packet to msr-audiod and gets it back.")
    parser.add_argument("url", nargs="?", default="ws://localhost:8004/ws", help="(%(default)s)")
    url = parser.parse_args().url
    try:
        asyncio.run(audio_client(url))
    except (OSError, ValueError, websockets.WebSocketException) as e:
        sys.exit(f"audio-client.py: {url}: {e}")
