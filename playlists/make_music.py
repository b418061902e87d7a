#!/usr/bin/env python3
"""Synthesises the music of the example commune: plucked strings over one sustained tone.

usage: make_music.py DIR     writes NAME.wav for every piece below
       make_music.py --tones DIR    writes tone-HZ.wav, pure tones for the sound tests

Only the standard library. The same input gives the same bytes: the noise that plucks a string is seeded.
Each piece sustains its own tone (`hz`), the loudest of its spectrum, so that a recording tells which piece it holds.
Melodies: written for this project, in pentatonic scales as Vietnamese folk songs have them. CC0-1.0.
"""
import array
import math
import random
import sys
import wave
from pathlib import Path

# Steps of a scale in semitones above the sustained tone. Bac: do re fa sol la; nam: do mib fa sol sib.
BAC = (0, 2, 5, 7, 9)
NAM = (0, 3, 5, 7, 10)

# melody: (degree, beats); a degree counts along the scale, 5 is the octave, None is a rest.
PIECES = {
    "nhac-hieu": dict(hz=493.88, rate=32000, beat_s=0.38, scale=BAC, melody=[
        (0, 1), (2, 1), (3, 1), (5, 2), (4, 1), (3, 1), (2, 1), (3, 1), (5, 4)]),
    "buoi-sang": dict(hz=392.00, rate=44100, beat_s=0.40, scale=BAC, stereo=True, melody=[
        (3, 1), (4, 1), (5, 2), (4, 1), (3, 1), (2, 2), (1, 1), (2, 1), (3, 1), (2, 1), (0, 4),
        (3, 1), (4, 1), (5, 1), (6, 1), (7, 2), (6, 1), (5, 1), (4, 1), (5, 1), (3, 2),
        (2, 1), (3, 1), (4, 1), (3, 1), (2, 1), (1, 1), (0, 2), (3, 2), (5, 4)]),
    "dong-lua": dict(hz=349.23, rate=24000, beat_s=0.44, scale=BAC, melody=[
        (0, 2), (1, 1), (2, 1), (3, 2), (2, 1), (3, 1), (4, 1), (3, 1), (2, 1), (1, 1), (2, 4),
        (3, 2), (4, 1), (5, 1), (4, 2), (3, 1), (2, 1), (1, 1), (2, 1), (3, 1), (1, 1), (0, 3),
        (None, 1), (5, 2), (4, 1), (3, 1), (2, 2), (0, 4)]),
    "ben-nuoc": dict(hz=311.13, rate=48000, beat_s=0.50, scale=NAM, melody=[
        (5, 2), (4, 1), (3, 1), (2, 2), (3, 1), (1, 1), (0, 3), (None, 1), (2, 1), (3, 1), (4, 1), (5, 1),
        (6, 2), (5, 1), (4, 1), (3, 4), (2, 1), (1, 1), (2, 1), (3, 1), (1, 2), (0, 1), (1, 1), (0, 4)]),
    "chieu-lang": dict(hz=277.18, rate=44100, beat_s=0.46, scale=NAM, melody=[
        (0, 1), (1, 1), (3, 2), (2, 1), (3, 1), (4, 2), (5, 1), (4, 1), (3, 1), (2, 1), (3, 4),
        (5, 1), (6, 1), (5, 1), (4, 1), (3, 2), (2, 1), (1, 1), (2, 1), (3, 1), (1, 2), (0, 2),
        (None, 2), (3, 1), (2, 1), (1, 1), (2, 1), (0, 4)]),
    "nhac-ket": dict(hz=587.33, rate=22050, beat_s=0.42, scale=BAC, melody=[
        (5, 1), (4, 1), (3, 2), (2, 1), (3, 1), (1, 2), (2, 1), (1, 1), (0, 5)]),
}

TAIL_S = 1.2
TONES_HZ = (440, 550, 660, 770, 880)


def pluck(hz, seconds, rate, seed):
    """A Karplus-Strong string: a burst of noise that circulates through a two-point average."""
    noise = random.Random(seed)
    period = rate / hz
    length = int(period - 0.5)
    tune = (1 - (period - 0.5 - length)) / (1 + (period - 0.5 - length))  # all-pass for the fraction of a sample
    line = [noise.uniform(-1, 1) for _ in range(length)]
    for _ in range(2):  # a softer plectrum
        line = [(line[i - 1] + line[i]) / 2 for i in range(length)]
    keep = 0.5 ** (1 / (hz * 0.9))  # half as loud after 0.9 s
    out, last, passed_in, passed_out = [], 0.0, 0.0, 0.0
    total = int(seconds * rate)
    for n in range(total):
        at = n % length
        value = line[at]
        mean = keep * 0.5 * (value + last)
        last = value
        passed_out = tune * mean + passed_in - tune * passed_out
        passed_in = mean
        line[at] = passed_out
        out.append(value * min(1.0, (total - n) / (0.06 * rate)))
    return out


def synthesise(name, hz, rate, beat_s, scale, melody, stereo=False):
    beats = sum(length for _, length in melody)
    total = int((beats * beat_s + TAIL_S) * rate)
    left, right = [0.0] * total, [0.0] * total
    at = 0
    for index, (degree, length) in enumerate(melody):
        if degree is not None:
            octave, step = divmod(degree, len(scale))
            note_hz = hz * 2 ** (octave + scale[step] / 12)
            pan = 0.5 + 0.3 * math.sin(index)
            for n, value in enumerate(pluck(note_hz, length * beat_s + 1.0, rate, f"{name} {index}")):
                if at + n >= total:
                    break
                left[at + n] += value * 0.55 * (1 - pan)
                right[at + n] += value * 0.55 * pan
        at += int(length * beat_s * rate)
    swell_hz = 1 / (4 * beat_s)
    for n in range(total):
        t = n / rate
        edge = min(1.0, t / 0.4, (total - n) / rate / 0.8)
        phase = 2 * math.pi * hz * t
        tone = 0.13 * edge * (1 - 0.25 * math.cos(2 * math.pi * swell_hz * t))
        value = tone * (math.sin(phase) + 0.12 * math.sin(2 * phase) + 0.04 * math.sin(3 * phase))
        left[n] += value
        right[n] += value
    channels = [left, right] if stereo else [[a + b for a, b in zip(left, right)]]
    peak = max(abs(v) for channel in channels for v in channel)
    return [[v * 0.5 / peak for v in channel] for channel in channels]


def write(path, channels, rate):
    frames = array.array("h", (round(v * 32767) for frame in zip(*channels) for v in frame))
    if sys.byteorder == "big":
        frames.byteswap()
    with wave.open(str(path), "wb") as out:
        out.setnchannels(len(channels))
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(frames.tobytes())


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "--tones":
        for hz in TONES_HZ:
            rate = 32000
            write(Path(arguments[1]) / f"tone-{hz}.wav",
                  [[0.25 * math.sin(2 * math.pi * hz * n / rate) for n in range(4 * rate)]], rate)
    elif len(arguments) == 1 and not arguments[0].startswith("-"):
        for name, piece in PIECES.items():
            write(Path(arguments[0]) / f"{name}.wav", synthesise(name, **piece), piece["rate"])
    else:
        sys.exit(__doc__)


main(sys.argv[1:])
