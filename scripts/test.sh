#!/usr/bin/env bash
# All checks in turn; the first that fails ends it. The last lines hold the counts of tests.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}

step() {
    echo
    echo "== $*"
    "$@"
}

step shellcheck scripts/*.sh playlists/*.sh .ci/run
step cargo fmt --all --check
step cargo clippy --locked --workspace --all-targets -- -D warnings
# A box carries no web stack, a central no sound: each must build alone.
step cargo check --locked --no-default-features --features box
step cargo check --locked --no-default-features --features central

report=$(mktemp)
# counts REPORT: sums what cargo test (a line for each binary) and nextest (one line) say
counts() {
    sed 's/\x1b\[[0-9;]*m//g' "$1" | awk '
        /^test result:/ { passed += $4; failed += $6; ignored += $8 }
        /Summary \[/ {
            for (i = 1; i <= NF; i++) {
                if ($i ~ /^passed/) passed += $(i - 1)
                if ($i ~ /^failed/) failed += $(i - 1)
                if ($i ~ /^skipped/) ignored += $(i - 1)
            }
        }
        END { printf "tests: %d passed, %d failed, %d ignored\n", passed, failed, ignored }'
}
# reasons REPORT: repeats, shortly, why tests failed
reasons() {
    # None is no fault.
    sed 's/\x1b\[[0-9;]*m//g' "$1" | grep -A6 ' panicked at ' | grep -v '^ *[0-9]*: \|^ *at ' | cut -c1-300 || true
}
trap 'reasons "$report"; counts "$report"; rm -f "$report"' EXIT

if cargo nextest --version >/dev/null 2>&1; then
    step cargo test --locked --workspace --doc 2>&1 | tee -a "$report"
    step cargo nextest run --locked --workspace --no-fail-fast --no-tests pass 2>&1 | tee -a "$report"
else
    step cargo test --locked --workspace --no-fail-fast 2>&1 | tee -a "$report"
fi
