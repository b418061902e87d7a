#!/usr/bin/env bash
# Measures the figures of BENCHMARKS.md, each beside its peer in the same run.
# usage: scripts/bench.sh [speed] [load] [push] [cost] [cold] [sync] [drift] [start]      without a word: all, about an hour
# The rigs lie beside the project (RIGS, ../shared/perf); their working copy goes to target/perf. SHOTS: how many pushes
# and starts. MINUTES: how long two boxes are compared.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH"
rigs=${RIGS:-../shared/perf}
perf=$PWD/target/perf work=$PWD/target/bench loaxa=$PWD/target/release/loaxa
shots=${SHOTS:-100}
minutes=${MINUTES:-3} drift_minutes=${MINUTES:-30}

need_rigs() {
    [ -e "$rigs/setup.sh" ] || {
        echo "bench: there is no $rigs/setup.sh; say where the rigs are: RIGS=DIR scripts/bench.sh" >&2
        exit 1
    }
    if [ ! -x "$perf/venv/bin/python" ] || [ ! -e "$perf/material/mix128.mp3" ]; then
        bash "$rigs/setup.sh" "$perf"
    fi
    bash "$perf/scripts/rig.sh" up >/dev/null
    rig_is_up=yes
}

put_away() {
    [ -z "${broker_is_up-}" ] || bash "$perf/scripts/mosq.sh" down
    [ -z "${rig_is_up-}" ] || bash "$perf/scripts/rig.sh" down
}
trap put_away EXIT

python() { PERF="$perf" "$perf/venv/bin/python" "$@"; }

# box_toml DIR OUTPUT: a box that may sound at any hour
box_toml() {
    mkdir -p "$1"
    cat >"$1/box.toml" <<TOML
[box]
id = "loa-1"
groups = ["xa"]
state_dir = "state"
[sound]
output = "$2"
[guard]
allowed = [{ from = "00:00", until = "23:59:59" }]
session_minutes_max = 1440
day_minutes_max = 1440
volume_night_percent_max = 100
[clock]
rtc = "yes"
TOML
}

# plays DIR AUDIO: the box has a slot that is due all day, and plays this
plays() {
    printf '[programme]\nfiles = ["programme.toml"]\n' >>"$1/box.toml"
    cp "$2" "$1/"
    cat >"$1/programme.toml" <<TOML
[programme]
id = "do"
version = 1
title = "Đo"
group = "xa"
[[playlist]]
id = "do"
title = "Đo"
[[playlist.item]]
title = "Đo"
file = "$(basename "$2")"
[[slot]]
id = "do"
title = "Đo"
start = "00:00"
end = "23:59"
days = "daily"
playlist = "do"
fill = "loop"
lateness = "shift"
TOML
}

measure_speed() {
    echo "== parts: signatures, heart, decoding"
    need_rigs
    cargo bench --locked --quiet --no-default-features --features box --bench speed -- "$perf"/material/mix128.{mp3,m4a,ogg} "$perf/material/mix.flac"
    python "$perf/scripts/decode.py" -n 3 --name 'mpg123 to 48 kHz' --cmd 'mpg123 -q -r 48000 -w /dev/null {f}'
    python "$perf/scripts/decode.py" -n 3 --name 'ffmpeg to 48 kHz' \
        --cmd 'ffmpeg -v error -nostdin -threads 1 -i {f} -ar 48000 -f s16le -y /dev/null'
}

measure_load() {
    echo "== central under load"
    cargo bench --locked --quiet --bench load
    cargo bench --locked --quiet --bench overview
}

measure_push() {
    echo "== publish to first sound: a staged emergency, two signatures, durable log; mosquitto_sub | mpg123 beside it"
    need_rigs
    bash "$perf/scripts/mosq.sh" up
    broker_is_up=yes
    local dir=$work/push tone=$perf/material/short.mp3
    [ -e "$tone" ] || ffmpeg -v error -f lavfi -i 'sine=1000:duration=0.5:sample_rate=44100' -ac 2 -b:a 128k "$tone"
    rm -rf "$dir"
    box_toml "$dir" alsa:box1
    cat >>"$dir/box.toml" <<TOML
[central]
broker = "mqtt://127.0.0.1:18830"
[trust]
root = "root.pub"
trust = "trust.json"
key = "box.key"
TOML
    target/release/examples/sign_commands "$dir" "$tone" "$shots"
    python scripts/bench_push.py --shots "$shots" --commands "$dir" --tone "$tone" -- "$loaxa" box --config "$dir/box.toml"
}

