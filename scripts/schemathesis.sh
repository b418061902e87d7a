#!/usr/bin/env bash
# Asks a central everything that its OpenAPI description allows and much that it does not: scripts/schemathesis.sh ADDRESS TOKEN [SECONDS]
# `loaxa demo` prints both. Finds answers that are not described, errors of the server, and refusals of what is described as right.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
address=${1%/} token=$2 seconds=${3:-600} venv=/tmp/loaxa-schemathesis-venv
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
[ -x $venv/bin/st ] || { python3 -m venv $venv && $venv/bin/pip -q install schemathesis; }

# A schema can't say that a file is a sound or a program, that a text is a programme, or that a document's parts fit together: these
# may be refused for what they are.
cat >"$scratch/schemathesis.toml" <<'TOML'
[[operations]]
include-name-regex = "POST /api/v1/(announcements|media|programmes|policies|prepared|software|software/builds|drafts|live)$"
[operations.checks]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", "400", "401", "403", "404", "409", "422", "429"]
TOML
$venv/bin/st --config-file "$scratch/schemathesis.toml" run "$address/api/v1/openapi.json" \
    --header "Authorization: Bearer $token" --max-time "$seconds" --request-timeout 20
