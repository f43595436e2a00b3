# Functions that install what is missing. Source this file; it does nothing by itself.

say() { printf '\n== %s\n' "$*"; }

# Runs a command as root: directly, or through sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# need_packages NAME …: installs the Debian packages of this list that are not there yet.
need_packages() {
    _missing=
    for _package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$_package" 2>/dev/null | grep -qx installed ||
            _missing="$_missing $_package"
    done
    [ -z "$_missing" ] && return 0
    say "installing:$_missing"
    as_root apt-get update -qq
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $_missing >/dev/null
}

# Fails with a clear message when there is no Swift.
need_swift() {
    command -v swift >/dev/null && return 0
    echo "Swift 6.3 is needed and not on the PATH: https://www.swift.org/install/linux/debian/12/" >&2
    exit 3
}

# What the program itself needs to build and run.
need_build_packages() {
    need_swift
    need_packages pkg-config libpq-dev libsqlite3-dev libssl-dev libpcre2-dev libnats-dev zlib1g-dev libzstd-dev
}

# What the tests need beside that: PostgreSQL and NATS servers, the sqlite3 shell, and a JSON Schema validator.
need_test_packages() {
    need_packages postgresql nats-server openssl sqlite3 python3 python3-venv python3-jsonschema util-linux zstd
}

# Prints a Python that has the validator: the one on the PATH, or else Debian's.
python_with_jsonschema() {
    for _python in python3 /usr/bin/python3; do
        if "$_python" -c 'import jsonschema' 2>/dev/null; then command -v "$_python"; return 0; fi
    done
    echo "no python3 has the module jsonschema (Debian: python3-jsonschema)" >&2
    return 3
}

# Makes .build/registry-client, a Python with the registry client that the tests use, unless it is there already in the
# versions that registry-client.txt names. What is cut off leaves none.
registry_client() {
    _wanted=scripts/lib/registry-client.txt _place=.build/registry-client
    if cmp -s "$_wanted" "$_place/installed.txt"; then return 0; fi
    say "fetching the registry client for the tests"
    rm -rf "$_place"
    "$(python_with_venv)" -m venv "$_place"
    "$_place/bin/python" -m pip install -q --disable-pip-version-check --only-binary=:all: -r "$_wanted"
    cp "$_wanted" "$_place/installed.txt"
}

# Prints a Python that can make environments: the one on the PATH, or else Debian's.
python_with_venv() {
    for _python in python3 /usr/bin/python3; do
        if "$_python" -c 'import ensurepip, venv' 2>/dev/null; then command -v "$_python"; return 0; fi
    done
    echo "no python3 has the modules venv and ensurepip (Debian: python3-venv)" >&2
    return 3
}