measure_cost() {
    echo "== real-time cost of 128 kbit/s stereo MP3"
    need_rigs
    local dir=$work/cost mp3=$perf/material/mix128.mp3 clear='mpc -q -h 127.0.0.1 -p 6611'
    rm -rf "$dir" "$dir-null"
    box_toml "$dir" alsa:cost
    plays "$dir" "$mp3"
    python "$perf/scripts/cost.py" --name loaxa -- "$loaxa" box --config "$dir/box.toml"
    box_toml "$dir-null" null
    plays "$dir-null" "$mp3"
    python "$perf/scripts/cost.py" --name 'loaxa without a device' -- "$loaxa" box --config "$dir-null/box.toml"
    python "$perf/scripts/cost.py" --name mpg123 -- mpg123 -q -o pulse "$mp3"
    # The rig's configuration of mpd wants its places to be there.
    rm -f "$perf/run/mpd/state"
    mkdir -p "$perf/run/mpd/music" "$perf/run/mpd/pl"
    ln -sf "$mp3" "$perf/run/mpd/music/"
    python "$perf/scripts/cost.py" --name mpd --after "$clear update --wait; $clear clear; $clear add mix128.mp3; $clear play" -- \
        mpd --no-daemon "$perf/scripts/mpd_cost.conf"
}

measure_cold() {
    echo "== exec to first sound of a slot that is due"
    need_rigs
    local dir=$work/cold tone=$perf/material/tone.mp3
    rm -rf "$dir"
    box_toml "$dir" alsa:box1
    plays "$dir" "$tone"
    python "$perf/scripts/coldstart.py" -n 20 --name 'loaxa, first start of all' --before "rm -rf $dir/state" -- \
        "$loaxa" box --config "$dir/box.toml"
    python "$perf/scripts/coldstart.py" -n 20 --name mpg123 -- mpg123 -q -o pulse "$tone"
}

# in_time NAME DEVICE: two boxes, on DEVICE1 and DEVICE2, that begin the same noise in twelve seconds
in_time() {
    local now n start end
    now=$(date +%s)
    # Vietnam's clock.
    start=$(TZ=UTC date -d "@$((now + 7 * 3600 + 12))" +%H:%M:%S)
    end=$(TZ=UTC date -d "@$((now + 7 * 3600 + 3600))" +%H:%M:%S)
    for n in 1 2; do
        rm -rf "$work/$1-$n"
        box_toml "$work/$1-$n" "alsa:$2$n"
        plays "$work/$1-$n" "$perf/material/syncnoise.mp3"
        sed -i "s/^start = .*/start = \"$start\"/; s/^end = .*/end = \"$end\"/" "$work/$1-$n/programme.toml"
    done
}

measure_sync() {
    echo "== two boxes on one sound clock: milliseconds apart"
    need_rigs
    local secs=$((minutes * 60))
    in_time sync box
    python "$perf/scripts/sync.py" --name loaxa --settle 20 --secs "$secs" -- "$loaxa" box --config "$work/sync-{box}/box.toml"
    python "$perf/scripts/sync.py" --name snapcast --settle 20 --secs "$secs" --pre "bash $perf/scripts/snap_server.sh" -- \
        bash "$perf/scripts/snap_client.sh" '{box}'
    python "$perf/scripts/sync.py" --name 'mpg123 at the same second' --settle 5 --secs 60 -- \
        bash "$perf/scripts/same_second.sh" mpg123 -q -o pulse "$perf/material/syncnoise.mp3"
}

measure_drift() {
    echo "== two boxes, one sound clock 100 ppm off: milliseconds apart after settling"
    need_rigs
    local secs=$((drift_minutes * 60))
    in_time drift card
    python "$perf/scripts/sync_drift.py" --name loaxa --settle 80 --secs "$secs" -- "$loaxa" box --config "$work/drift-{box}/box.toml"
    python "$perf/scripts/sync_drift.py" --name snapcast --settle 80 --secs "$secs" --pre "bash $perf/scripts/snap_server.sh" -- \
        bash "$perf/scripts/snap_client.sh" '{box}' alsa
    python "$perf/scripts/sync_drift.py" --name 'mpg123 at the same second' --settle 5 --secs 120 -- \
        bash "$perf/scripts/same_second.sh" mpg123 -q -o pulse "$perf/material/syncnoise.mp3"
}

measure_start() {
    echo "== start of a scheduled play: milliseconds from its instant"
    need_rigs
    local dir=$work/start
    rm -rf "$dir"
    box_toml "$dir" alsa:box1
    printf '[programme]\nfiles = ["programme.toml"]\n' >>"$dir/box.toml"
    python scripts/bench_start.py --shots "$shots" --dir "$dir" --tone "$perf/material/tone.wav" -- \
        env ALSA_CONFIG_PATH="/usr/share/alsa/alsa.conf:$perf/scripts/asound.conf" "$loaxa" box --config "$dir/box.toml"
}

# What a box carries: no web stack.
cargo build --release --locked --no-default-features --features box --bin loaxa --example sign_commands
mkdir -p "$work"
[ $# -gt 0 ] || set -- speed load push cost cold sync drift start
for what in "$@"; do
    case $what in
    speed | load | push | cost | cold | sync | drift | start) "measure_$what" ;;
    *)
        echo "usage: scripts/bench.sh [speed] [load] [push] [cost] [cold] [sync] [drift] [start]" >&2
        exit 2
        ;;
    esac
done
