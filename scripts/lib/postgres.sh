# Functions to run a private PostgreSQL server in a temporary folder. Source this file; it starts nothing by itself.
# The server listens on 127.0.0.1 on a free port, trusts every local connection, and has wal_level = logical.

# Prints a TCP port that nothing listens on.
free_port() {
    # Below the ports that connections get by themselves, which could take it before the server does.
    python3 -c 'import random, socket
while True:
    port = random.randint(10240, 32000)
    try:
        socket.socket().bind(("127.0.0.1", port))
        break
    except OSError:
        pass
print(port)'
}

# Prints the folder of the newest installed server's programs.
postgres_bin() {
    if [ -n "${MILLRACE_PGBIN:-}" ]; then echo "$MILLRACE_PGBIN"; return; fi
    ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1
}

# Runs a command as a user that PostgreSQL accepts: root becomes "postgres", everybody else stays. The process id is
# kept. A fetched server brings its own libpq, which its standbys need.
as_postgres() {
    _own=$(postgres_bin)/../lib
    [ -e "$_own/libpq.so.5" ] || _own=${LD_LIBRARY_PATH:-}
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=postgres --regid=postgres --clear-groups env HOME=/tmp LD_LIBRARY_PATH="$_own" "$@"
    else
        env LD_LIBRARY_PATH="$_own" "$@"
    fi
}

# postgres_start DIR [name=value …]: makes a cluster in DIR and starts it with these extra settings.
# Sets PGHOST, PGPORT, PGUSER, PGDATABASE, MILLRACE_PGBIN and MILLRACE_PGDATA for what follows.
postgres_start() {
    _dir=$1; shift
    MILLRACE_PGBIN=$(postgres_bin); MILLRACE_PGDATA=$_dir/data
    PGHOST=127.0.0.1 PGPORT=$(free_port) PGUSER=postgres PGDATABASE=postgres
    export MILLRACE_PGBIN MILLRACE_PGDATA PGHOST PGPORT PGUSER PGDATABASE
    mkdir -p "$_dir"
    if [ "$(id -u)" = 0 ]; then chown postgres: "$_dir"; fi
    as_postgres "$MILLRACE_PGBIN/initdb" -D "$MILLRACE_PGDATA" -U postgres --auth=trust -E UTF8 --locale=C.UTF-8 \
        --no-sync >"$_dir/initdb.log" 2>&1
    {
        printf '%s\n' "port = $PGPORT" "listen_addresses = '127.0.0.1'" "unix_socket_directories = '$_dir'" \
            "wal_level = logical" "max_wal_senders = 100" "max_replication_slots = 200" "max_connections = 400" \
            "timezone = 'UTC'"
        for _setting in "$@"; do printf '%s\n' "$_setting"; done
    } >"$_dir/extra.conf"
    as_postgres sh -c "cat '$_dir/extra.conf' >>'$MILLRACE_PGDATA/postgresql.conf'"
    as_postgres "$MILLRACE_PGBIN/pg_ctl" -D "$MILLRACE_PGDATA" -l "$MILLRACE_PGDATA/server.log" -w start >/dev/null
}

# postgres_follow DIR [name=value …]: makes a standby of the server at PGHOST and PGPORT in DIR and starts it with these
# extra settings. Sets what postgres_start sets, for the standby.
postgres_follow() {
    _dir=$1; shift; _primary=$PGPORT
    MILLRACE_PGBIN=$(postgres_bin); MILLRACE_PGDATA=$_dir/data; PGPORT=$(free_port)
    export MILLRACE_PGBIN MILLRACE_PGDATA PGPORT
    mkdir -p "$_dir"
    if [ "$(id -u)" = 0 ]; then chown postgres: "$_dir"; fi
    as_postgres "$MILLRACE_PGBIN/pg_basebackup" -h "$PGHOST" -p "$_primary" -U postgres -D "$MILLRACE_PGDATA" -R \
        -c fast --no-sync
    {
        printf '%s\n' "port = $PGPORT" "unix_socket_directories = '$_dir'"
        for _setting in "$@"; do printf '%s\n' "$_setting"; done
    } >"$_dir/extra.conf"
    as_postgres sh -c "cat '$_dir/extra.conf' >>'$MILLRACE_PGDATA/postgresql.conf'"
    as_postgres "$MILLRACE_PGBIN/pg_ctl" -D "$MILLRACE_PGDATA" -l "$MILLRACE_PGDATA/server.log" -w start >/dev/null
}

# Stops the server that postgres_start started, if it still runs.
postgres_stop() {
    [ -n "${MILLRACE_PGDATA:-}" ] && [ -f "$MILLRACE_PGDATA/postmaster.pid" ] || return 0
    as_postgres "$MILLRACE_PGBIN/pg_ctl" -D "$MILLRACE_PGDATA" -m fast -w stop >/dev/null 2>&1 || true
}
