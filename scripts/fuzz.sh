#!/usr/bin/env bash
# Fuzzes what arrives from outside, one target after the other.
#   scripts/fuzz.sh [SECONDS [TARGET...]]    600 seconds for each, all targets
# Inputs that were found stay in the target directory. One that breaks something is named at the end: put it into
# fuzz/corpus/TARGET/ with its mend. CARGO_TARGET_DIR chooses another place to build.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-600}
shift || true
build=$(realpath -m "${CARGO_TARGET_DIR:-fuzz/target}")
export CARGO_TARGET_DIR=$build
# Coverage is a feature of a nightly compiler; this has a stable one offer it.
export RUSTC_BOOTSTRAP=1

cargo fuzz --version >/dev/null 2>&1 || { echo "installing cargo-fuzz (about a minute)"; cargo install --locked cargo-fuzz; }
if [ $# -eq 0 ]; then
    mapfile -t targets < <(cargo fuzz list)
    set -- "${targets[@]}"
fi
cargo fuzz build
programs=$build/$(rustc -vV | sed -n 's/^host: //p')/release

broken=()
for target in "$@"; do
    found=$build/found/$target
    artifacts=$build/artifacts/$target
    mkdir -p "$found" "$artifacts"
    echo "== $target, $seconds s, from $(date +%T)"
    "$programs/$target" "$found" "fuzz/corpus/$target" -max_total_time="$seconds" -jobs=0 -timeout=25 \
        -rss_limit_mb=2048 -print_final_stats=1 -print_funcs=0 -artifact_prefix="$artifacts/" 2>&1 \
        | grep -Ev '^#[0-9]+[[:space:]]+(NEW|REDUCE|pulse)' \
        || broken+=("$target")
    echo "== $target ended at $(date +%T)"
done
if [ ${#broken[@]} -gt 0 ]; then
    echo "broken: ${broken[*]}; the inputs lie in $build/artifacts"
    exit 1
fi
echo "no input broke anything"
