#!/usr/bin/env python3
"""The page of a week with 1,001 slots.

Usage: scripts/bench_week.py VISIT [COUNT]
VISIT is the file that the lived-in commune of the tests writes while it waits for visitors:
    LOAXA_VISIT=VISIT cargo nextest run --workspace -E 'test(every_page_of_a_lived_in_commune)'
The programme of the commune gets 143 slots of one minute each day. Remove the file to end the visit."""
import json, re, statistics, sys, time, urllib.request

VISIT = json.load(open(sys.argv[1]))
BASE, COUNT = VISIT["address"], int((sys.argv[2:] or ["20"])[0])
TOKEN = "a-token-for-tests"

slots = "".join(f'[[slot]]\nid = "s{n}"\ntitle = "Khung {n}"\nstart = "{5 + n // 12:02}:{5 * (n % 12):02}"\nminutes = 1\nplaylist = "l"\n'
                for n in range(143))
toml = (f'[programme]\nid = "xa"\nversion = 2\ntitle = "Đo"\ngroup = "xa"\n[[playlist]]\nid = "l"\ntitle = "L"\n'
        f'[[playlist.item]]\ntitle = "Mở đầu"\ntext = "Kính chào bà con."\n{slots}')
headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
asked = json.dumps({"toml": toml, "media": {}}).encode()
urllib.request.urlopen(urllib.request.Request(BASE + "/api/v1/programmes", asked, headers)).read()
times = []
for _ in range(COUNT):
    begun = time.time()
    page = urllib.request.urlopen(urllib.request.Request(BASE + "/tuan", headers={"Cookie": VISIT["lan"]})).read()
    times.append(time.time() - begun)
print(f"the page of a week: {len(re.findall(rb'Khung [0-9]+', page))} slots, {len(page) // 1000} kB, first {times[0]:.3f} s, "
      f"then median {statistics.median(times[1:]):.3f} s, most {max(times[1:]):.3f} s (n = {COUNT - 1})")
