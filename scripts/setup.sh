#!/usr/bin/env bash
# Installs from Debian what building and showing Loa Xã needs; with --tests also what its tests need.
# Says what it installs and why. Does nothing, quickly, when all is there.
set -euo pipefail

with_tests=no
case "${1-}" in
'') ;;
--tests) with_tests=yes ;;
*)
    echo "usage: scripts/setup.sh [--tests]" >&2
    exit 2
    ;;
esac

# package  why
wanted='
gcc              compiles the SQLite, TLS and Opus parts
cmake            leads the compiling of Opus
make             does what cmake says
libc6-dev        headers for gcc
pkg-config       finds ALSA
libasound2-dev   headers of ALSA, the sound interface of Linux
espeak-ng        speaks Vietnamese texts
'
wanted_by_tests='
mosquitto           the external MQTT broker that boxes are tested against
mosquitto-clients   checks its access rules
nftables            loses packets in the fault tests
iproute2            makes a network of their own for them
pulseaudio          a sound server whose output can be recorded
pulseaudio-utils    records it
libasound2-plugins  leads ALSA to it
ffmpeg              the referee for loudness and formats
icecast2            the station that relays are tested against
chromium            opens the pages as staff do
xmlsec1             signs and checks alerts
openssl             makes keys for that
zbar-tools          reads the QR codes on them
python3             makes the music of playlists/
shellcheck          reads the shell scripts
'
[ $with_tests = no ] || wanted+=$wanted_by_tests
mapfile -t names < <(awk 'NF { print $1 }' <<<"$wanted")

stop() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

need_debian() {
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        stop "this is not a Debian or Ubuntu system; install the counterparts of these packages by hand:" "  ${names[*]}"
    fi
}

# as_root COMMAND...: directly, or through sudo where that needs no explanation to anybody
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        stop "installing packages needs root, and there is no sudo here; as root, run:" \
            "  apt-get install --no-install-recommends ${missing[*]}"
    fi
}

# install PACKAGE...: nothing that is installed may start as a service; a policy file says so meanwhile
install() {
    # shellcheck disable=SC2016
    as_root env DEBIAN_FRONTEND=noninteractive sh -euc '
        policy=/usr/sbin/policy-rc.d
        if [ ! -e $policy ]; then
            trap "rm -f $policy" EXIT
            trap "exit 1" HUP INT TERM
            printf "#!/bin/sh\nexit 101\n" >$policy
            chmod 755 $policy
        fi
        wait="-o DPkg::Lock::Timeout=300"
        said=$(apt-get -qq $wait update 2>&1 &&
            apt-get -qq $wait -o Dpkg::Use-Pty=0 install -y --no-install-recommends "$@" 2>&1) || {
            printf "%s\n" "$said" >&2
            exit 1
        }
    ' install "$@" || stop "apt-get failed (see above). Is the network up, and are the sources in /etc/apt right?" \
        "wanted: $*"
}

missing=()
find_missing() {
    local installed
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${names[@]}" 2>/dev/null || true)
    missing=()
    for name in "${names[@]}"; do
        grep -qx "installed $name" <<<"$installed" || missing+=("$name")
    done
}

need_debian
find_missing
if [ ${#missing[@]} -gt 0 ]; then
    echo "setup: installing from Debian (nothing of it is started as a service):"
    for name in "${missing[@]}"; do
        awk -v name="$name" '$1 == name { sub(/^[^ ]+ +/, ""); printf "  %-19s %s\n", name, $0 }' <<<"$wanted"
    done
    install "${missing[@]}"
fi

# Rust: Debian's own is too old before Debian 13, so it comes by rustup.
export PATH="$HOME/.cargo/bin:$PATH"
if ! command -v cargo >/dev/null; then
    if apt-cache policy rustup | grep -q 'Candidate: [0-9]'; then
        echo "setup: installing Debian's rustup, and with it the stable Rust compiler for this user"
        missing=(rustup)
        install rustup ca-certificates
        rustup default stable
    else
        stop "there is no Rust compiler here, and this Debian has no rustup package. As your usual user, run:" \
            "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y" \
            "(needs the packages curl and ca-certificates), then start this again."
    fi
fi

# Debian 12 has cargo 1.65, whose own words about a newer edition help nobody.
needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml")
found=$(rustc --version | awk '{ print $2 }')
if [ "$(printf '%s\n' "$needed" "$found" | sort -V | head -n 1)" != "$needed" ]; then
    stop "the Rust compiler here is $found, but $needed or later is needed. With rustup:  rustup update stable" \
        "Debian's own packages cargo and rustc are too old: remove them, then start this again for the way to rustup."
fi
