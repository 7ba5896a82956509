# Sourced by ./demo, ./test and the other scripts: finds what callq needs on this machine and
# installs what is missing.
#
# Needed: cargo (never installed from here), a C compiler that can link, certificates of the public
# authorities, and the programs of a PostgreSQL server, of which no cluster is created and none is
# started. Nothing is done when everything is there. POSIX sh.

# The SQL was checked against a database when it was written (.sqlx); a build needs none, and must
# not look for one.
export SQLX_OFFLINE=true

say() { printf '%s\n' "callq: $*" >&2; }
die() { say "$@"; exit 1; }

install_needs() {
    need_cargo
    case $(uname -s) in
        Linux) missing=$(missing_packages) ;;
        Darwin) need_on_mac; return ;;
        *) return ;; # callq itself says what it cannot find
    esac
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || die "install a C compiler, CA certificates and a PostgreSQL" \
        "server with this system's package manager, or set CALLQ_PG_BIN to the folder of initdb" \
        "and postgres. Missing, by Debian's names: $missing"
    install_packages "$missing"
}

need_cargo() {
    command -v cargo >/dev/null || PATH="${CARGO_HOME:-${HOME:-/root}/.cargo}/bin:$PATH"
    export PATH
    command -v cargo >/dev/null || die "cannot find cargo: install Rust from" \
        "https://rustup.rs, and run this as the user it is installed for (not through sudo)"
}

need_on_mac() {
    cc --version >/dev/null 2>&1 ||
        die "there is no C compiler: run  xcode-select --install"
    [ -n "${CALLQ_PG_BIN:-}" ] || postgres_bin_dir >/dev/null ||
        die "there is no PostgreSQL server: run  brew install postgresql@17"
}

missing_packages() {
    links_c || printf '%s ' gcc libc6-dev
    has_authorities || printf '%s ' ca-certificates
    # Found by CALLQ_PG_BIN, or said by callq to be wrong: not ours to mend with a package.
    [ -n "${CALLQ_PG_BIN:-}" ] || postgres_bin_dir >/dev/null || printf '%s ' postgresql
}

# A compiler without the C library's headers is common.
links_c() {
    command -v cc >/dev/null || return 1
    probe=$(mktemp -d)
    printf '#include <stdlib.h>\nint main(void) { return 0; }\n' >"$probe/probe.c"
    if cc -o "$probe/probe" "$probe/probe.c" 2>/dev/null; then links=0; else links=1; fi
    rm -rf "$probe"
    return "$links"
}

has_authorities() {
    for file in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt \
        /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem /etc/ssl/ca-bundle.pem; do
        [ -z "$file" ] || [ ! -s "$file" ] || return 0
    done
    return 1
}

# Prints the folder of initdb and postgres. The same places as src/dev/postgres/binaries.rs.
postgres_bin_dir() {
    if [ -n "${CALLQ_PG_BIN:-}" ]; then
        has_server "$CALLQ_PG_BIN" && printf '%s\n' "$CALLQ_PG_BIN"
        return
    fi
    on_path=$(command -v postgres || :)
    [ -z "$on_path" ] || on_path=$(dirname "$(readlink -f "$on_path")")
    highest=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -t/ -k5 -rV 2>/dev/null | tr '\n' ' ')
    # shellcheck disable=SC2086 # one word per version
    for dir in "$(pg_config --bindir 2>/dev/null || :)" "$on_path" $highest \
        /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin \
        /Applications/Postgres.app/Contents/Versions/*/bin /usr/pgsql-*/bin; do
        if has_server "$dir"; then
            printf '%s\n' "$dir"
            return
        fi
    done
    return 1
}

# For the tests alone, and never in the way of the others: a test that needs what is missing fails,
# and says what it is. None is skipped.
install_test_needs() {
    PATH="$PATH:/usr/sbin" command -v pgbouncer >/dev/null && return
    if ! command -v apt-get >/dev/null; then
        say "PgBouncer is missing: its tests will fail. Install it (on a Mac: brew install pgbouncer)"
        return 0
    fi
    if ! (install_packages pgbouncer); then
        say "PgBouncer could not be installed: its tests will fail"
        return 0
    fi
    # The package starts a service of its own, which nobody asked for.
    ! command -v systemctl >/dev/null ||
        as_root systemctl disable --now pgbouncer >/dev/null 2>&1 || :
}

has_server() { [ -n "$1" ] && [ -x "$1/initdb" ] && [ -x "$1/postgres" ]; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

install_packages() {
    packages=${1% }
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        die "missing: $packages. Run as root:" \
            " apt-get update && apt-get install -y --no-install-recommends $packages"
    fi
    say "installing $packages"
    apt_log=$(mktemp)
    case " $packages " in
        *' postgresql '*)
            without_postgresql=$(printf '%s' " $packages " | sed 's/ postgresql / /')
            # shellcheck disable=SC2086 # a list of words
            apt_install $without_postgresql postgresql-common
            install_postgresql
            ;;
        # shellcheck disable=SC2086
        *) apt_install $packages ;;
    esac
    rm -f "$apt_log"
}

# The package makes a cluster of its own and starts it, unless told not to. It is told so in a file
# that is gone afterwards, so the next `apt-get install postgresql-NN` of this machine's owner
# behaves as ever.
install_postgresql() {
    folder=/etc/postgresql-common/createcluster.d
    [ -d "$folder" ] && folder_was_there=yes || folder_was_there=no
    trap 'forget_no_cluster' EXIT
    trap 'exit 130' INT TERM HUP
    as_root mkdir -p "$folder"
    printf 'create_main_cluster = false\n' | as_root tee "$folder/callq-no-cluster.conf" >/dev/null
    apt_install postgresql
    forget_no_cluster
    trap - EXIT INT TERM HUP
}

forget_no_cluster() {
    as_root rm -f "$folder/callq-no-cluster.conf"
    [ "$folder_was_there" = yes ] || as_root rmdir "$folder" 2>/dev/null || :
}

# Package lists are fetched only if these packages cannot be had without: they are missing or too
# old.
apt_install() {
    apt_get install -y --no-install-recommends "$@" && return
    say "fetching the package lists"
    if apt_get update && apt_get install -y --no-install-recommends "$@"; then return; fi
    tail -n 15 "$apt_log" >&2
    rm -f "$apt_log"
    die "could not install $*: see above"
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
        apt-get -q -o DPkg::Lock::Timeout=300 "$@" >>"$apt_log" 2>&1 </dev/null
}
