#!/usr/bin/env python3
"""Judges the recording of an emulated sound card: vm_heard.py silent WAV FROM, or vm_heard.py like WAV FROM REFERENCE SECONDS

FROM is the byte of the recording from which it is judged. "silent": nothing in it is louder than -60 dBFS. "like": the
loudness of the first SECONDS of REFERENCE, frame by frame, is found again in it. Prints what was measured; the exit code says
whether it is so. The header is not read: an emulator that was killed never wrote its sizes."""
import array, math, subprocess, sys

RATE = 8000
FRAME = RATE // 50
HEADER = 44
RECORDED = ["-f", "s16le", "-ar", "48000", "-ac", "2"]
SILENCE_DB = -60.0
# Frames of a part that is compared as a whole, and the longest hold-up between two of them.
PART = 100
HELD_UP = 25
# Other recordings of playlists/ reach 0.55.
LIKE = 0.65


def envelope(arguments, data=None):
    """Gives the loudness of each frame in dBFS."""
    command = ["ffmpeg", "-v", "error", *arguments, "-ac", "1", "-ar", str(RATE), "-f", "s16le", "-"]
    raw = subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout
    samples = array.array("h", raw[: len(raw) // 2 * 2])
    levels = []
    for start in range(0, len(samples) - FRAME + 1, FRAME):
        power = sum(x * x for x in samples[start : start + FRAME]) / FRAME / 32768**2
        levels.append(10 * math.log10(power + 1e-9))
    return levels


def correlations(wanted, heard):
    """Gives the correlation of an envelope with each place of another."""
    count = len(wanted)
    mean = sum(wanted) / count
    wanted = [level - mean for level in wanted]
    norm = math.sqrt(sum(x * x for x in wanted))
    for at in range(len(heard) - count + 1):
        there = heard[at : at + count]
        mean = sum(there) / count
        power = sum(x * x for x in there) - count * mean * mean
        yield sum(x * y for x, y in zip(wanted, there)) / norm / math.sqrt(power) if power > 1 and norm > 1 else 0.0


def likeness(wanted, heard):
    """Gives how well the parts of an envelope correlate with another, one after the other, and where the first does."""
    count = len(wanted) // PART
    chain = []
    for part in reversed(range(count)):
        here = list(correlations(wanted[part * PART : (part + 1) * PART], heard))
        # An emulated card that was late holds the sound up.
        after = lambda at: max(chain[at + PART : at + PART + HELD_UP + 1], default=0.0) if chain else 0.0
        chain = [found + after(at) for at, found in enumerate(here)]
    best = max(range(len(chain)), key=chain.__getitem__, default=0)
    return (chain[best] / count if chain else 0.0), best


kind, wav, start = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open(wav, "rb") as file:
    # Whole frames of two samples.
    file.seek(HEADER + max(0, start - HEADER) // 4 * 4)
    recording = file.read()
recording = recording[: len(recording) // 4 * 4]
heard = envelope([*RECORDED, "-i", "-"], recording)
if kind == "silent":
    loudest = max(heard, default=-90.0)
    print(f"{len(heard) / 50:.1f} s recorded, the loudest frame {loudest:.1f} dBFS")
    sys.exit(loudest > SILENCE_DB)
wanted = envelope(["-t", sys.argv[5], "-i", sys.argv[4]])
found, at = likeness(wanted, heard)
loud = heard[at : at + len(wanted)]
before = max(heard[max(0, at - 100) : max(0, at - 25)], default=-90.0)
print(
    f"likeness {found:.3f} at {at / 50:.2f} s of {len(heard) / 50:.1f} s recorded, "
    f"{max(loud, default=-90.0):.1f} dBFS at most; before it {before:.1f} dBFS"
)
sys.exit(found < LIKE)
