#!/usr/bin/env bash
# Builds rmqttd, a broker that three machines run together, and runs the tests of box and centre on three of them: the
# end-to-end and fault tests that else run on mosquitto, and those that kill one node after another. The first build takes
# about half an hour and stays in target/rmqttd-*.
# usage: scripts/broker_cluster.sh [FILTER], as nextest takes it; --build only builds
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.23.1
home=$PWD/target/rmqttd-$version
program=$home/target/release/rmqttd

# without TABLE...: a Cargo.toml on standard input without these plugins
without() {
    awk -v "gone=$*" '
        BEGIN { n = split(gone, names, " ") }
        /^\[/ {
            drop = 0
            for (i = 1; i <= n; i++)
                if ($0 ~ "^\\[(dependencies|package\\.metadata\\.plugins)\\." names[i] "\\]$") drop = 1
        }
        !drop'
}

build() {
    if ! command -v protoc >/dev/null; then
        echo "installing protobuf-compiler, which reads the protocol of the nodes"
        as_root=()
        [ "$(id -u)" = 0 ] || as_root=(sudo)
        "${as_root[@]}" apt-get -qq update
        "${as_root[@]}" apt-get -qq install -y --no-install-recommends protobuf-compiler
    fi
    rm -rf "$home/source"
    mkdir -p "$home/source"
    # It fetches the package, which has a program and no library to depend on.
    cargo info --quiet "rmqttd@$version" >/dev/null
    local packages=("${CARGO_HOME:-$HOME/.cargo}"/registry/cache/*/"rmqttd-$version.crate")
    tar -xzf "${packages[0]}" --strip-components=1 -C "$home/source"
    # What the cluster of this project needs, without the bridges, whose C libraries take longer to build than all the rest.
    without 'rmqtt-(bridge-[a-z-]+|auth-(http|jwt)|auto-subscription|topic-rewrite|web-hook|http-api)' \
        'rmqtt-(sys-topic|p2p-messaging|cluster-raft|session-storage|message-storage|retainer|counter)' \
        <"$home/source/Cargo.toml" >"$home/source/pruned"
    mv "$home/source/pruned" "$home/source/Cargo.toml"
    cat >>"$home/source/Cargo.toml" <<END

[workspace]

[profile.release]
lto = false
opt-level = 2
END
    (cd "$home/source" && CARGO_TARGET_DIR=$home/target nice -n 15 cargo build --release --bin rmqttd)
}

[ -x "$program" ] || build
[ "${1-}" != --build ] || exit 0

export LOAXA_TEST_RMQTTD=$program
on_any_broker='binary(whole) & test(/^(faults|conformance|cluster)::/) | binary(box) & test(/^(orders|disk|local|media|prepared|wire_link)::/)'
on_any_broker+=' | binary(central) & test(/^(wire|rmqttd)::/)'
# Two clusters, each with boxes and a centre, are enough for two cores.
cargo nextest run --locked --workspace --no-fail-fast --run-ignored all --test-threads 2 -E "${1:-$on_any_broker}"
