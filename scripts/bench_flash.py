#!/usr/bin/env python3
"""Measures the bytes that a box writes to its disk: idle, and while a programme sounds; scripts/bench_flash.py PROGRAM [SECONDS]

The kernel counts what the process gives to the block device (/proc/PID/io, write_bytes); the folder must not lie in memory.
The sum for a day takes six hours of sound. What the box says on standard error, which journald writes, is counted apart.
"""
import datetime
import os
import subprocess
import sys
import tempfile
import time

program, seconds = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 300
SOUND_HOURS = 6


def written(pid):
    with open(f"/proc/{pid}/io") as io:
        return int(dict(line.split(": ") for line in io.read().splitlines())["write_bytes"])


def measure(folder, sounds):
    now = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=7)))
    begins = (now + datetime.timedelta(seconds=5)).strftime("%H:%M:%S")
    ends = (now + datetime.timedelta(seconds=seconds + 120)).strftime("%H:%M:%S")
    tone = os.path.join(folder, "tone.wav")
    if not os.path.exists(tone):
        subprocess.run(["sh", "-c", f"exec {sys.executable} - {tone}"], input=TONE.encode(), check=True)
    slot = f'[[slot]]\nid = "s"\ntitle = "s"\nstart = "{begins}"\nend = "{ends}"\ndays = "daily"\nplaylist = "p"\nfill = "loop"\n'
    with open(os.path.join(folder, "programme.toml"), "w") as file:
        file.write(
            '[programme]\nid = "p"\nversion = 1\ntitle = "p"\ngroup = "xa"\n[[playlist]]\nid = "p"\ntitle = "p"\n'
            '[[playlist.item]]\ntitle = "tone"\nfile = "tone.wav"\n' + (slot if sounds else "")
        )
    with open(os.path.join(folder, "box.toml"), "w") as file:
        file.write(
            '[box]\nid = "loa-1"\ngroups = ["xa"]\nstate_dir = "state"\n[programme]\nfiles = ["programme.toml"]\n'
            '[sound]\noutput = "null"\n[clock]\nrtc = "yes"\n[guard]\nallowed = [{ from = "00:00", until = "24:00" }]\n'
        )
    said = open(os.path.join(folder, "said"), "ab")
    box = subprocess.Popen([program, "box", "--config", os.path.join(folder, "box.toml")], stderr=said, stdout=said)
    try:
        # What the start writes is counted once a day at most, and told apart.
        time.sleep(20)
        start, since = written(box.pid), time.monotonic()
        time.sleep(seconds)
        return start, (written(box.pid) - start) / (time.monotonic() - since)
    finally:
        box.terminate()
        box.wait()
        said.close()


TONE = """
import math, struct, sys, wave
with wave.open(sys.argv[1], "wb") as out:
    out.setnchannels(1); out.setsampwidth(2); out.setframerate(16000)
    out.writeframes(b"".join(struct.pack("<h", int(8000 * math.sin(n / 6))) for n in range(16000 * 180)))
"""

with tempfile.TemporaryDirectory(dir=os.path.dirname(program)) as folder:
    first, idle = measure(folder, False)
    again, sounding = measure(folder, True)
    day = (24 - SOUND_HOURS) * 3600 * idle + SOUND_HOURS * 3600 * sounding
    said = os.path.getsize(os.path.join(folder, "said"))
    print(f"start: {first / 1e6:.2f} MB new, {again / 1e6:.2f} MB again; standard error: {said} bytes in both runs")
    print(f"idle: {idle:.0f} bytes/s; sounding: {sounding:.0f} bytes/s")
    print(f"a day with {SOUND_HOURS} h of sound: {day / 1e6:.1f} MB")
