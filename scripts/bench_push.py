#!/usr/bin/env python3
"""Publish to first sound, of a box and of `mosquitto_sub | mpg123`, shot by shot in turn.

usage: PERF=DIR bench_push.py --shots N --commands DIR --tone FILE -- BOX COMMAND...
Both listen to the broker of the rig; the box sounds on channel pair 1 of its recording, the shell on pair 2. For the
box each shot is a signed command of its own (DIR/command-N.json), for the shell the name of the same audio file.
"""
import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path

PERF = os.environ["PERF"]
sys.path.insert(0, f"{PERF}/scripts")
import paho.mqtt.client as mqtt  # noqa: E402
from perflib import ENV, Recorder, summ  # noqa: E402

PORT = 18830
LOUD = 300  # of 32768: a sine reaches it within 0.2 ms
MISSED_S = 5


def start(command, sink):
    return subprocess.Popen(command, env=dict(ENV, PULSE_SINK=sink), stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=open(f"{PERF}/out/{sink}.err", "w"),
                            start_new_session=True)


def shoot(client, topic, payload, pair):
    """Seconds from handing the message to the client to the first loud sample; None where none came."""
    recorder = Recorder(latency_ms=4)
    recorder.wait_silence(pair)
    time.sleep(random.uniform(0, 0.3))
    at = time.monotonic()
    client.publish(topic, payload, qos=1)
    heard = recorder.wait_sound(at, pair, LOUD, timeout=MISSED_S)
    time.sleep(1)
    recorder.close()
    return heard and heard - at


def main():
    split = sys.argv.index("--")
    parser = argparse.ArgumentParser()
    parser.add_argument("--shots", type=int, required=True)
    parser.add_argument("--commands", type=Path, required=True)
    parser.add_argument("--tone", required=True)
    options = parser.parse_args(sys.argv[1:split])
    random.seed(3)
    running = [start(sys.argv[split + 1:], "box1"),
               start(["bash", f"{PERF}/scripts/sut_shell_mpg123.sh"], "box2")]
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", PORT)
    client.loop_start()
    time.sleep(3)
    times = {"loaxa": [], "mosquitto_sub | mpg123": []}
    try:
        for n in range(1, options.shots + 1):
            command = (options.commands / f"command-{n}.json").read_bytes()
            times["loaxa"].append(shoot(client, "loaxa/v1/group/xa/down/command", command, 0))
            times["mosquitto_sub | mpg123"].append(shoot(client, "box/1/announce", options.tone, 1))
    finally:
        for process in running:
            os.killpg(process.pid, 15)
        client.loop_stop()
    for name, found in times.items():
        heard = [seconds for seconds in found if seconds]
        missed = len(found) - len(heard)
        print(f"{name}: publish to first sound:", summ(heard, f=1000, nd=1) if heard else "none", f"missed {missed}")


main()
