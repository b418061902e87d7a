"""How far from its instant a scheduled play starts, by the device's own playback timestamps.

usage: bench_start.py --shots N --dir DIR --tone FILE -- LOAXA box --config DIR/box.toml
DIR/box.toml names programme.toml, which this writes: N sessions, five seconds from start to start."""
import argparse, datetime, json, os, shutil, sqlite3, subprocess, sys, time

EVERY_S = 5
LEAD_S = 6

split = sys.argv.index("--")
arguments = argparse.ArgumentParser()
arguments.add_argument("--shots", type=int, default=100)
arguments.add_argument("--dir", required=True)
arguments.add_argument("--tone", required=True)
options = arguments.parse_args(sys.argv[1:split])
command = sys.argv[split + 1 :]

shutil.copy(options.tone, options.dir)
vietnam = datetime.timezone(datetime.timedelta(hours=7))
first = datetime.datetime.now(vietnam).replace(microsecond=0) + datetime.timedelta(seconds=LEAD_S)
text = (
    '[programme]\nid = "do"\nversion = 1\ntitle = "Đo"\ngroup = "xa"\n'
    f'[[playlist]]\nid = "do"\ntitle = "Đo"\n[[playlist.item]]\ntitle = "Đo"\nfile = "{os.path.basename(options.tone)}"\n'
)
for shot in range(options.shots):
    start = first + datetime.timedelta(seconds=EVERY_S * shot)
    end = start + datetime.timedelta(seconds=EVERY_S - 1)
    text += (
        f'[[slot]]\nid = "do-{shot}"\ntitle = "Đo"\nstart = "{start:%H:%M:%S}"\nend = "{end:%H:%M:%S}"\n'
        'days = "daily"\nplaylist = "do"\nfill = "once"\n'
    )
with open(os.path.join(options.dir, "programme.toml"), "w") as file:
    file.write(text)

box = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
time.sleep(LEAD_S + EVERY_S * options.shots)
box.terminate()
box.wait()

scheduled, late_ms = {}, []
store = sqlite3.connect(os.path.join(options.dir, "state", "box.sqlite"))
for (body,) in store.execute("SELECT body FROM log ORDER BY seq"):
    entry = json.loads(body)
    entry = entry.get("entry", entry)
    if entry.get("event") == "play_started" and entry.get("scheduled"):
        scheduled[entry["play"]] = entry["scheduled"]
    if entry.get("event") == "play_ended" and entry.get("started_at") and entry["play"] in scheduled:
        instant = lambda text: datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
        late_ms.append(1e3 * (instant(entry["started_at"]["wall"]) - instant(scheduled[entry["play"]])))
off = sorted(abs(late) for late in late_ms)
at = lambda share: off[min(len(off) - 1, int(share * len(off)))]
print(f"n={len(off)} of {options.shots} off by ms: median={at(0.5):.3f} p95={at(0.95):.3f} p99={at(0.99):.3f} worst={off[-1]:.3f}")
