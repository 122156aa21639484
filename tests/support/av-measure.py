#!/usr/bin/python3
"""Measures a recording: how long its sound and picture really are once decoded, and how far apart
bright flashes and loud beeps are that were made at the same moment.

    av-measure.py FILE

Prints JSON: `audio` and `video` are seconds from the file's zero to the end of the last decoded
sample or frame (null where there is none), `frames` the number of pictures, `flashes` and `beeps`
the times of their beginnings, `offsets` beep minus flash for each flash that has a beep near it.
"""
import json
import subprocess
import sys

import numpy as np

RATE = 48000
WIDTH, HEIGHT = 16, 9
NEAR_S = 0.3  # a beep further away belongs to another flash
STEP = RATE // 1000  # the envelope has a value a millisecond


def ffprobe(path, *args):
    out = subprocess.run(
        ["ffprobe", "-v", "error", "-of", "json", *args, path],
        check=True, capture_output=True).stdout
    return json.loads(out)


def decode(path, *args):
    return subprocess.run(
        ["ffmpeg", "-v", "error", "-i", path, *args, "-"], check=True, capture_output=True).stdout


def onsets(times, loud, quiet_s):
    """Times at which `loud` begins after at least `quiet_s` without."""
    found = []
    last = -quiet_s
    for time, on in zip(times, loud):
        if on and time - last >= quiet_s:
            found.append(float(time))
        if on:
            last = time
    return found


def measure_audio(path):
    # first_pts=0 and async: silence where the file has a gap, so that an index is a time.
    raw = decode(path, "-map", "0:a:0", "-af", f"aresample={RATE}:async=1:first_pts=0",
                 "-ac", "1", "-f", "f32le")
    samples = np.abs(np.frombuffer(raw, dtype="<f4"))
    if not len(samples):
        return None, []
    whole = samples[: len(samples) // STEP * STEP].reshape(-1, STEP).max(axis=1)
    loud = whole > 0.4 * whole.max()
    return len(samples) / RATE, onsets(np.arange(len(whole)) / 1000, loud, 0.2)


def measure_video(path):
    frames = ffprobe(path, "-select_streams", "v:0", "-show_entries",
                     "frame=best_effort_timestamp_time,pkt_duration_time")["frames"]
    times = np.array([float(frame["best_effort_timestamp_time"]) for frame in frames])
    raw = decode(path, "-map", "0:v:0", "-vsync", "0", "-vf", f"scale={WIDTH}:{HEIGHT},format=gray",
                 "-f", "rawvideo")
    pictures = np.frombuffer(raw, dtype=np.uint8).reshape(-1, WIDTH * HEIGHT)
    light = pictures.mean(axis=1)
    n = min(len(light), len(times))
    light, times = light[:n], times[:n]
    spacing = float(np.median(np.diff(times))) if n > 1 else 0.0
    middle = (light.max() + light.min()) / 2
    return float(times[-1]) + spacing, n, onsets(times, light > middle, 0.2)


def main():
    path = sys.argv[1]
    kinds = {stream["codec_type"] for stream in ffprobe(path, "-show_streams")["streams"]}
    audio, beeps = measure_audio(path) if "audio" in kinds else (None, [])
    video, n_frames, flashes = measure_video(path) if "video" in kinds else (None, 0, [])
    offsets = []
    for flash in flashes:
        near = min(beeps, key=lambda beep: abs(beep - flash), default=None)
        if near is not None and abs(near - flash) < NEAR_S:
            offsets.append(round(near - flash, 4))
    json.dump({"audio": audio, "video": video, "frames": n_frames, "flashes": flashes,
               "beeps": beeps, "offsets": offsets}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
