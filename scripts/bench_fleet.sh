#!/usr/bin/env bash
# Many boxes in memory and a centre, with mosquitto and a PostgreSQL server that keeps what it says it keeps: how long until all
# are welcomed, how fast an emergency is everywhere, and whether it sounds once at each and the whole log comes home. Everything
# runs on this machine; what the centre itself uses is not told apart from its boxes.
# usage: scripts/bench_fleet.sh [BOXES [ARGUMENT...]]     arguments go to `loaxa simulate fleet`; LOAXA names the program, PATIENCE
# the seconds that each thing may take
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/postgres_server.sh
. scripts/postgres_server.sh

boxes=${1:-5000}
loaxa=${LOAXA:-target/release/loaxa}
port=18831
[ -x "$loaxa" ] || cargo build --release --locked
home=$(mktemp -d)
chmod 755 "$home"
trap 'postgres_end; kill "${broker-}" 2>/dev/null || true; rm -rf "$home"' EXIT
# As firmware-config/mosquitto.conf, without its certificates.
cat >"$home/mosquitto.conf" <<END
listener $port 127.0.0.1
allow_anonymous true
persistence false
max_queued_messages 20000
max_queued_bytes 67108864
max_inflight_messages 20
END
ulimit -n "$(ulimit -Hn)"
mosquitto -c "$home/mosquitto.conf" >"$home/broker" 2>&1 &
broker=$!
postgres_begin "$home"
postgres_run createdb -h "$home" -U loaxa loaxa
"$loaxa" simulate fleet --boxes "$boxes" --patience "${PATIENCE:-300}" --broker "mqtt://127.0.0.1:$port" \
    --database "postgres://loaxa@localhost/loaxa?host=$home" "${@:2}"
