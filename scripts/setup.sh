#!/usr/bin/env bash
# Installs from Debian what building and showing Loa Xã needs; with --tests also what its tests need, with --packages also
# what building and testing its packages needs.
# Says what it installs and why. Does nothing, quickly, when all is there.
set -euo pipefail

with_tests=no with_packages=no
case "${1-}" in
'') ;;
--tests) with_tests=yes ;;
--packages) with_packages=yes ;;
*)
    echo "usage: scripts/setup.sh [--tests | --packages]" >&2
    exit 2
    ;;
esac

# package  why
wanted='
ca-certificates  tells cargo and rustup whom to fetch from
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
postgresql          a database server, in the place of a file
nftables            loses packets in the fault tests
iproute2            makes a network of their own for them
pulseaudio          a sound server whose output can be recorded
pulseaudio-utils    records it
libasound2-plugins  leads ALSA to it
mount               fills a disk in the fault tests
strace              records what a box asks of its disk, for power cuts
systemd             judges the units of firmware-config/
ffmpeg              the referee for loudness and formats
icecast2            the station that relays are tested against
chromium            opens the pages as staff do
firefox-esr         opens them too
poppler-utils       measures what chromium prints
fonts-liberation    stands in for Times New Roman there
xmlsec1             signs and checks alerts
openssl             makes keys for that
zbar-tools          reads the QR codes on them
python3             makes the music of playlists/
shellcheck          reads the shell scripts
'
[ $with_tests = no ] || wanted+=$wanted_by_tests
wanted_by_packages='
gcc-aarch64-linux-gnu     compiles for boards of 64 bits
g++-aarch64-linux-gnu     the same
gcc-arm-linux-gnueabihf   compiles for boards of 32 bits
g++-arm-linux-gnueabihf   the same
lintian                   judges the packages
debootstrap               makes the clean systems in which they are tried
qemu-user-static          runs the programs for boards
iproute2                  makes a network of their own for them
qemu-system-x86           is the machine in which a box boots
e2fsprogs                 makes its disk
dosfstools                makes its boot partition
mtools                    writes there
ffmpeg                    reads what was sent, to compare it with what was heard
python3                   makes sounds, compares them, and tells the machine the time
'
[ $with_packages = no ] || wanted+=$wanted_by_packages
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

# why NAME...: a line for each
why() {
    for name in "$@"; do
        awk -v name="$name" '$1 == name { sub(/^[^ ]+ +/, ""); printf "  %-19s %s\n", name, $0 }' <<<"$wanted"
    done
}

# is_enough VERSION: whether a compiler of this version builds us
is_enough() { [ "$(printf '%s\n' "$needed" "$1" | sort -V | head -n 1)" = "$needed" ]; }

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# offered PACKAGE: the version that apt would install, without its epoch; nothing where there is none
offered() { apt-cache policy "$1" | sed -n 's/^  Candidate: \(.*:\)\{0,1\}\([0-9].*\)$/\2/p'; }

# The Rust of Debian. Stable releases keep an old one under the plain names, and get the one that browsers are built with
# by the security archive, under names of its own. Either gives /usr/bin/cargo. Where both are too old: rustup.
#   compiler          format and lints
rust_packages='
cargo rustc           rustfmt rust-clippy
cargo-web rustc-web   rustfmt-web rust-web-clippy
'

install_rust() {
    local cargo rustc
    # Without fresh lists of packages, a new machine seems to offer none.
    if [ "$(id -u)" = 0 ] || command -v sudo >/dev/null; then
        as_root apt-get -qq -o DPkg::Lock::Timeout=300 update || stop "apt-get update failed (see above)."
    fi
    while read -r cargo rustc _; do
        if [ -n "$cargo" ] && is_enough "$(offered "$cargo")"; then
            echo "setup: installing Debian's $cargo and $rustc, the Rust compiler"
            missing=("$cargo" "$rustc")
            install "${missing[@]}"
            return
        fi
    done <<<"$rust_packages"
    if [ -n "$(offered rustup)" ]; then
        echo "setup: installing Debian's rustup, and with it the stable Rust compiler for this user"
        missing=(rustup)
        install rustup
        rustup default stable
        return
    fi
    stop "there is no Rust compiler here, and no package of Debian's sources in /etc/apt brings $needed or later." \
        "On Debian 12 its security archive does: is bookworm-security among them? Else, as your usual user, run:" \
        "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y" \
        "(needs the package curl), then start this again."
}

# Adds the formatter and the lints to the compiler that is here, from where that came.
install_rust_checks() {
    local cargo format lints
    while read -r cargo _ format lints; do
        if [ -n "$cargo" ] && [ "$(command -v cargo)" = /usr/bin/cargo ] && is_installed "$cargo"; then
            echo "setup: installing Debian's $format and $lints, which check the code"
            missing=("$format" "$lints")
            install "${missing[@]}"
            return
        fi
    done <<<"$rust_packages"
    command -v rustup >/dev/null ||
        stop "the Rust compiler here ($(command -v cargo)) has no 'cargo fmt' or no 'cargo clippy'; add them, then start this again."
    echo "setup: installing rustfmt and clippy by rustup, which check the code"
    rustup component add rustfmt clippy
}

need_debian
find_missing
if [ ${#missing[@]} -gt 0 ]; then
    echo "setup: installing from Debian (nothing of it is started as a service):"
    why "${missing[@]}"
    install "${missing[@]}"
fi

# targets: the standard library of the boards, by rustup or by Debian's packages of it
targets() {
    for target in aarch64-unknown-linux-gnu armv7-unknown-linux-gnueabihf; do
        [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target" ] || continue
        command -v rustup >/dev/null || stop "the Rust compiler here has no library for $target, and only rustup brings it."
        rustup target add "$target"
    done
}

needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml")
export PATH="$HOME/.cargo/bin:$PATH"
command -v cargo >/dev/null || install_rust

# The cargo of plain Debian 12 is of 2022; what it says about an edition that it does not know helps nobody.
found=$(rustc --version | awk '{ print $2 }')
if ! is_enough "$found"; then
    if [ "$(command -v rustc)" = /usr/bin/rustc ]; then
        stop "the Rust compiler here is $found, but $needed or later is needed. Debian's packages cargo and rustc are too old:" \
            "remove them (apt-get remove cargo rustc), then start this again; it then installs a newer one."
    fi
    stop "the Rust compiler here is $found, but $needed or later is needed. With rustup:  rustup update stable"
fi
if [ $with_tests = yes ] && ! { cargo fmt --version && cargo clippy --version; } >/dev/null 2>&1; then
    install_rust_checks
fi
[ $with_packages = no ] || targets
