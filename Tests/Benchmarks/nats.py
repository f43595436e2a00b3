#!/usr/bin/env python3
"""Publishes the same events to one NATS server by a publisher in C and by Millrace in turn, and prints rates and the ratio.

Run by scripts/bench. The events are in Millrace's log already; each round delivers all of them from a fresh copy of it to a new
stream. Rounds are interleaved; figures are medians, ratios are taken round by round.
"""
import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

CONFIGURATION = """\
name: bench
source:
  sqlite: {{path: bench.db}}
sinks:
  nowhere:
    file: {{path: /dev/null}}
{sink}"""
SINK = """\
  broker:
    nats: {{servers: ["{url}"], max_in_flight: {window}}}
"""
ROWS = """\
PRAGMA journal_mode = WAL;
CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT, amount TEXT, note TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
    INSERT INTO orders SELECT i, 'paid', printf('%d.50', i), printf('note of order %d', i) FROM n;
"""


def run(command, folder, output=subprocess.DEVNULL):
    """Wall seconds and CPU seconds of a program."""
    start = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.PIPE)
    errors = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{command[0]} failed: {errors}")
    return {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss / 1024}


def start_server(folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        ["nats-server", "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", folder], stderr=subprocess.DEVNULL)
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server, f"nats://127.0.0.1:{port}"
        time.sleep(0.02)
    raise SystemExit("nats-server does not start")


def prepare(options):
    """A folder with a log of all events, and a file of their lines."""
    folder = f"{options.work}/prepared"
    os.makedirs(folder)
    subprocess.run(["sqlite3", f"{folder}/bench.db", ROWS.format(count=options.events)], check=True, stdout=subprocess.DEVNULL)
    configure(folder, "")
    run([options.millrace, "run", "--until-caught-up"], folder)
    with open(f"{options.work}/events.jsonl", "w") as file:
        run([options.millrace, "tail"], folder, file)
    return folder


def configure(folder, sink):
    with open(f"{folder}/millrace.yaml", "w") as file:
        file.write(CONFIGURATION.format(sink=sink))


def publish(contender, prepared, options):
    """One run of one contender against a server of its own."""
    folder = tempfile.mkdtemp(prefix="round.", dir=options.work)
    server, url = start_server(f"{folder}/store")
    try:
        if contender == "publisher in C":
            return run([options.publisher, url, "bench", str(options.window), f"{options.work}/events.jsonl"], folder)
        shutil.copytree(prepared, f"{folder}/project")
        configure(f"{folder}/project", SINK.format(url=url, window=options.window))
        return run([options.millrace, "run", "--until-caught-up"], f"{folder}/project")
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--millrace", required=True)
    parser.add_argument("--publisher", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--window", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    options = parser.parse_args()
    print(f"making a log of {options.events} events …", flush=True)
    prepared = prepare(options)
    contenders = ["publisher in C", "millrace"]
    runs = {contender: [] for contender in contenders}
    for number in range(options.rounds):
        for contender in contenders:
            figures = publish(contender, prepared, options)
            runs[contender].append(figures)
            print(f"round {number + 1}: {contender}: {options.events / figures['seconds']:,.0f} messages/s", flush=True)
    median = {c: {k: statistics.median(r[k] for r in runs[c]) for k in runs[c][0]} for c in contenders}
    print(f"\n{'client':16} {'messages/s':>12} {'CPU s':>7} {'peak MB':>8}")
    for contender in contenders:
        m = median[contender]
        print(f"{contender:16} {options.events / m['seconds']:>12,.0f} {m['cpu']:>7.2f} {m['peak_mb']:>8.1f}")
    ratio = statistics.median(a["seconds"] / b["seconds"] for a, b in zip(runs["publisher in C"], runs["millrace"]))
    print(f"millrace against the publisher in C: {ratio:.2f} of the rate")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"events": options.events, "window": options.window, "ratio": ratio, "median": median, "runs": runs}, file, indent=2)
        print(f"written to {options.json}")


main()
