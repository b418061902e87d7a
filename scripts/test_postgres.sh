#!/usr/bin/env bash
# The tests of the centre once more, with its database on a PostgreSQL server that is made for them and goes with them. Those
# that look into the file of the other engine are left out.
# usage: scripts/test_postgres.sh [FILTER], as nextest takes it
set -euo pipefail
cd "$(dirname "$0")/.."

filter=${1:-binary(central)}
in_file='older_database|the_page_says_what_sql_says|nothing_changes_by_looking|a_token_may_what|a_question_that_was_asked_in_time|full_disk|backup|query_plans'
versions=(/usr/lib/postgresql/*/bin)
programs=${versions[-1]}
home=$(mktemp -d)
as_other=()
if [ "$(id -u)" = 0 ]; then
    # The server refuses to run as root.
    chown postgres "$home"
    as_other=(setpriv --reuid postgres --regid postgres --clear-groups)
fi
server() {
    (cd "$home" && "${as_other[@]}" "$programs/$1" "${@:2}" >>"$home/said" 2>&1)
}
trap 'server pg_ctl stop -m immediate -D "$home/data" || true; rm -rf "$home"' EXIT
server initdb -D "$home/data" -A trust -U loaxa -E UTF8 --locale=C --no-sync
cat >>"$home/data/postgresql.conf" <<END
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 200
listen_addresses = ''
unix_socket_directories = '$home'
END
server pg_ctl start -w -D "$home/data" -l "$home/log"
LOAXA_TEST_POSTGRES=$home cargo nextest run --locked --workspace --no-fail-fast -E "($filter) and not test(/$in_file/)"
