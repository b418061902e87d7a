#!/usr/bin/env python3
"""Time from an approver's press to the first sound, and from there to its words on an electronic bulletin board, with a demo
that runs: loaxa demo prints the address and the token.

Usage: scripts/bench_notice.py ADDRESS TOKEN [COUNT]
Each notice is written as text, submitted and approved over the pages; the start of its play is what the boxes log, by the
clock that they share with this machine."""
import http.cookiejar, json, os, re, statistics, sys, threading, time, urllib.parse, urllib.request
from datetime import datetime

BASE, TOKEN, COUNT = sys.argv[1].rstrip("/"), sys.argv[2], int((sys.argv[3:] or ["20"])[0])
PASSWORD = "con-de-lang-minh-1996"


class Person:
    def __init__(self, account):
        jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        self.post("/dang-nhap", {"ten": account, "mat-khau": PASSWORD})

    def get(self, path):
        return self.opener.open(BASE + path).read().decode()

    def post(self, path, fields):
        body = urllib.parse.urlencode(fields).encode()
        request = urllib.request.Request(BASE + path, body, {"Origin": BASE})
        return self.opener.open(request).read().decode()


def api(path):
    request = urllib.request.Request(f"{BASE}/api/v1/{path}", headers={"Authorization": f"Bearer {TOKEN}"})
    return json.load(urllib.request.urlopen(request))


def started(command):
    """The first start of the announcement on any box, as seconds since 1970."""
    for _ in range(400):
        plays = [play for play in api(f"plays?announcement={command}") if play.get("started")]
        if plays:
            return min(datetime.fromisoformat(play["started"].replace("Z", "+00:00")).timestamp() for play in plays)
        time.sleep(0.025)
    raise SystemExit("a notice did not sound within ten seconds: is the demo's morning over?")


def read_board():
    """Notes when each title was told first."""
    for line in urllib.request.urlopen(BASE + "/dang-phat/su-kien"):
        if line.startswith(b"data:"):
            for it in json.loads(line[5:])["sounding"]:
                told.setdefault(it["title"], time.time())


def summary(of):
    return f"median {statistics.median(of):.3f} s, most {max(of):.3f} s (n = {len(of)})"


told = {}
threading.Thread(target=read_board, daemon=True).start()
lan, duc, times, board = Person("lan"), Person("duc"), [], []
for n in range(COUNT):
    notice = os.urandom(8).hex()
    lan.post(f"/soan-tin/{notice}", {
        "goc": "", "ten": f"Tin thử {n}", "loi": f"Mời bà con họp thôn lần thứ {n}.", "giong": "may", "noi": "thon-dong",
        "khi": "som", "loai": "priority", "lan": "1", "tieng": "vi", "viec": "gui"})
    version = re.search(r'name="ban" value="([0-9a-f]{64})"', duc.get(f"/duyet-tin/{notice}")).group(1)
    pressed = time.time()
    duc.post(f"/duyet-tin/{notice}", {"ban": version, "viec": "duyet"})
    command = next(row["id"] for row in api("announcements") if row["title"] == f"Tin thử {n}")
    sounded = started(command)
    times.append(sounded - pressed)
    time.sleep(6)
    board.append(told.get(f"Tin thử {n}", float("inf")) - sounded)
print(f"approval to first sound: {summary(times)}\nfirst sound to the board: {summary(board)}")
