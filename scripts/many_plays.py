#!/usr/bin/env python3
"""Fills a central's SQLite database with 400 days of 150 boxes, as their logs would: 2 million plays, their days settled.

    python3 scripts/many_plays.py central.db [boxes] [days]

The database must exist: start central once, and stop it.
"""
import datetime
import json
import sqlite3
import sys

path = sys.argv[1]
boxes = int(sys.argv[2]) if len(sys.argv) > 2 else 150
days = int(sys.argv[3]) if len(sys.argv) > 3 else 400
SLOTS = [("sang", 5, 0), ("trua", 11, 0), ("chieu", 17, 0), ("toi", 19, 0)]
SECTIONS = [("thoi-su", "Thời sự xã"), ("y-te", "Y tế"), ("phap-luat", "Pháp luật"), ("nong-nghiep", "Nông nghiệp"),
            ("van-nghe", "Văn nghệ"), ("giao-duc", "Giáo dục"), ("an-ninh", "An ninh"), ("moi-truong", "Môi trường")]
PLAYS_A_SLOT = 8
db = sqlite3.connect(path)
db.execute("PRAGMA synchronous = OFF")
db.execute("PRAGMA journal_mode = WAL")
today = datetime.date.today()
names = json.dumps({"sections": dict(SECTIONS), "campaigns": {}}, ensure_ascii=False)
plan = bytes(32)
db.execute("INSERT OR IGNORE INTO day_plans VALUES (?, '[]')", (plan,))
play = 0
for back in range(days, 0, -1):
    day = today - datetime.timedelta(days=back)
    iso = day.isoformat()
    midnight = int(datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.timezone.utc).timestamp()) - 25_200
    db.execute("INSERT OR REPLACE INTO days VALUES (?, ?, ?)", (iso, midnight * 1_000_000, names))
    places, plays, sums, airings, tags = [], [], [], [], []
    for box in range(boxes):
        name, village = f"loa-{box + 1}", f"thon-{box % 40 + 1}"
        title = f"Thôn {box % 40 + 1}"
        places.append((iso, name, f"Cụm loa {box + 1}", village, title, 120, plan, None))
        silent = (box * 7 + back) % 61 == 0
        for number, (slot, hour, minute) in enumerate(SLOTS):
            due = (midnight + hour * 3_600 + minute * 60) * 1_000_000
            missed = (box * 13 + back * 5 + number) % 47 == 0
            fate = "unknown" if silent else "missed" if missed else "aired"
            airings.append((iso, name, "slot", f"{slot}/{iso}", due, f"Bản tin {slot}", f"Cụm loa {box + 1}", village, title,
                            "programme", "tet" if number == 3 else "", fate, "missed" if fate == "missed" else "",
                            1_800_000, 1_800_000 if fate == "aired" else 0))
            for index in range(PLAYS_A_SLOT if fate == "aired" else 0):
                play += 1
                at = due + index * 225_000_000
                section = SECTIONS[(index + number) % len(SECTIONS)][0]
                plays.append((name, "0000000000000001", f"{play:016x}", 1, "slot", f"{slot}/{iso}", f"Mục {index + 1}", section,
                              None, None, None, "programme", "a.mp3", "vi", 1, 80, due, at, at, at + 225_000_000,
                              10_800_000, 10_800_000, "finished", None, None, at, at, None))
        for index, (section, section_title) in enumerate(SECTIONS):
            aired = 0 if silent else 900_000
            sums.append((iso, name, village, title, section, section_title, "tet" if index == 7 else "",
                         "Tết" if index == 7 else "", "programme", f"Người {index % 4}", "", 900_000, aired, 0, 900_000 - aired, 0))
    db.executemany("INSERT OR REPLACE INTO day_boxes VALUES (?,?,?,?,?,?,?,?)", places)
    db.executemany("INSERT OR IGNORE INTO plays (box, epoch, play, start, subject, subject_id, title, section, campaign, class,"
                   " mode, rung, source, language, repetition, volume_percent, scheduled, opened, started, ended, frames_played,"
                   " frames_due, outcome, reason, heard, arrived, listed, implausible)"
                   " VALUES (" + ",".join("?" * 28) + ")", plays)
    db.executemany("INSERT OR REPLACE INTO day_sums VALUES (" + ",".join("?" * 16) + ")", sums)
    for row in airings:
        number = db.execute("INSERT OR REPLACE INTO airings (day, box, subject, subject_id, due, title, box_title, village,"
                            " village_title, class, campaign, outcome, reason, planned_ms, aired_ms)"
                            " VALUES (" + ",".join("?" * 15) + ")", row).lastrowid
        for index in range(len(SECTIONS)):
            tags.append((f"s/{SECTIONS[index][0]}", row[4], number, row[11]))
        tags.append((f"p/Người {number % 4}", row[4], number, row[11]))
    db.executemany("INSERT OR IGNORE INTO airing_tags VALUES (?,?,?,?)", tags)
    db.commit()
print(play, "plays")
