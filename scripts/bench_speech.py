#!/usr/bin/env python3
"""How many lines of tests/fixtures/speech are said exactly as a newsreader says them: ours beside public normalisers.

    scripts/bench_speech.py            (installs the others into /tmp/loaxa-speech-venv; runs `cargo bench --bench speech`)

"exact" compares all characters; "words" leaves out capitals and punctuation, as some of the others drop both.
"""

import datetime
import json
import os
import platform
import re
import subprocess
import sys
import unicodedata

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLES = os.path.join(HERE, "tests", "fixtures", "speech")
VENV = "/tmp/loaxa-speech-venv"
OTHERS = ["vietnormalizer", "soe-vinorm", "g2p-hamster"]

# What each of the others is asked; run in its own process, which reads JSON lines and writes JSON lines.
ASK = {
    "vietnormalizer": """
from vietnormalizer import VietnameseNormalizer
say = VietnameseNormalizer().normalize
""",
    "soe-vinorm": """
from soe_vinorm import SoeNormalizer
say = SoeNormalizer().normalize
""",
    # It gives sounds; the words that it reads on its way stand in its report.
    "g2p-hamster": """
from g2p_hamster import text_to_profile_v2_full
def say(text):
    return " ".join(unit["word"] for unit in text_to_profile_v2_full(text)["units"])
""",
}
LOOP = """
import json, sys
for line in sys.stdin:
    try:
        said = say(json.loads(line))
    except Exception as error:
        said = "!" + type(error).__name__
    print("@@" + json.dumps(said), flush=True)
"""


def unescaped(cell):
    def one(found):
        code = found.group(1)
        return {"n": "\n", "t": "\t", "r": "\r"}.get(code) or chr(int(code[1:], 16))

    return re.sub(r"\\(n|t|r|u[0-9a-f]{4})", one, cell)


def lines(*parts):
    folder = os.path.join(TABLES, *parts)
    for name in sorted(os.listdir(folder)):
        if name.endswith(".tsv"):
            with open(os.path.join(folder, name), encoding="utf-8") as table:
                for row in table:
                    text, reading, rule = row.rstrip("\n").split("\t")
                    yield unescaped(text), unescaped(reading), rule


def words(text):
    text = unicodedata.normalize("NFC", text).lower().replace("uỷ", "ủy")
    return " ".join(re.sub(r"[^\w\s]", " ", text).split())


def ours(texts):
    command = ["cargo", "bench", "-q", "--workspace", "--profile", "dev", "--bench", "speech"]
    asked = "\n".join(json.dumps(text) for text in texts)
    done = subprocess.run(command, cwd=HERE, input=asked, capture_output=True, text=True, check=True)
    print("ours:", done.stderr.strip().splitlines()[-1])
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('"')]


def theirs(name, texts):
    asked = "\n".join(json.dumps(text) for text in texts)
    python = os.path.join(VENV, "bin", "python")
    done = subprocess.run([python, "-c", ASK[name] + LOOP], input=asked, capture_output=True, text=True, timeout=900)
    said = [json.loads(line[2:]) for line in done.stdout.split("\n") if line.startswith("@@")]
    if len(said) != len(texts):
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        print(f"{name}: did not run: {reason[:160]}")
        return None
    return said


def main():
    if not os.path.exists(VENV):
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([os.path.join(VENV, "bin", "pip"), "install", "-q", *OTHERS], check=True)
    sets = [("tuned", list(lines())), ("kept apart", list(lines("apart")))]
    texts = [text for _, rows in sets for text, _, _ in rows]
    print(datetime.date.today().isoformat(), platform.machine(), f"{os.cpu_count()} cores,", f"load {os.getloadavg()[0]:.1f}")
    print("| normaliser | set | lines | exact | words |\n|---|---|---|---|---|")
    for name in ["ours", *OTHERS]:
        said = ours(texts) if name == "ours" else theirs(name, texts)
        at = 0
        for label, rows in sets:
            if said is not None:
                pairs = list(zip(said[at : at + len(rows)], [reading for _, reading, _ in rows]))
                exact = sum(a == b for a, b in pairs)
                alike = sum(words(a) == words(b) for a, b in pairs)
                share = lambda n: f"{n} ({100 * n / len(rows):.1f} %)"
                print(f"| {name} | {label} | {len(rows)} | {share(exact)} | {share(alike)} |")
            at += len(rows)


if __name__ == "__main__":
    main()
