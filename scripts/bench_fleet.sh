#!/usr/bin/env bash
# Many boxes in memory and a centre, with mosquitto and a PostgreSQL server that keeps what it says it keeps: how long until all
# are welcomed, how fast an emergency is everywhere, and whether it sounds once at each and the whole log comes home. Everything
# runs on this machine; the centre is a process of its own, and what it uses is told.
# usage: scripts/bench_fleet.sh [BOXES [ARGUMENT...]]     arguments go to `loaxa simulate fleet`; LOAXA names the program, PATIENCE
# the seconds that each thing may take; TLS=1 has everybody come to the broker by TLS, EMBEDDED=1 has no mosquitto and no
# PostgreSQL
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
postgres_home=
trap '[ -z "$postgres_home" ] || postgres_end; kill "${broker-}" 2>/dev/null || true; rm -rf "$home"' EXIT
ulimit -n "$(ulimit -Hn)"
run() { "$loaxa" simulate fleet --boxes "$boxes" --patience "${PATIENCE:-300}" "$@"; }
if [ -n "${EMBEDDED-}" ]; then
    run "${@:2}"
    exit
fi
# As firmware-config/mosquitto.conf; its boxes have certificates, which none of these has.
cat >"$home/mosquitto.conf" <<END
listener $port 127.0.0.1
allow_anonymous true
persistence false
max_queued_messages 20000
max_queued_bytes 67108864
max_inflight_messages 20
END
to=(--broker "mqtt://127.0.0.1:$port")
if [ -n "${TLS-}" ]; then
    key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
    {
        openssl req -x509 "${key[@]}" -days 2 -subj /CN=authority -keyout "$home/ca.key" -out "$home/ca.pem"
        openssl req "${key[@]}" -subj /CN=broker -keyout "$home/key.pem" -out "$home/request.pem"
        openssl x509 -req -in "$home/request.pem" -CA "$home/ca.pem" -CAkey "$home/ca.key" -CAcreateserial -days 2 \
            -extfile <(echo subjectAltName=IP:127.0.0.1) -out "$home/certificate.pem"
    } 2>"$home/openssl"
    printf 'certfile %s\nkeyfile %s\n' "$home/certificate.pem" "$home/key.pem" >>"$home/mosquitto.conf"
    chmod 644 "$home/key.pem"
    to=(--broker "mqtts://127.0.0.1:$port" --ca "$home/ca.pem")
fi
mosquitto -c "$home/mosquitto.conf" >"$home/broker" 2>&1 &
broker=$!
postgres_begin "$home"
postgres_run createdb -h "$home" -U loaxa loaxa
run "${to[@]}" --database "postgres://loaxa@localhost/loaxa?host=$home" "${@:2}"
