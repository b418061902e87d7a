#!/usr/bin/env bash
# Tries the box's package on a machine that boots, as root: scripts/vm_test.sh [--debs DIR] [--roots DIR] [--keep]
# A minimal Debian 12 in QEMU, with the package of target/deb, an emulated sound card, and the partitions of
# docs/operations.md; beside it a centre of this machine. The box enrols by the file of its boot partition while its clock
# shows 1970, sounds an emergency, and goes on by itself after its plug is pulled, its daemon hangs, the machine hangs, its data
# partition fails, its battery is dead, and its clock shows 2099 or is not there. What its card played is compared with what was
# sent. --keep leaves recordings and logs.
# Where KVM can't be used, the processor is emulated too: then times are those of a slow machine, and are only shown.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "vm_test: takes root" >&2; exit 1; }
# Mounts and networks of its own, which end with it.
[ -n "${LOAXA_VM_TEST:-}" ] || LOAXA_VM_TEST=1 exec unshare --mount --propagation private --net "$0" "$@"

debs=target/deb roots=target/roots keep=no
while [ $# -gt 0 ]; do
    case "$1" in
    --debs) debs=$2 && shift ;;
    --roots) roots=$2 && shift ;;
    --keep) keep=yes ;;
    *)
        sed -n '2s/.*: \(scripts.*\)/usage: \1/p' "$0" >&2
        exit 2
        ;;
    esac
    shift
