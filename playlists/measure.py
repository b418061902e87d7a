#!/usr/bin/env python3
"""Measures audio files and prints the table of README.md: length, loudness, true peak, dominant tone.

usage: measure.py FILE...     needs ffmpeg and ffprobe; nothing but the standard library
"""
import array
import cmath
import json
import math
import re
import subprocess
import sys
from pathlib import Path

RATE = 16000
WINDOW = 8192


def fft(values):
    if len(values) == 1:
        return values
    even, odd = fft(values[::2]), fft(values[1::2])
    half = len(values) // 2
    turned = [cmath.exp(-2j * math.pi * k / len(values)) * odd[k] for k in range(half)]
    return [even[k] + turned[k] for k in range(half)] + [even[k] - turned[k] for k in range(half)]


def dominant_hz(path):
    """Loudest tone of the averaged spectrum, and in how many of the windows it is the loudest."""
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-ac", "1", "-ar", str(RATE), "-f", "s16le", "-"],
                         check=True, capture_output=True).stdout
    samples = array.array("h", raw)
    power, loudest = [0.0] * (WINDOW // 2), []
    for start in range(0, len(samples) - WINDOW, WINDOW // 2):
        windowed = [samples[start + n] * (0.5 - 0.5 * math.cos(2 * math.pi * n / WINDOW)) for n in range(WINDOW)]
        spectrum = [abs(v) ** 2 for v in fft(windowed)[:WINDOW // 2]]
        power = [a + b for a, b in zip(power, spectrum)]
        loudest.append(max(range(WINDOW // 2), key=spectrum.__getitem__))
    top = max(range(1, WINDOW // 2 - 1), key=power.__getitem__)
    below, here, above = (math.log(power[k] + 1e-9) for k in (top - 1, top, top + 1))
    exact = (top + 0.5 * (below - above) / (below - 2 * here + above)) * RATE / WINDOW
    share = sum(abs(k - top) <= 1 for k in loudest) / max(1, len(loudest))
    return exact, share


def measure(path):
    probe = json.loads(subprocess.run(
        ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", path],
        check=True, capture_output=True).stdout)
    log = subprocess.run(["ffmpeg", "-nostats", "-i", path, "-filter:a", "ebur128=peak=true", "-f", "null", "-"],
                         check=True, capture_output=True, text=True).stderr
    summary = log[log.rindex("Summary:"):]
    stream = next(s for s in probe["streams"] if s["codec_type"] == "audio")
    return dict(
        codec=stream["codec_name"], rate=int(stream["sample_rate"]), channels=stream["channels"],
        seconds=float(probe["format"]["duration"]),
        lufs=float(re.search(r"I:\s+(-?[\d.]+) LUFS", summary)[1]),
        peak=float(re.search(r"Peak:\s+(-?[\d.]+|-inf) dBFS", summary)[1]),
        bytes=Path(path).stat().st_size)


def main(paths):
    if not paths:
        sys.exit(__doc__)
    print("| file | codec | rate, channels | length | loudness | true peak | loudest tone | in | bytes |")
    print("|---|---|---|---|---|---|---|---|---|")
    for path in paths:
        m = measure(path)
        hz, share = dominant_hz(path)
        print(f"| {Path(path).name} | {m['codec']} | {m['rate']} Hz, {m['channels']} | {m['seconds']:.2f} s "
              f"| {m['lufs']:.1f} LUFS | {m['peak']:.1f} dBTP | {hz:.1f} Hz | {share:.0%} | {m['bytes']:,} |")


main(sys.argv[1:])
