# Read by other scripts: a PostgreSQL server in a folder of its own, reached by a socket there, which goes with the script.
# shellcheck shell=bash
#
# POSTGRES names the folder of another server's programs than Debian's newest.

# postgres_begin HOME SETTING...: starts a server with its data, its socket and its log in HOME; the user is loaxa
postgres_begin() {
    postgres_home=$1
    shift
    local versions=(/usr/lib/postgresql/*/bin)
    postgres_programs=${POSTGRES:-${versions[-1]}}
    postgres_as=()
    if [ "$(id -u)" = 0 ]; then
        # The server refuses to run as root.
        chown postgres "$postgres_home"
        postgres_as=(setpriv --reuid postgres --regid postgres --clear-groups)
    fi
    postgres_run initdb -D "$postgres_home/data" -A trust -U loaxa -E UTF8 --locale=C --no-sync
    printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$postgres_home'" "$@" \
        >>"$postgres_home/data/postgresql.conf"
    postgres_run pg_ctl start -w -D "$postgres_home/data" -l "$postgres_home/log"
}

postgres_run() {
    (cd "$postgres_home" && "${postgres_as[@]}" "$postgres_programs/$1" "${@:2}" >>"$postgres_home/said" 2>&1)
}

postgres_end() {
    postgres_run pg_ctl stop -m immediate -D "$postgres_home/data" || true
}