done
debs=$(realpath "$debs")
mkdir -p "$roots"
roots=$(realpath "$roots")
base=$roots/vm-bookworm
scratch=$(mktemp -d -p "$roots")
audio=$PWD/playlists/binh-minh/audio
emergency=$audio/khan-cap-bao.mp3
# Longest waits, in seconds: for a boot, and for the answer of a command in the machine.
boot_max=900 answer_max=300
# Most milliseconds from the start of the unit to "ready".
ready_max=300
machine='' pids=()
finish() {
    local code=$?
    if [ $code != 0 ] && [ -n "$machine" ]; then
        answer_max=20
        guest 'journalctl -b -n 40 -o cat -u "loaxa*"; loaxa box status' || true
    fi
    if [ -n "$machine" ]; then { kill -9 "$machine" && wait "$machine"; } 2>/dev/null || true; fi
    [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
    if [ $code != 0 ]; then tail -n 25 "$scratch"/*.log 2>/dev/null || true; fi
    umount -R -l "$scratch/root" 2>/dev/null || true
    umount -l "$scratch/upper" 2>/dev/null || true
    if [ $keep = yes ]; then
        echo "kept: $scratch"
    else
        rm -rf --one-file-system "$scratch"
    fi
    exit $code
}
trap finish EXIT
ip link set lo up
ip address add 10.77.0.1/32 dev lo
ip route add default dev lo src 10.77.0.1

say() { printf '== %s\n' "$*"; }
tell() { printf '   %s\n' "$*"; }
fail() {
    printf 'vm_test: %s\n' "$*" >&2
    exit 1
}
# newest PACKAGE: the package of the last build
newest() { find "$debs" -name "$1_*_amd64.deb" -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-; }
# eventually WHAT COMMAND...: tries until it succeeds
eventually() {
    local what=$1 begun=$SECONDS
    shift
    until "$@" >"$scratch/tried" 2>&1; do
        [ $((SECONDS - begun)) -lt 600 ] || fail "in vain waited for: $what: $(tail -c 1000 "$scratch/tried")"
        sleep 1
    done
}

# ---- the image ----

# within COMMAND...: runs it in the root that becomes the image
within() { chroot "$scratch/root" env -i PATH=/usr/sbin:/usr/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
# apt ARGUMENT...: the same, with the machine's network
apt() {
    nsenter --net=/proc/$PPID/ns/net chroot "$scratch/root" env -i PATH=/usr/sbin:/usr/bin HOME=/root LC_ALL=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >>"$scratch/apt.log" 2>&1 || fail "apt-get $*"
}

lay_base() {
    [ ! -e "$base/.whole" ] || return 0
    say "making a clean root with a kernel"
    rm -rf --one-file-system "$base"
    nsenter --net=/proc/$PPID/ns/net debootstrap --variant=minbase \
        --include=systemd-sysv,udev,dbus,kmod,iproute2,linux-image-amd64 \
        bookworm "$base" >"$scratch/debootstrap.log" 2>&1
    # Only what the emulated disk needs: a small one is read faster.
    sed -i 's/^MODULES=.*/MODULES=list/' "$base/etc/initramfs-tools/initramfs.conf"
    printf '%s\n' virtio_pci virtio_blk ext4 >>"$base/etc/initramfs-tools/modules"
    chroot "$base" env -i PATH=/usr/sbin:/usr/bin LC_ALL=C.UTF-8 update-initramfs -u >"$scratch/initrd.log" 2>&1
    rm -f "$base"/var/cache/apt/archives/*.deb "$base/etc/apt/apt.conf.d/docker-clean"
    touch "$base/.whole"
}

# The door by which this test types into the machine; it is in no package.
lay_agent() {
    cat >"$scratch/root/usr/local/sbin/agent" <<'AGENT'
#!/bin/bash
exec 3<>/dev/virtio-ports/agent
echo '::ready' >&3
while read -r token line <&3; do
    if (eval "$line") >/run/said 2>&1 </dev/null; then code=0; else code=$?; fi
    { cat /run/said && printf '\n::done %s %s\n' "$token" "$code"; } >&3
done
AGENT
    chmod 0755 "$scratch/root/usr/local/sbin/agent"
    cat >"$scratch/root/etc/systemd/system/agent.service" <<'AGENT'
[Unit]
Wants=dev-virtio\x2dports-agent.device
After=dev-virtio\x2dports-agent.device
[Service]
Environment=LOAXA_LANG=en
ExecStart=/usr/local/sbin/agent
Restart=always
[Install]
WantedBy=multi-user.target
AGENT
    within systemctl enable agent.service systemd-networkd.service >/dev/null 2>&1
}

# partitions: the lines of the page for a box that nobody visits
partitions() { sed -n '/^    LABEL=root/,/^$/s/^    //p' docs/operations.md; }

# lay_image DEB: disks of a box with the package, not enrolled yet
lay_image() {
    mkdir -p "$scratch"/{root,upper}
    mount -t tmpfs upper "$scratch/upper"
    mkdir "$scratch"/upper/{files,work}
    mount -t overlay overlay -o "lowerdir=$base,upperdir=$scratch/upper/files,workdir=$scratch/upper/work" "$scratch/root"
    mount -t proc proc "$scratch/root/proc"
    mount --bind /dev "$scratch/root/dev"
    mkdir -p "$roots/archives-bookworm"
    mount --bind "$roots/archives-bookworm" "$scratch/root/var/cache/apt/archives"
    cp /etc/resolv.conf "$scratch/root/etc/resolv.conf"
    printf '#!/bin/sh\nexit 101\n' >"$scratch/root/usr/sbin/policy-rc.d"
    chmod 0755 "$scratch/root/usr/sbin/policy-rc.d"
    cp "$1" "$scratch/root/root/loaxa-box.deb"
    apt update
    # With what it recommends, as apt does by itself.
    apt install -y /root/loaxa-box.deb
    rm "$scratch/root/usr/sbin/policy-rc.d" "$scratch/root/root/loaxa-box.deb" "$scratch/root/etc/resolv.conf"
    umount "$scratch/root/var/cache/apt/archives"
    newer "$1" "$scratch/root/root/newer.deb"
    lay_agent
    mkdir -p "$scratch/root/boot/firmware" "$scratch/root/etc/systemd/journald.conf.d"
    { partitions && echo 'LABEL=FIRMWARE /boot/firmware vfat rw,noatime 0 0'; } >"$scratch/root/etc/fstab"
    # Until it is enrolled, as the page says.
    sed -i '/^LABEL=root/s/ro,noatime/rw,noatime/' "$scratch/root/etc/fstab"
    printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\n' >"$scratch/root/etc/systemd/journald.conf.d/loaxa.conf"
    # The board's own watchdog, as the page says; Debian loads none by itself.
    echo i6300esb >"$scratch/root/etc/modules-load.d/watchdog.conf"
    mkdir -p "$scratch/root/etc/systemd/system.conf.d"
    printf '[Manager]\nRuntimeWatchdogSec=30\n' >"$scratch/root/etc/systemd/system.conf.d/loaxa.conf"
    printf '[Match]\nType=ether\n[Network]\nDHCP=yes\n' >"$scratch/root/etc/systemd/network/lan.network"
    echo loa >"$scratch/root/etc/hostname"
    # The time server that the package names is the test's own.
    echo '10.77.0.1 vn.pool.ntp.org' >>"$scratch/root/etc/hosts"
    : >"$scratch/root/etc/machine-id"
    cp "$(readlink -e "$scratch/root/vmlinuz")" "$scratch/kernel"
    cp "$(readlink -e "$scratch/root/initrd.img")" "$scratch/initrd"
    umount "$scratch/root/dev" "$scratch/root/proc"
    truncate -s 1500M "$scratch/root.img"
    mke2fs -q -t ext4 -L root -d "$scratch/root" "$scratch/root.img"
    truncate -s 256M "$scratch/data.img"
    mke2fs -q -t ext4 -L data "$scratch/data.img"
    umount "$scratch/root"
    mkfs.vfat -n FIRMWARE -C "$scratch/firmware.img" 32768 >/dev/null
}

# newer DEB OUT: the same with a higher version
newer() {
    local dir=$scratch/newer
    dpkg-deb -R "$1" "$dir"
    sed -i 's/^Version: \(.*\)/Version: \1+1/' "$dir/DEBIAN/control"
    dpkg-deb --root-owner-group -Zgzip -z1 -b "$dir" "$2" >/dev/null
    rm -rf "$dir"
}

# ---- the machine ----

# kvm_works: whether a kernel comes up with it; some machines have a /dev/kvm under which none does
kvm_works() {
    [ -w /dev/kvm ] || return 1
    # What the shell says of one that aborts helps nobody.
    { timeout 8 qemu-system-x86_64 -accel kvm -cpu host -m 256 -nodefaults -display none -no-reboot -serial "file:$scratch/kvm" \
        -kernel "$scratch/kernel" -append "console=ttyS0 panic=-1" >/dev/null 2>&1 || true; } 2>/dev/null
    grep -q 'Linux version' "$scratch/kvm" 2>/dev/null
}

# boot NAME CLOCK [PARAMETER]: starts the machine; its card is recorded in NAME.wav
boot() {
    local pipe
    wav=$scratch/$1.wav console=$scratch/$1.console.log
    for pipe in agent monitor; do
        rm -f "$scratch/$pipe".{in,out}
        mkfifo "$scratch/$pipe".{in,out}
    done
    # A sound card keeps its pace, whatever else the machine does.
    nice -n -10 qemu-system-x86_64 "${processor[@]}" -m 512 -nodefaults -display none -rtc "base=$2" \
        -kernel "$scratch/kernel" -initrd "$scratch/initrd" -append "root=LABEL=root ro console=ttyS0 ${3-}" -serial "file:$console" \
        -drive "file=$scratch/root.img,format=raw,if=virtio" \
        -drive "file=$scratch/data.img,format=raw,if=none,id=data" -device virtio-blk-pci,drive=data \
        -drive "file=$scratch/firmware.img,format=raw,if=virtio" \
        -netdev user,id=net -device virtio-net-pci,netdev=net,id=card \
        -audiodev "wav,id=sound,path=$wav,out.frequency=48000,out.channels=2,out.format=s16,timer-period=1000" \
        -device intel-hda -device hda-output,audiodev=sound -device i6300esb -action watchdog=reset \
        -device virtio-serial-pci -chardev "pipe,id=agent,path=$scratch/agent" -device virtserialport,chardev=agent,name=agent \
        -chardev "pipe,id=monitor,path=$scratch/monitor" -mon chardev=monitor >"$scratch/$1.qemu.log" 2>&1 &
    machine=$!
    exec {typed}<>"$scratch/agent.in" {answers}<>"$scratch/agent.out" {monitor}<>"$scratch/monitor.in"
    booted=$SECONDS
}
# is_up: waits until the machine takes commands
is_up() {
    local line=''
    until [ "$line" = '::ready' ]; do
        kill -0 "$machine" 2>/dev/null || fail "the emulator ended"
        [ $((SECONDS - booted)) -lt $boot_max ] || fail "the machine does not come up"
        read -t 2 -r line <&"$answers" || true
    done
    guest systemctl is-system-running --wait >/dev/null || true
    tell "up after $((SECONDS - booted)) s"
}
# guest COMMAND: runs a line in the machine
guest() {
    local token=$RANDOM$RANDOM line
    printf '%s %s\n' "$token" "$*" >&"$typed"
    while read -t $answer_max -r line <&"$answers"; do
        case $line in
        "::done $token "*) return "${line##* }" ;;
        '' | '::'*) ;;
        *) printf '%s\n' "$line" ;;
        esac
    done
    fail "the machine no longer answers: $*"
}
emulator() { printf '%s\n' "$*" >&"$monitor"; }
gone() {
    wait "$machine" 2>/dev/null || true
    machine=''
    exec {typed}>&- {answers}>&- {monitor}>&-
}
pull_the_plug() {
    kill -9 "$machine"
    gone 2>/dev/null
}
switch_off() {
    guest 'systemctl --no-block poweroff'
    gone
}

# says PATTERN COMMAND...: whether a command says that
says() {
    local pattern=$1 said
    shift
    said=$("$@") || return 1
    grep -q -- "$pattern" <<<"$said"
}
# status FIELD: of the daemon's account of itself
status() { guest loaxa box status | python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)[sys.argv[1]]))' "$1"; }
is() { [ "$(status "$1")" = "$2" ]; }
unit() { guest systemctl show -P "$1" loaxa-box; }
position() { stat -c %s "$wav"; }
silent() { python3 scripts/vm_heard.py silent "$wav" "$1" || fail "not silent $2"; }
like() { python3 scripts/vm_heard.py like "$wav" "$1" "$2" "$3" || fail "not what was sent"; }

# The time of the unit from its start to "ready", in this boot.
tell_ready() {
    local begun ready
    begun=$(unit InactiveExitTimestampMonotonic) ready=$(unit ActiveEnterTimestampMonotonic)
    local took=$(((ready - begun) / 1000))
    tell "from the unit's start to \"ready\": $took ms${emulated:+ (emulated)}"
    [ -n "$emulated" ] || [ $took -le $ready_max ] || fail "more than $ready_max ms to ready"
}
nothing_failed() {
    local failed
    failed=$(guest systemctl --failed --plain --no-legend)
    [ -z "${failed//[$'\n ']/}" ] || fail "units failed: $failed"
}
# daemon_returns PID WHAT: another process answers for the box
daemon_returns() {
    other() { [ "$(unit MainPID)" != "$1" ] && guest loaxa box status; }
    eventually "the daemon $2" other "$1"
}

# ---- the centre ----

loaxa() { "$scratch/program/usr/bin/loaxa" "$@"; }
start_centre() {
    "$scratch/program/usr/bin/loaxa" central --config "$scratch/centre/central.toml" >>"$scratch/centre.log" 2>&1 &
    centre_runs=$!
    pids+=("$centre_runs")
}
# order ARGUMENT...: an emergency by two people; its draft's name is in $ordered
order() {
    local said
    said=$(loaxa announce --to thon --class emergency --key "$scratch/centre/offline/truc-ban-1.key" "$@")
    ordered=$(awk '{ print $2; exit }' <<<"$said")
    loaxa draft sign "$ordered" --yes --key "$scratch/centre/offline/truc-ban-2.key" >/dev/null || fail "signing $ordered"
}
outcomes() { loaxa logs --format csv | grep emergency | grep -c ",$1,"; }
# logged OUTCOME COUNT
logged() { [ "$(outcomes "$1")" -ge "$2" ]; }

holds_limits() { says '1 of 1 boxes' loaxa policy show; }
sounds() { ! is on_air null; }
# whole_day: a programme with slots at all hours, so that a wrong clock meets one, too; those of the next hour are short
whole_day() {
    local start length now
    # In Vietnam.
    now=$(((10#$(TZ=UTC-7 date +%H) * 60) + 10#$(TZ=UTC-7 date +%M)))
    cat <<'PROGRAMME'
[programme]
id = "ca-ngay"
version = 1
title = "Cả ngày"
group = "xa"
[[playlist]]
id = "nhac"
title = "Nhạc"
[[playlist.item]]
title = "Buổi sáng"
file = "buoi-sang.mp3"
PROGRAMME
    for ((start = 0; start < 1440; start += length)); do
        length=30
        if ((start >= now / 30 * 30 && start < now / 30 * 30 + 90)); then length=2; fi
        printf '[[slot]]\nid = "luc-%d"\ntitle = "Nhạc"\nstart = "%02d:%02d"\nend = "%02d:%02d:55"\n' $start \
            $((start / 60)) $((start % 60)) $(((start + length - 1) / 60)) $(((start + length - 1) % 60))
        printf 'days = "daily"\nplaylist = "nhac"\nfill = "loop"\nlateness = "join"\n'
    done
}

box=$(newest loaxa-box) centre=$(newest loaxa-central)
if [ -z "$box" ] || [ -z "$centre" ]; then fail "packages of both for amd64 are needed in $debs: make vm-test"; fi
lay_base
say "a disk with $(basename "$box")"
lay_image "$box"
emulated='' processor=(-accel kvm -cpu host -smp 2)
if ! kvm_works; then
    # Its clock counts instructions, a thousand million a second: on a busy machine it is slow as a whole, and its sound has no holes.
    emulated=yes processor=(-accel 'tcg,thread=single' -icount 'shift=0,sleep=on' -cpu max)
    tell "KVM can't be used here: the processor is emulated, a thousand million instructions a second"
fi

say "a centre, which invites a box"
mkdir "$scratch/program"
dpkg -x "$centre" "$scratch/program"
loaxa central init --dir "$scratch/centre" --commune Xã --group xa --village thon=Thôn --host 10.77.0.1 >/dev/null
start_centre
export LOAXA_CENTRAL=https://10.77.0.1:8443 LOAXA_CA=$scratch/centre/ca.pem LOAXA_LANG=en LOAXA_TOKEN
LOAXA_TOKEN=$(cat "$scratch/centre/api-token")
eventually "the centre" loaxa groups
printf 'allowed = [{ from = "00:00", until = "23:59:59" }]\nsession_minutes_max = 1440\nday_minutes_max = 1440\n' >"$scratch/limits.toml"
loaxa policy send "$scratch/limits.toml" --to xa >/dev/null
code=$(loaxa central invite loa-1 --title Loa --group thon | grep -o -- '--code .*' | cut -d' ' -f2)
printf 'central = "10.77.0.1"\r\ncode = "%s"\r\n' "$code" >"$scratch/loaxa.toml"
mcopy -i "$scratch/firmware.img" "$scratch/loaxa.toml" ::loaxa.toml

say "first start, with a clock that shows 1970"
boot first 1970-01-01
is_up
eventually "enrolment" guest test -e /etc/loaxa/box.toml
eventually "word of it on the boot partition" says loa-1 guest cat /boot/firmware/loaxa-result.txt
eventually "contact with the centre" is connected true
eventually "the centre's time" is clock '"synced"'
tell "the machine's own clock: $(guest date -u -Iseconds)"
tell_ready
nothing_failed
eventually "the limits" holds_limits

say "an emergency by two people"
silent 0 "before anything was sent"
mark=$(position)
order --audio "$emergency"
eventually "its end in the log" logged finished 1
like "$mark" "$emergency" 11
if says floor loaxa logs --format json; then fail "the box took the clock of 1970 for one with a battery"; fi
guest loaxa box check --json >"$scratch/check.json" || true
python3 - "$scratch/check.json" <<'CHECK'
import json, sys
bad = [found for found in json.load(open(sys.argv[1])) if found["state"] == "bad"]
assert not bad, bad
CHECK

say "its sound card is muted, then turned down"
# found STATE: how "loaxa box check" grades the card's controls
found() {
    guest loaxa box check --json >"$scratch/check.json" || true
    python3 -c 'import json, sys
found = next(found for found in json.load(open(sys.argv[1])) if found["check"] == "controls")
assert found["state"] == sys.argv[2], found' "$scratch/check.json" "$1"
}
found good || fail "an open card is said to be closed"
for closed in mute '0%'; do
    guest amixer -q -c 0 sset Master "$closed" || fail "no control to close"
    found doubtful || fail "nothing is said of a card that is closed by $closed"
    guest amixer -q -c 0 sset Master 100% unmute
done
found good || fail "an open card is said to be closed"

say "a newer package, while the box runs"
pid=$(unit MainPID)
guest dpkg -i /root/newer.deb >/dev/null || fail "the newer package is not taken"
daemon_returns "$pid" "of the newer package"
nothing_failed

say "the root becomes read-only, as the page says"
guest "sed -i '/^LABEL=root/s/rw,noatime/ro,noatime/' /etc/fstab"
switch_off
boot read-only utc
is_up
says '^ro,' guest findmnt -no OPTIONS / || fail "the root can be written"
eventually "contact with the centre" is connected true
tell_ready
nothing_failed

say "the daemon is killed, then hangs"
pid=$(unit MainPID)
guest kill -9 "$pid"
daemon_returns "$pid" "after it was killed"
pid=$(unit MainPID) begun=$SECONDS
guest kill -STOP "$pid"
daemon_returns "$pid" "after it hung"
tell "back $((SECONDS - begun)) s after it stopped to answer"
eventually "contact with the centre" is connected true

say "the machine hangs as a whole"
says 'i6300ESB' guest cat /sys/class/watchdog/watchdog0/identity || fail "no watchdog of the board"
# A kernel that panics does nothing any more, and nobody is there to see it.
printf '0 echo c >/proc/sysrq-trigger\n' >&"$typed"
booted=$SECONDS
is_up
eventually "contact with the centre" is connected true
nothing_failed

say "the plug is pulled while an emergency sounds"
order --audio "$emergency" --repeat 20 --gap-s 2
eventually "its first repetition" logged finished 2
eventually "its next one" sounds
sleep 4
pull_the_plug
boot after-the-plug utc
is_up
eventually "the cut play in the log" logged power_lost 1
eventually "the next repetition" logged finished 3
like 0 "$emergency" 8
loaxa stop --all >/dev/null
eventually "its end" is on_air null
key=$(guest loaxa key show /etc/loaxa/trust/box.key | grep -o '[A-Za-z0-9+/]\{43\}=' | head -n 1)
log_is_whole() {
    loaxa logs --format json >"$scratch/log.jsonl"
    loaxa logs verify "$scratch/log.jsonl" --box loa-1 --key "loa-1=$key"
}
eventually "the whole log at the centre" is backlog 0
log_is_whole || fail "the log has a hole"

say "the data partition gives nothing but errors"
pid=$(unit MainPID) mark=$(position)
emulator drive_del data
order --audio "$emergency"
# What is not on the disk is not sent either: only the recording tells.
eventually "the emergency" python3 scripts/vm_heard.py like "$wav" "$mark" "$emergency" 11
tail -n 1 "$scratch/tried"
tell "faults that the box tells: $(status faults)"
if is faults '[]'; then fail "the box says nothing of its disk"; fi
[ "$(unit MainPID)" = "$pid" ] || fail "the daemon died of its disk"
eventually "word of its disk at the centre" says '"disk"' loaxa status --json
pull_the_plug
boot after-the-errors utc
is_up
eventually "contact with the centre" is connected true
nothing_failed

say "a programme"
whole_day >"$scratch/programme.toml"
cp "$audio/buoi-sang.mp3" "$scratch/buoi-sang.mp3"
mark=$(position)
loaxa programme send "$scratch/programme.toml" >/dev/null
pieces() { loaxa logs --format csv | grep -c 'Buổi sáng.*,finished,'; }
aired() { [ "$(pieces)" -ge "$1" ]; }
eventually "its first piece" aired 1
like "$mark" "$audio/buoi-sang.mp3" 10
eventually "the next one" sounds
pull_the_plug

say "without battery and network no slot sounds; with a time server alone it goes on"
finished=$(pieces)
kill "$centre_runs"
wait "$centre_runs" || true
python3 scripts/vm_ntp.py 10.77.0.1 &
pids+=($!)
boot dead-battery 1970-01-01
emulator set_link card off
is_up
eventually "the daemon" guest loaxa box status
sleep 30
is clock '"none"' || fail "the box believes a clock: $(status clock)"
tell "the machine's own clock: $(guest date -u -Iseconds)"
silent 0 "without a clock"
emulator set_link card on
eventually "the time" is clock '"synced"'
is connected false || fail "the centre was to be away"
says '^\^\* 10.77.0.1' guest chronyc -n sources || fail "not from the time server"
eventually "the programme" sounds
start_centre
eventually "two pieces of it in the log" aired $((finished + 2))
like 0 "$audio/buoi-sang.mp3" 10
tell "memory: $(guest "grep VmRSS /proc/$(unit MainPID)/status" | tr -s '\t ' ' ')"
switch_off
eventually "the whole log at the centre" log_is_whole

# without_time NAME CLOCK [PARAMETER]: nothing scheduled sounds until a time server is in reach
without_time() {
    boot "$@"
    emulator set_link card off
    is_up
    eventually "the daemon" guest loaxa box status
    sleep 30
    tell "the machine's own clock: $(guest date -u -Iseconds)"
    is clock '"none"' || fail "the box believes a clock: $(status clock)"
    silent 0 "without a clock that can be right"
    [ -z "${3-}" ] || guest test ! -e /dev/rtc0 || fail "there is a clock"
    emulator set_link card on
    eventually "the time" is clock '"synced"'
    eventually "the programme" sounds
    switch_off
}
# Debian 12's systemd sets such a clock back to the day on which it was built, and the box believes that as little.
say "the clock shows 2099"
without_time far-ahead 2099-01-01
say "a board without a clock"
# The kernel finds no device, and begins in 1970.
without_time no-clock 1970-01-01 initcall_blacklist=cmos_init
eventually "the whole log at the centre" log_is_whole
say "all is well"
