#!/usr/bin/python3
"""Measures what msr-audiod's speech processors do, on speech of espeak-ng with pauses that are
known exactly.

    audio-measure.py denoise | vad

denoise prints the signal-to-noise ratio before and after, in dB, by the noise of the pauses; and what
it gains while somebody speaks, at several ratios. vad the share of 20 ms frames that
were judged rightly, with a start and an end told by events. The program is run as a filter.
"""
import json
import subprocess
import sys

import numpy as np

RATE = 16000
SENTENCES = [
    "The quick brown fox jumps over the lazy dog and runs into the forest.",
    "Real time audio processing needs bounded delays and careful buffers.",
    "Every packet that arrives in time is played without any gap at all.",
]
PAUSE_S = 2.0


def speak(text):
    wav = subprocess.run(["espeak-ng", "--stdout", "-s", "150", text], check=True,
                         capture_output=True).stdout
    raw = subprocess.run(["sox", "-t", "wav", "-", "-t", "raw", "-e", "signed", "-b", "16", "-c", "1",
                          "-r", str(RATE), "-"], input=wav, check=True, capture_output=True).stdout
    x = np.frombuffer(raw, dtype="<i2").astype(float)
    loud = np.flatnonzero(np.abs(x) > 200)
    return x[loud[0]:loud[-1] + 1]


def scene():
    """Speech between pauses, and for each sample whether it is speech."""
    parts, truth = [], []
    for text in SENTENCES:
        pause = np.zeros(int(PAUSE_S * RATE))
        speech = speak(text) * 0.5
        parts += [pause, speech]
        truth += [np.zeros(len(pause), bool), np.ones(len(speech), bool)]
    parts.append(np.zeros(int(PAUSE_S * RATE)))
    truth.append(np.zeros(int(PAUSE_S * RATE), bool))
    return np.concatenate(parts), np.concatenate(truth)


def run(chain, x):
    p = subprocess.run(["msr-audiod", "filter", "--format", "s16le", "--rate", str(RATE), chain],
                       input=x.round().clip(-32768, 32767).astype("<i2").tobytes(), check=True,
                       capture_output=True)
    return np.frombuffer(p.stdout, dtype="<i2").astype(float), p.stderr.decode()


def power_db(x):
    return 10 * np.log10(np.mean(x ** 2) + 1e-9)


def denoise():
    speech, truth = scene()
    noise = np.random.default_rng(1).normal(0, 400, len(speech))
    out, _ = run("denoise", speech + noise)
    # The noise adapts within the first pause; judge from the first sentence on.
    begin = np.flatnonzero(truth)[0]
    talk, rest = truth.copy(), ~truth
    talk[:begin] = rest[:begin] = False

    def snr(x):
        noise_power = np.mean(x[rest] ** 2)
        return 10 * np.log10(max(np.mean(x[talk] ** 2) - noise_power, 1e-9) / noise_power)

    before, after = snr(speech + noise), snr(out)
    clean = speech[truth]
    spoken = {}
    for db in (0, 5, 10):
        noise = np.random.default_rng(1).normal(0, np.sqrt(np.mean(clean ** 2) / 10 ** (db / 10)), len(speech))
        out_db, _ = run("denoise", speech + noise)
        # What is not the speech itself, at whatever level it came out, is noise or distortion.
        got = out_db[truth]
        same = clean * (np.dot(clean, got) / np.dot(clean, clean))
        spoken[db] = power_db(same) - power_db(got - same) - db
    print(json.dumps({"before": before, "after": after, "gain": after - before,
                      "speech": power_db(out[talk]) - power_db(speech[talk]),
                      "spoken": spoken}))


def vad():
    speech, truth = scene()
    noise = np.random.default_rng(1).normal(0, 60, len(speech))
    _, err = run("vad", speech + noise)
    events = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    said = np.zeros(len(truth), bool)
    for i, e in enumerate(events):
        if e["state"] == "start":
            end = events[i + 1]["at"] if i + 1 < len(events) else len(truth) / RATE
            said[int(e["at"] * RATE):int(end * RATE)] = True
    step = RATE // 50
    n = len(truth) // step
    want = truth[:n * step].reshape(n, step).mean(axis=1) > 0.5
    got = said[:n * step].reshape(n, step).mean(axis=1) > 0.5
    print(json.dumps({"right": float(np.mean(want == got)), "events": len(events)}))


{"denoise": denoise, "vad": vad}[sys.argv[1]]()
