#!/usr/bin/env bash
# The tests of the centre once more, with its database on a PostgreSQL server that is made for them and goes with them. Those
# that look into the file of the other engine are left out.
# usage: scripts/test_postgres.sh [FILTER], as nextest takes it
# VERSION=18 (or 14, 16, 17) takes a server of that version in the place of Debian's; it comes from the registry of npm.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/postgres_server.sh
. scripts/postgres_server.sh

if [ -n "${VERSION-}" ]; then
    POSTGRES=$(python3 scripts/fetch_postgres.py "$VERSION" "target/postgres/$VERSION")
    export POSTGRES
fi
filter=${1:-binary(central)}
in_file='older_database|the_page_says_what_sql_says|nothing_changes_by_looking|a_token_may_what|a_question_that_was_asked_in_time|full_disk|backup|query_plans|a_certificate_is_for_the_box_that_asks'
in_file+='|a_commune_in_a_file|a_browser_forgets_its_session'
home=$(mktemp -d)
trap 'postgres_end; rm -rf "$home"' EXIT
postgres_begin "$home" 'fsync = off' 'synchronous_commit = off' 'full_page_writes = off' 'max_connections = 200'
LOAXA_TEST_POSTGRES=$home cargo nextest run --locked --workspace --no-fail-fast -E "($filter) and not test(/$in_file/)"
