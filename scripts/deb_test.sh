#!/usr/bin/env bash
# Tries the packages of target/deb, as root: scripts/deb_test.sh [--debs DIR] [--roots DIR] [SUITE...] [emulated:ARCH...]
# In a clean root of each Debian: lintian, install, first start, upgrade, downgrade, remove, purge. What runs there as a service
# is its unit's command under its unit's user, by hand: there is no systemd in a chroot. The programs for boards run emulated:
# checks, sound of each format, and an emergency over MQTT with TLS. Without names of its own it tries all.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "deb_test: takes root" >&2; exit 1; }
# Mounts and networks of its own, which end with it.
[ -n "${LOAXA_DEB_TEST:-}" ] || LOAXA_DEB_TEST=1 exec unshare --mount --propagation private --net "$0" "$@"

debs=target/deb roots=target/roots wanted=()
while [ $# -gt 0 ]; do
    case "$1" in
    --debs) debs=$2 && shift ;;
    --roots) roots=$2 && shift ;;
    *) wanted+=("$1") ;;
    esac
    shift
done
[ ${#wanted[@]} -gt 0 ] || wanted=(bookworm trixie emulated:arm64 emulated:armhf)
debs=$(realpath "$debs")
mkdir -p "$roots"
roots=$(realpath "$roots")
host=$(dpkg --print-architecture)
tree=$PWD
scratch=$(mktemp -d -p "$roots")
pids=()
finish() {
    local code=$?
    [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
    if [ $code != 0 ]; then tail -n 20 "$scratch"/*.log 2>/dev/null || true; fi
    umount -R -l "$scratch/root" 2>/dev/null || true
    umount -l "$scratch/upper" 2>/dev/null || true
    rm -rf --one-file-system "$scratch"
    exit $code
}
trap finish EXIT
ip link set lo up
ip address add 10.77.0.1/32 dev lo
ip route add default dev lo src 10.77.0.1

say() { printf '== %s\n' "$*"; }
fail() {
    printf 'deb_test: %s\n' "$*" >&2
    exit 1
}
# newest PACKAGE ARCH: the package of the last build
newest() { find "$debs" -name "$1_*_$2.deb" -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-; }
# eventually WHAT COMMAND...: tries until it succeeds
eventually() {
    local what=$1 tries=600
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || fail "in vain waited for: $what"
        sleep 0.5
    done
}

# older DEB OUT: the previous build: a lower version, and settings that a maintainer changed since
older() {
    local dir=$scratch/older
    rm -rf "$dir"
    dpkg-deb -R "$1" "$dir"
    sed -i 's/^Version: .*/Version: 0.0.9/' "$dir/DEBIAN/control"
    if [ -e "$dir/DEBIAN/conffiles" ]; then
        while read -r file; do echo '# of the previous build' >>"$dir$file"; done <"$dir/DEBIAN/conffiles"
    fi
    dpkg-deb --root-owner-group -Znone -b "$dir" "$2" >/dev/null
}

# background COMMAND...: its process is in $started, with no shell between
background() {
    (
        # shellcheck disable=SC2317
        as_is() { exec "$@"; }
        "$@"
    ) &
    started=$!
    pids+=("$started")
}
as_is() { "$@"; }
# within COMMAND...: runs it in the root
within() { as_is chroot "$scratch/root" env -i PATH=/usr/sbin:/usr/bin HOME=/root LC_ALL=C.UTF-8 LOAXA_LANG=en DEBIAN_FRONTEND=noninteractive "$@"; }
# fetching COMMAND...: the same, with the machine's network
fetching() { nsenter --net=/proc/$PPID/ns/net chroot "$scratch/root" env -i PATH=/usr/sbin:/usr/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
apt() { fetching apt-get -qq -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold "$@" >"$scratch/apt.log" 2>&1 || fail "apt-get $*"; }

# lay SUITE: a clean root, as debootstrap makes it, with the same changes undone each time
lay() {
    if [ ! -e "$roots/$1/.whole" ]; then
        say "making a clean root of $1"
        nsenter --net=/proc/$PPID/ns/net debootstrap --variant=minbase --include=ca-certificates "$1" "$roots/$1" >"$scratch/debootstrap.log" 2>&1
        touch "$roots/$1/.whole"
    fi
    umount -R -l "$scratch/root" 2>/dev/null || true
    umount -l "$scratch/upper" 2>/dev/null || true
    rm -rf --one-file-system "$scratch"/{root,upper}
    mkdir -p "$scratch"/{root,upper} "$roots/archives-$1"
    mount -t tmpfs upper "$scratch/upper"
    mkdir "$scratch"/upper/{files,work}
    mount -t overlay overlay -o "lowerdir=$roots/$1,upperdir=$scratch/upper/files,workdir=$scratch/upper/work" "$scratch/root"
    mount -t proc proc "$scratch/root/proc"
    mount --bind /dev "$scratch/root/dev"
    mount --bind "$roots/archives-$1" "$scratch/root/var/cache/apt/archives"
    cp /etc/resolv.conf "$scratch/root/etc/resolv.conf"
    # As on a machine without systemd: nothing starts by itself.
    printf '#!/bin/sh\nexit 101\n' >"$scratch/root/usr/sbin/policy-rc.d"
    chmod 0755 "$scratch/root/usr/sbin/policy-rc.d"
    rm -f "$scratch/root/etc/apt/apt.conf.d/docker-clean"
    apt update
}

# start UNIT: runs the unit's command as its user, with its folder
start() {
    local unit=$scratch/root/usr/lib/systemd/system/$1.service user folder
    of() { sed -n "s/^$1=//p" "$unit"; }
    user=$(of User) folder=/var/lib/$(of StateDirectory)
    [ -e "$scratch/root$(of ConditionPathExists)" ] || fail "$1 rests: there is no $(of ConditionPathExists)"
    within install -d -m 0755 -o "$user" -g "$user" "$folder"
    # shellcheck disable=SC2046
    background within setpriv --reuid "$user" --regid "$user" --init-groups --no-new-privs --bounding-set=-all \
        env HOME="$folder" $(of ExecStart) >>"$scratch/$1.log" 2>&1
}
stop() {
    kill "$started"
    wait "$started" || true
}

# is_clean PACKAGE: the files are as packaged, root's, and nothing belongs to nobody
is_clean() {
    if within dpkg --verify "$1" | grep -v ' c /'; then fail "$1: files are not as packaged"; fi
    within dpkg -L "$1" | while read -r path; do
        owner=$(within stat -c '%U:%G %A' "$path")
        [[ $owner =~ ^root:root\ [ld-]rw.r-.r-.$ ]] || fail "$path is $owner"
    done
    local stray
    stray=$(within find / -xdev \( -nouser -o -nogroup \) -not -path '/proc/*')
    [ -z "$stray" ] || fail "belongs to nobody: $stray"
}
# has PATH..., lacks PATH...: in the root
has() { for path in "$@"; do [ -e "$scratch/root$path" ] || [ -L "$scratch/root$path" ] || fail "$path is missing"; done; }
lacks() { for path in "$@"; do if [ -e "$scratch/root$path" ] || [ -L "$scratch/root$path" ]; then fail "$path is there"; fi; done; }
wants() { echo "/etc/systemd/system/multi-user.target.wants/$1.service"; }
put() { install -D -m 0644 "$1" "$scratch/root/$2"; }

box_starts() {
    start loaxa-box
    eventually "the box's answer" within loaxa box status
    within loaxa box check --json >"$scratch/check.json" || true
    for thing in settings daemon storage; do
        grep -A1 "\"check\": \"$thing\"" "$scratch/check.json" >/dev/null || fail "box check says nothing of $thing"
    done
    python3 - "$scratch/check.json" <<'CHECK'
import json, sys
state = {found["check"]: found for found in json.load(open(sys.argv[1]))}
for thing in ("settings", "daemon", "storage", "sound"):
    assert state[thing]["state"] != "bad", state[thing]
CHECK
    stop
    [ "$(cat "$scratch/root/var/lib/loaxa/box.key")" = "${box_key:=$(cat "$scratch/root/var/lib/loaxa/box.key")}" ] ||
        fail "the box has another key than before"
}

box_lives() {
    local deb=$1 settings=/etc/loaxa/box.toml conffile=/etc/chrony/conf.d/loaxa.conf box_key=''
    older "$deb" "$scratch/root/older.deb"
    cp "$deb" "$scratch/root/new.deb"
    say "$suite: the box: install, first start"
    apt install -y udev /older.deb
    is_clean loaxa-box
    for group in audio gpio; do within id -nG loaxa | grep -qw $group || fail "loaxa is not in $group"; done
    has "$(wants loaxa-box)" "$(wants loaxa-first-start)" "$(wants loaxa-setup)" $conffile /usr/lib/udev/rules.d/70-loaxa-box.rules
    [ "$(within stat -c %U:%a /var/lib/loaxa)" = loaxa:755 ] || fail "/var/lib/loaxa is not the daemon's"
    within systemd-analyze verify --man=no /usr/lib/systemd/system/loaxa-{box,first-start,setup}.service || fail "the units are not right"
    # Debian 12's udevadm has no such command.
    if [ "$suite" != bookworm ]; then
        within udevadm verify /usr/lib/udev/rules.d/70-loaxa-box.rules >/dev/null || fail "the device rules are not right"
    fi
    if [ -e "$scratch/root/usr/sbin/chronyd" ]; then within chronyd -p >/dev/null || fail "chrony does not take its settings"; fi
    lacks $settings
    printf '[box]\nid = "loa-1"\ngroups = ["thon"]\nstate_dir = "/var/lib/loaxa"\n[sound]\noutput = "null"\n' >"$scratch/box.toml"
    put "$scratch/box.toml" $settings
    box_starts

    say "$suite: the box: upgrade, with settings that were edited"
    echo '# edited here' >>"$scratch/root$settings"
    echo '# edited here' >>"$scratch/root$conffile"
    within systemctl disable loaxa-setup >/dev/null 2>&1
    apt install -y /new.deb
    is_clean loaxa-box
    grep -q '# edited here' "$scratch/root$settings" "$scratch/root$conffile" || fail "edited settings are gone"
    has $conffile.dpkg-dist "$(wants loaxa-box)"
    lacks "$(wants loaxa-setup)"
    box_starts
    say "$suite: the box: downgrade, remove, install again"
    apt install -y --allow-downgrades /older.deb
    box_starts
    apt remove -y loaxa-box
    lacks /usr/bin/loaxa /usr/lib/systemd/system/loaxa-box.service
    has $settings $conffile /var/lib/loaxa/box.key
    apt install -y /new.deb
    box_starts
    say "$suite: the box: purge"
    apt purge -y loaxa-box
    lacks /etc/loaxa /var/lib/loaxa $conffile $conffile.dpkg-dist "$(wants loaxa-box)" "$(wants loaxa-setup)" "$(wants loaxa-first-start)"
    left=$(within find /etc /usr /var -xdev -name '*loaxa*' -not -path '/var/cache/apt/*')
    [ -z "$left" ] || fail "is left over: $left"
}

centre_starts() {
    start loaxa-central
    eventually "the centre's page" within bash -c '</dev/tcp/10.77.0.1/8443'
    eventually "the first link" within test -s /var/lib/loaxa-central/first-administrator
    stop
}

centre_lives() {
    local deb=$1 settings=/etc/loaxa/central.toml
    older "$deb" "$scratch/root/older.deb"
    cp "$deb" "$scratch/root/new.deb"
    say "$suite: the centre: install, a new commune, first start"
    apt install -y /older.deb
    is_clean loaxa-central
    has "$(wants loaxa-central)" /etc/systemd/system/timers.target.wants/loaxa-central-backup.timer
    [ "$(within stat -c %U:%a /var/backups/loaxa-central)" = loaxa-central:700 ] || fail "backups lie open"
    within systemd-analyze verify --man=no /usr/lib/systemd/system/loaxa-central{.service,-backup.service,-backup.timer} || fail "the unit is not right"
    within loaxa central init --dir /etc/loaxa --commune "Xã Bình Minh" --group binh-minh --host 10.77.0.1 >/dev/null
    centre_starts
    say "$suite: the centre: upgrade, downgrade, remove, purge"
    echo '# edited here' >>"$scratch/root$settings"
    apt install -y /new.deb
    grep -q '# edited here' "$scratch/root$settings" || fail "edited settings are gone"
    centre_starts
    apt install -y --allow-downgrades /older.deb
    centre_starts
    apt remove -y loaxa-central
    lacks /usr/bin/loaxa
    has $settings /var/lib/loaxa-central/central.db
    apt install -y /new.deb
    centre_starts
    apt purge -y loaxa-central
    lacks $settings /etc/loaxa/api-token "$(wants loaxa-central)" /etc/systemd/system/timers.target.wants/loaxa-central-backup.timer
    has /etc/loaxa/offline/root.key /etc/loaxa/ca.key /var/lib/loaxa-central/central.db
}

in_root() {
    local suite=$1 box centre
    box=$(newest loaxa-box "$host") centre=$(newest loaxa-central "$host")
    [ -n "$box" ] || fail "there is no loaxa-box for $host in $debs: make deb"
    lay "$suite"
    say "$suite: lintian"
    apt install -y --no-install-recommends lintian
    for deb in "$debs"/*.deb; do
        cp "$deb" "$scratch/root/under-test.deb"
        within lintian --allow-root --fail-on error,warning /under-test.deb || fail "lintian of $suite finds faults in $deb"
    done
    lay "$suite"
    box_lives "$box"
    if [ -n "$centre" ]; then
        lay "$suite"
        centre_lives "$centre"
    fi
}

# emulated_box ARCH: a box of another architecture, with a centre of this one
emulated_box() {
    local arch=$1 deb emulator
    deb=$(newest loaxa-box "$arch")
    [ -n "$deb" ] || fail "there is no loaxa-box for $arch in $debs: make deb"
    case $arch in arm64) emulator=qemu-aarch64-static ;; armhf) emulator=qemu-arm-static ;; *) fail "$arch is not emulated" ;; esac
    local sysroot=$scratch/sysroot-$arch dir=$scratch/emulated-$arch
    cp -a "$(nsenter --net=/proc/$PPID/ns/net scripts/deb_sysroot.sh "$arch" "$roots")" "$sysroot"
    dpkg -x "$deb" "$sysroot"
    box() { as_is "$emulator" -L "$sysroot" "$sysroot/usr/bin/loaxa" "$@"; }
    mkdir "$dir"
    say "$arch: installed $(dpkg-deb -f "$deb" Installed-Size) kB"
    [ "$(dpkg-deb -f "$deb" Installed-Size)" -le 11718 ] || [ "$arch" = amd64 ] || fail "more than 12 MB are installed"
    say "$arch: checks"
    box check playlists/binh-minh/programme.toml || [ $? = 3 ] || fail "check"

    local centre=$scratch/centre-$arch
    mkdir "$centre"
    dpkg -x "$(newest loaxa-central "$host")" "$centre"
    loaxa() { as_is "$centre/usr/bin/loaxa" "$@"; }
    loaxa central init --dir "$dir/centre" --commune Xã --group xa --village thon=Thôn --host 10.77.0.1 >/dev/null
    background loaxa central --config "$dir/centre/central.toml" >"$scratch/centre-$arch.log" 2>&1
    export LOAXA_CENTRAL=https://10.77.0.1:8443 LOAXA_CA=$dir/centre/ca.pem LOAXA_LANG=en LOAXA_TOKEN
    LOAXA_TOKEN=$(cat "$dir/centre/api-token")
    eventually "the centre" loaxa groups
    printf 'allowed = [{ from = "00:00", until = "23:59:59" }]\n' >"$dir/limits.toml"
    say "$arch: the box enrols and sounds"
    local code
    code=$(loaxa central invite "loa-$arch" --title Loa --group thon | grep -o -- '--code .*' | cut -d' ' -f2)
    box box enrol "$code" --central 10.77.0.1 --dir "$dir/box" --state-dir "$dir/state" >/dev/null
    sed -i "s|alsa:default|wav:$dir/sound.wav|" "$dir/box/box.toml"
    printf '\n[guard]\nallowed = [{ from = "00:00", until = "23:59:59" }]\n' >>"$dir/box/box.toml"
    background box box --config "$dir/box/box.toml" >"$scratch/box-$arch.log" 2>&1
    connected() { box box status --config "$dir/box/box.toml" | grep -q '"connected": true'; }
    eventually "the box's contact" connected
    loaxa policy send "$dir/limits.toml" --to xa >/dev/null
    local sounds=() sound
    for sound in "$tree"/tests/fixtures/sound/chirp.* "$tree"/tests/fixtures/sound/{fragmented.m4a,opus.webm,vorbis.webm}; do
        loaxa announce --to thon --class priority --audio "$sound" >/dev/null || fail "announce $sound"
        sounds+=("$sound")
    done
    finished() { [ "$(loaxa logs --format csv | grep -c ',finished,')" -ge "$1" ]; }
    eventually "sound of ${#sounds[@]} formats" finished ${#sounds[@]}
    say "$arch: an emergency of two people, over MQTT with TLS"
    local id
    id=$(loaxa announce --to thon --class emergency --audio playlists/binh-minh/audio/khan-cap-bao.mp3 \
        --key "$dir/centre/offline/truc-ban-1.key" | grep -o '[a-z0-9-]*[0-9][a-z0-9-]*' | head -n 1)
    loaxa draft sign "$id" --yes --key "$dir/centre/offline/truc-ban-2.key" >/dev/null || fail "signing $id"
    emergency() { loaxa logs --format csv | grep 'emergency' | grep -q ',finished,'; }
    eventually "the emergency" emergency
    [ "$(tr -d '\0' <"$dir/sound.wav" | head -c 2000000 | wc -c)" -gt 1000000 ] || fail "the recording is silent"
    kill "${pids[@]}" 2>/dev/null || true
    wait || true
    pids=()
}

for each in "${wanted[@]}"; do
    case $each in
    emulated:*) emulated_box "${each#emulated:}" ;;
    *) in_root "$each" ;;
    esac
done
say "all is well"
