#!/usr/bin/env bash
# Fetches what a program of another architecture is linked with and runs with, from Debian, into a folder of its own, and
# prints that: scripts/deb_sysroot.sh ARCH DIR. Nothing is installed on this machine.
set -euo pipefail
[ $# = 2 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
arch=$1 dir=$(realpath -m "$2/sysroot-$1")
if [ ! -e "$dir/.whole" ]; then
    rm -rf "$dir"
    lists=$(mktemp -d)
    trap 'rm -rf "$lists"' EXIT
    mkdir -p "$dir" "$lists"/{state/lists/partial,cache/archives/partial,debs}
    touch "$lists/status"
    of_arch=(-o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o "Dir::State=$lists/state" -o "Dir::Cache=$lists/cache"
        -o "Dir::State::status=$lists/status" -o APT::Sandbox::User=root -o Acquire::Languages=none)
    # A mirror in the middle of its own update fails for some lists; what is lacking then shows in the next command.
    apt-get -qq "${of_arch[@]}" update >&2 || true
    (cd "$lists/debs" && apt-get -qq "${of_arch[@]}" download libc6 libgcc-s1 libasound2 libasound2-data libasound2-dev >&2)
    for deb in "$lists"/debs/*.deb; do dpkg -x "$deb" "$dir"; done
    touch "$dir/.whole"
fi
echo "$dir"
