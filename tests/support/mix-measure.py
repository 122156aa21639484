#!/usr/bin/python3
"""What is where and when in a mix.

mix-measure.py FILE [X,Y,W,H@T ...] [HZ@T ...]

Prints JSON: `duration`, `size`, and for each place and time in `colours` the mean R, G, B of that part
of the picture, for each frequency and time in `tones` how loud it is in the quarter second from there
(0 to 1).
"""
import json
import subprocess
import sys

import numpy as np

RATE = 16000


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def colour(file, place, time):
    x, y, w, h = (int(n) for n in place.split(","))
    raw = run("ffmpeg", "-v", "error", "-ss", time, "-i", file, "-map", "v:0", "-frames:v", "1", "-vf",
              f"crop={w}:{h}:{x}:{y},format=rgb24", "-f", "rawvideo", "-")
    return [round(float(c)) for c in np.frombuffer(raw, np.uint8).reshape(-1, 3).mean(axis=0)]


def loudness(sound, hz, time):
    window = sound[int(time * RATE):int((time + 0.25) * RATE)]
    if not len(window):
        return 0
    wave = np.exp(-2j * np.pi * hz * np.arange(len(window)) / RATE)
    return round(float(2 * abs((window * wave).mean())), 3)


def main():
    file, wanted = sys.argv[1], [w.split("@") for w in sys.argv[2:]]
    info = json.loads(run("ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", file))
    result = {"duration": float(info["format"]["duration"]), "streams": [s["codec_name"] for s in info["streams"]],
              "size": [[s["width"], s["height"]] for s in info["streams"] if "width" in s], "colours": {}, "tones": {}}
    raw = run("ffmpeg", "-v", "error", "-i", file, "-map", "a:0", "-ac", "1", "-ar", str(RATE), "-f", "f32le", "-")
    sound = np.frombuffer(raw, "<f4")
    result["sound"] = len(sound) / RATE
    for what, time in wanted:
        if "," in what:
            result["colours"][f"{what}@{time}"] = colour(file, what, time)
        else:
            result["tones"][f"{what}@{time}"] = loudness(sound, float(what), float(time))
    json.dump(result, sys.stdout)
    print()


if __name__ == "__main__":
    main()
