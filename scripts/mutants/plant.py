"""Plants faults in a copy of the source, all behind a switch, and counts those that the tests notice."""

import argparse
import glob
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "scripts/mutants"
WORK = ROOT / "target/mutants"
TREE = WORK / "tree"
# Longest time of the tests for one fault, in seconds: a fault may make a loop endless.
PATIENCE = int(os.environ.get("LOAXA_FAULT_PATIENCE", "600"))
# Tests of the heart that take long.
LONG = ["simulation", "search", "no_flood"]
# Folders of the pure parts, and all folders that hold a rule.
PURE = ["src/heart/decide", "src/heart/domain", "src/heart/wire"]
EVERYWHERE = ["src/heart", "src/adapters", "src/sound", "src/box", "src/central"]
# Longest time of the tests that meet one fault anywhere, in seconds as they took without a fault.
MEETING = 150

SWITCH = (HERE / "switch.rs").read_text()


def sources():
    """Lists the files of the source, those that are not committed, too."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                            stdout=subprocess.PIPE).stdout
    return [pathlib.Path(os.fsdecode(name)) for name in listed.split(b"\0") if name and (ROOT / os.fsdecode(name)).is_file()]


def write_tree(changed):
    """Makes the tree equal to the source but for `changed`; what is equal already keeps its date, and is not built anew."""
    wanted = set()
    for name in sources():
        content = changed[str(name)].encode() if str(name) in changed else (ROOT / name).read_bytes()
        target = TREE / name
        wanted.add(target)
        if not target.is_file() or target.read_bytes() != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            target.chmod((ROOT / name).stat().st_mode)
    built = TREE / "target"
    for left in TREE.rglob("*"):
        if left.is_file() and left not in wanted and built not in left.parents:
            left.unlink()
    if not built.exists():
        # The compiled dependencies are shared by hard links: they are as good here.
        (built / "debug").mkdir(parents=True)
        for part in ("deps", ".fingerprint", "build"):
            if (ROOT / "target/debug" / part).exists():
                subprocess.run(["cp", "-al", ROOT / "target/debug" / part, built / "debug"], check=True)


def switch_of(file):
    return "crate" if file.startswith("src/heart/") else "loaxa_heart"


def plant(faults):
    """Returns the faults that fit nowhere, and the texts of the files with all others planted."""
    stale = []
    texts = {"src/heart/lib.rs": "#![allow(warnings)]\n" + (ROOT / "src/heart/lib.rs").read_text() + SWITCH}
    for fault in faults:
        file = fault["file"]
        text = texts.setdefault(file, (ROOT / file).read_text()) if (ROOT / file).exists() else ""
        old, new = fault["old"].strip("\n"), fault["new"].strip("\n")
        if text.count(old) != 1:
            stale.append(fault)
            continue
        on = f'{switch_of(file)}::planted("{fault["name"]}")'
        if "$ON" in new:
            texts[file] = text.replace(old, new.replace("$ON", on))
            continue
        # A statement stays one; an expression is put in parentheses, so that what follows still applies to it.
        is_statement = old.rstrip().endswith((";", "}")) and fault.get("kind") != "expression"
        both = f"if {on} {{ {new} }} else {{ {old} }}"
        texts[file] = text.replace(old, both if is_statement else f"({both})")
    return stale, texts


def cargo(*arguments, fault=None, **options):
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TREE / "target"), "CARGO_TERM_PROGRESS_WHEN": "never"}
    environment.pop("LOAXA_FAULT", None)
    if fault:
        environment["LOAXA_FAULT"] = fault
    return subprocess.run(["cargo", *arguments], cwd=TREE, env=environment, **options)


def build():
    """Builds the tests. Returns what the compiler said where it refused, or nothing."""
    print("building the tests with all faults planted ...", flush=True)
    built = cargo("nextest", "list", "--workspace", "--list-type", "binaries-only", "--message-format", "json",
                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if built.returncode:
        return built.stderr
    (WORK / "binaries.json").write_text(built.stdout)
    described = cargo("metadata", "--format-version", "1", "--all-features", stdout=subprocess.PIPE, text=True)
    (WORK / "cargo.json").write_text(described.stdout)
    return None


def nextest(filters, *options):
    return ["nextest", "run", "--binaries-metadata", str(WORK / "binaries.json"), "--cargo-metadata",
               str(WORK / "cargo.json"), "--no-tests", "fail", "-E", filters, *options]


def tests_pass(filters, fault=None):
    """Runs tests; a hang counts as a failure. Returns whether they passed, and what was said."""
    command = nextest(filters, "--status-level", "fail", "--final-status-level", "fail",
                      "--no-fail-fast" if fault is None else "--fail-fast")
    try:
        ran = cargo(*command, fault=fault, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return False, "it took too long"
    if ran.returncode == 4:
        sys.exit(f"no test fits {filters}")
    return ran.returncode == 0, ran.stdout


def listed_faults():
    faults = tomllib.loads((HERE / "faults.toml").read_text())["fault"]
    names = [fault["name"] for fault in faults]
    assert len(set(names)) == len(names), "two faults have one name"
    return faults


def check_without_fault(filters):
    passed, said = tests_pass(filters)
    if not passed:
        sys.exit(f"{said}\nwithout any fault these tests fail")


def run_listed(faults, stale, only):
    chosen = [fault for fault in faults if fault not in stale and (only is None or any(word in fault["name"] for word in only))]
    if only and not chosen:
        sys.exit(f"no fault is named so: {', '.join(only)}")
    if not chosen:
        return not stale
    check_without_fault(" | ".join(sorted({f"({fault['tests']})" for fault in chosen})))
    missed = []
    for fault in chosen:
        passed, _ = tests_pass(fault["tests"], fault["name"])
        print(f"{'MISSED' if passed else 'caught'}  {fault['name']}", flush=True)
        if passed:
            missed.append(fault["name"])
    for fault in stale:
        print(f"STALE   {fault['name']}: its old text is not once in {fault['file']}")
    print(f"listed: {len(chosen) - len(missed)} of {len(chosen)} caught, {len(stale)} stale")
    return not missed and not stale


def generate(count, seed, texts, folders, without=()):
    """Plants a sample of the generator's faults beside the listed ones, but for those that don't build."""
    write_tree(texts)
    environment = {**os.environ, "CARGO_TARGET_DIR": str(WORK / "generator")}
    command = ["cargo", "run", "--quiet", "--manifest-path", HERE / "generator/Cargo.toml", "--", TREE, WORK, str(count), str(seed),
               ",".join(sorted(without)), *folders]
    subprocess.run(command, env=environment, check=True)
    planted = WORK / "planted"
    write_tree(texts | {str(file.relative_to(planted)): file.read_text() for file in planted.rglob("*.rs")})


def binary(package, name):
    """Returns the test program of a crate, and the folder that it runs in."""
    built = json.loads((WORK / "binaries.json").read_text())["rust-binaries"].values()
    found = [it for it in built if it["binary-name"] == name and it["binary-id"].split("::")[0] == package]
    assert len(found) == 1, f"{len(found)} test programs are called {name} of {package}"
    manifests = {it["name"]: it["manifest_path"] for it in json.loads((WORK / "cargo.json").read_text())["packages"]}
    return found[0]["binary-path"], pathlib.Path(manifests[package]).parent


def program_passes(program, fault, *arguments, patience=PATIENCE):
    """Runs a test program in one process, which is many times faster than a process a test; a hang is a failure."""
    path, folder = program
    environment = {name: value for name, value in os.environ.items() if name != "LOAXA_FAULT"}
    environment |= {"CARGO_MANIFEST_DIR": str(folder)} | ({"LOAXA_FAULT": fault} if fault else {})
    try:
        ran = subprocess.run([path, *arguments], cwd=folder, env=environment, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, timeout=patience, preexec_fn=bound_memory)
    except subprocess.TimeoutExpired:
        return False
    return ran.returncode == 0


def bound_memory():
    # A fault may make a loop that takes memory without end.
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))


def run_generated():
    heart, whole = binary("loaxa-heart", "loaxa_heart"), binary("loaxa", "heart")
    skipped = [word for name in LONG for word in ("--skip", name)]
    # Those that take least come first.
    stages = [(heart, skipped), (whole, []), (heart, LONG)]
    patience = []
    for program, arguments in stages:
        begun = time.monotonic()
        if not program_passes(program, None, *arguments):
            sys.exit(f"without any fault {program[0]} fails")
        patience.append(min(PATIENCE, 30 + 10 * (time.monotonic() - begun)))
    made = [line.split("\t", 1) for line in (WORK / "generated.txt").read_text().splitlines()]
    caught = 0
    with (WORK / "missed.txt").open("w") as report:
        for name, what in made:
            noticed = not all(program_passes(program, name, *arguments, patience=longest)
                              for (program, arguments), longest in zip(stages, patience))
            print(f"{'caught' if noticed else 'MISSED'}  {name}  {what}", flush=True)
            caught += noticed
            if not noticed:
                print(name, what, sep="\t", file=report, flush=True)
    print(f"generated: {caught} of {len(made)} caught")
    return caught * 100 >= len(made) * 95


def meetings():
    """Runs all tests without a fault. Returns how long each took, and which of those that passed meet each fault."""
    reached = WORK / "reached"
    shutil.rmtree(reached, ignore_errors=True)
    reached.mkdir()
    # Some tests run programs as other users, which write here as well.
    reached.chmod(0o777)
    print("running all tests, to see which of them meet which fault ...", flush=True)
    command = nextest("not (binary(tidy) | binary(texts))", "--no-fail-fast", "--status-level", "pass", "--color", "never")
    os.environ["LOAXA_FAULT_REACHED"] = str(reached)
    ran = cargo(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    del os.environ["LOAXA_FAULT_REACHED"]
    (WORK / "tests.txt").write_text(ran.stdout)
    took, meeting = {}, {}
    for line in ran.stdout.splitlines():
        passed = re.match(r"\s*(?:PASS|SLOW|LEAK) \[\s*([\d.]+)s\] (?:\(.*?\) )?(\S+) (\S+)$", line)
        if passed:
            took[passed[2], passed[3]] = float(passed[1])
    for test in took:
        name = "@".join(test).replace("/", "_")
        for file in reached.glob(glob.escape(name) + ".*"):
            for fault in file.read_text().split():
                meeting.setdefault(fault, set()).add(test)
    return took, meeting


def run_everywhere():
    took, meeting = meetings()
    made = [line.split("\t", 1) for line in (WORK / "generated.txt").read_text().splitlines()]
    caught = 0
    with (WORK / "missed.txt").open("w") as report:
        for name, what in made:
            chosen, time_left = [], MEETING
            for test in sorted(meeting.get(name, ()), key=took.get):
                if chosen and took[test] > time_left:
                    break
                chosen.append(test)
                time_left -= took[test]
            filters = " | ".join(f"(binary_id(={binary}) & test(={test}))" for binary, test in chosen)
            noticed = bool(chosen) and not tests_pass(filters, name)[0]
            said = "caught" if noticed else f"MISSED by {len(chosen)} of {len(meeting.get(name, ()))}" if chosen else "MET BY NO TEST"
            print(f"{said}  {name}  {what}", flush=True)
            caught += noticed
            if not noticed:
                print(name, said, what, sep="\t", file=report, flush=True)
    print(f"generated everywhere: {caught} of {len(made)} caught")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=None, help="of those listed, the ones whose names contain one of these; none after it: none")
    parser.add_argument("--generated", type=int, default=0, help="also so many faults of the generator")
    parser.add_argument("--everywhere", type=int, default=0, help="so many faults of the generator in all parts, and no others")
    parser.add_argument("--seed", type=int, default=1, help="chooses them")
    given = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    faults = [] if given.everywhere else listed_faults()
    stale, texts = plant(faults)
    count, folders, without = given.everywhere or given.generated, EVERYWHERE if given.everywhere else PURE, set()
    while True:
        if count:
            generate(count, given.seed, texts, folders, without)
        else:
            write_tree(texts)
        refused = build()
        if refused is None:
            break
        new = set(re.findall(r'planted\("(g\d+)"\)', refused)) - without
        if not new:
            sys.exit(f"{refused}\nthe source with the faults planted does not build")
        print(f"left out, for they do not build: {', '.join(sorted(new))}", flush=True)
        without |= new
    if given.everywhere:
        return run_everywhere()
    fine = run_listed(faults, stale, given.only)
    if given.generated:
        fine = run_generated() and fine
    sys.exit(not fine)


if __name__ == "__main__":
    main()
