#!/usr/bin/env python3
"""Time from an emergency's order to its first sound, at rest and while eight addresses try passwords without a pause: argon2 runs
two at a time and must not delay it. Beside a demo that runs, whose morning is over; see bench_notice.py.

Usage: scripts/bench_sign_in.py ADDRESS TOKEN [COUNT]"""
import http.client, json, statistics, sys, threading, time, urllib.parse
from datetime import datetime

BASE, TOKEN, COUNT = sys.argv[1].rstrip("/"), sys.argv[2], int((sys.argv[3:] or ["10"])[0])
HOST = urllib.parse.urlparse(BASE).netloc
over, tried = threading.Event(), []


def guess(n):
    """Tries passwords from an address of its own."""
    body = urllib.parse.urlencode({"ten": f"lan{n}", "mat-khau": "không phải mật khẩu này đâu"})
    headers = {"Origin": BASE, "Content-Type": "application/x-www-form-urlencoded"}
    while not over.is_set():
        connection = http.client.HTTPConnection(HOST, source_address=(f"127.0.1.{n % 8 + 1}", 0))
        connection.request("POST", "/dang-nhap", body, headers)
        connection.getresponse().read()
        connection.close()
        tried.append(n)


def api(path, fields=None):
    connection = http.client.HTTPConnection(HOST)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    if fields is None:
        connection.request("GET", f"/api/v1/{path}", headers=headers)
    else:
        boundary = "x" * 20
        body = f'--{boundary}\r\nContent-Disposition: form-data; name="fields"\r\n\r\n{json.dumps(fields)}\r\n--{boundary}--\r\n'
        headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
        connection.request("POST", f"/api/v1/{path}", body.encode(), headers)
    return json.loads(connection.getresponse().read())


def emergency(n):
    fields = {"to": ["thon-dong"], "class": "emergency", "text": f"Thử lần {n}.", "opening": "none"}
    api("announcements", fields | {"mode": "exercise"})  # Its words are spoken now: what follows needs no engine.
    time.sleep(4)
    begun = time.time()
    command = api("announcements", fields)["id"]
    while True:
        starts = [play["started"] for play in api(f"plays?announcement={command}") if play.get("started")]
        if starts:
            return min(datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp() for at in starts) - begun
        time.sleep(0.02)


def measure(what):
    times = []
    for n in range(COUNT):
        times.append(emergency(n))
        time.sleep(3)
    print(f"{what}: median {statistics.median(times):.3f} s, most {max(times):.3f} s (n = {COUNT})")


measure("at rest")
threads = [threading.Thread(target=guess, args=(n,)) for n in range(16)]
[thread.start() for thread in threads]
begun = time.time()
measure("beside guesses")
over.set()
[thread.join() for thread in threads]
print(f"{len(tried) / (time.time() - begun):.0f} guesses a second")
