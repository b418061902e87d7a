#!/usr/bin/env bash
# Prints the graph of imports, a file a line with the files that it imports, and fails where it has a circle.
set -euo pipefail
cd "$(dirname "$0")/.."
LOAXA_PRINT_IMPORTS=1 cargo test --locked --quiet --test tidy imports:: -- --nocapture --test-threads 1
