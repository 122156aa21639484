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
import tempfile

import numpy as np

RATE = 16000


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def decode(file, size, times):
    """The sound, and the picture at each of the times: one FFmpeg, for most of its time is its start."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["ffmpeg", "-v", "error", "-i", file, "-map", "a:0", "-ac", "1", "-ar", str(RATE), "-f", "f32le", "-"]
        for time in times:
            command += ["-ss", time, "-map", "v:0", "-frames:v", "1", "-pix_fmt", "rgb24", "-f", "rawvideo", f"{folder}/{time}"]
        sound = np.frombuffer(run(*command), "<f4")
        return sound, {time: np.fromfile(f"{folder}/{time}", np.uint8).reshape(size[1], size[0], 3) for time in times}


def colour(picture, place):
    x, y, w, h = (int(n) for n in place.split(","))
    return [round(float(c)) for c in picture[y:y + h, x:x + w].mean(axis=(0, 1))]


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
    sound, pictures = decode(file, (result["size"] or [None])[0], {time for what, time in wanted if "," in what})
    result["sound"] = len(sound) / RATE
    for what, time in wanted:
        if "," in what:
            result["colours"][f"{what}@{time}"] = colour(pictures[time], what)
        else:
            result["tones"][f"{what}@{time}"] = loudness(sound, float(what), float(time))
    json.dump(result, sys.stdout)
    print()


if __name__ == "__main__":
    main()
