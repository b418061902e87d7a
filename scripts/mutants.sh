#!/usr/bin/env bash
# Plants the faults of scripts/mutants/*.toml in a copy of the source and runs the tests that must notice them.
# Prints caught of planted; fails where one is not noticed, or no longer fits the source. See scripts/mutants/README.md.
#   scripts/mutants.sh                    all listed faults
#   scripts/mutants.sh --only guard       those whose names contain "guard"
#   scripts/mutants.sh --generated 200    and 200 made by the generator in the heart
#   scripts/mutants.sh --everywhere 100   100 made by the generator in all floors, and no others
set -euo pipefail
cd "$(dirname "$0")/.."
exec python3 scripts/mutants/plant.py "$@"
