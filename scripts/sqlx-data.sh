#!/bin/bash
# Writes .sqlx, the types of every query as the migrated schema has them, from which a build without
# a database works.
#
#   scripts/sqlx-data.sh           after a change of SQL: replaces .sqlx
#   scripts/sqlx-data.sh --check   fails if .sqlx is not what the schema and the queries give
#
# The database is a private one, `callq dev --exec`. A change of SQL is also what keeps callq from
# being built with the old .sqlx: then psql applies the migrations to a private server of this
# script.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/install-needs.sh

# Run again by `callq dev --exec`, with DATABASE_URL set: sqlx's macros ask that database while the
# crate is compiled, and write what they learn. Only callq is compiled again: macros are expanded
# when a source file is newer, no matter what the environment says. `check` shares the dependencies
# with clippy.
if [ "${1:-}" = --write-to ]; then
    touch src/lib.rs
    SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$2 exec cargo check --locked --all-targets --quiet
fi

install_needs
work=$(mktemp -d /tmp/callq-sqlx-XXXXXXXX)
server=
trap clean_up EXIT
clean_up() {
    # What was compiled against the private database must not pass for the offline build.
    touch src/lib.rs
    [ -z "$server" ] || { kill -INT "$server" && wait "$server" || :; }
    rm -rf "$work"
}
fresh=$work/sqlx
mkdir "$fresh"

through_callq() {
    env -u DATABASE_URL cargo run --locked --quiet -- \
        dev --exec scripts/sqlx-data.sh --write-to "$fresh"
}

through_psql() {
    local bin user=()
    bin=$(postgres_bin_dir) || die "cannot find the PostgreSQL server programs"
    if [ "$(id -u)" -eq 0 ]; then
        # PostgreSQL does not run as root.
        local name=nobody
        if id -u postgres >/dev/null 2>&1; then name=postgres; fi
        user=(setpriv --reuid "$name" --regid "$(id -g "$name")" --clear-groups)
    fi
    mkdir "$work/pg"
    chmod 755 "$work"
    [ ${#user[@]} -eq 0 ] || chown "$name" "$work/pg"
    (cd / && "${user[@]}" "$bin/initdb" -U callq -A trust -E UTF8 --no-locale --no-sync \
        -D "$work/pg/data" >/dev/null)
    (cd / && exec "${user[@]}" "$bin/postgres" -D "$work/pg/data" -k "$work/pg" -p 5432 \
        -c listen_addresses= -c fsync=off) >"$work/log" 2>&1 &
    server=$!
    for _ in $(seq 300); do
        grep -qs 'ready to accept connections' "$work/log" && break
        kill -0 "$server" 2>/dev/null || die "$(cat "$work/log")"
        sleep 0.1
    done
    local url="postgres:///postgres?host=$work/pg&user=callq&port=5432" file
    # As `callq migrate` does before the first file.
    psql -X -q -v ON_ERROR_STOP=1 -d "$url" -c 'CREATE SCHEMA callq'
    for file in migrations/*.sql; do
        psql -X -q -1 -v ON_ERROR_STOP=1 -d "$url" -f "$file"
    done
    DATABASE_URL=$url scripts/sqlx-data.sh --write-to "$fresh"
}

case ${1:-} in
    --check)
        through_callq ||
            die "could not check .sqlx, see above. If SQL was changed, run scripts/sqlx-data.sh"
        if ! diff -ru .sqlx "$fresh"; then
            die "the committed .sqlx is not what the schema gives: run scripts/sqlx-data.sh and" \
                "commit .sqlx"
        fi
        say ".sqlx is up to date: $(find .sqlx -name 'query-*.json' | wc -l) queries"
        ;;
    '')
        if cargo build --locked --quiet 2>/dev/null; then through_callq; else through_psql; fi
        rm -rf .sqlx
        cp -r "$fresh" .sqlx
        say "wrote .sqlx: $(find .sqlx -name 'query-*.json' | wc -l) queries"
        ;;
    *) die "usage: scripts/sqlx-data.sh [--check]" ;;
esac
