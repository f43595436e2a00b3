#!/usr/bin/env python3
"""Measures what a sink that is down for the whole run costs a healthy one, and the slot.

Run by scripts/bench, which starts the server. A writer commits at a steady rate; the healthy sink is a file. Runs alternate: the
file alone, beside a webhook whose port refuses connections, and beside one that accepts them and never answers. Latency is from
the commit's time in the event to the moment at which the whole line stands in the file. How far the slot lags (WAL that is
flushed and not confirmed) is asked ten times a second. Ratios are taken round by round, and are medians.
"""
import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time

from measuring import machine_busy, sql

CONFIGURATION = """\
name: bench
source:
  postgres:
    url: postgresql://{user}@{host}:{port}/{database}
    tables: [public.orders]
    snapshot: never
    slot: {slot}
    publication: bench_pub
sinks:
  healthy:
    file: {{path: out.jsonl}}
{more}"""

WEBHOOK = """\
  dead:
    webhook: {{url: "http://127.0.0.1:{port}/", allow_private_addresses: true, timeout: 1s, retry: {{max: 1s}}}}
"""

CONTENDERS = ["alone", "refused", "silent"]


class SilentServer:
    """Takes connections and what comes over them, and never says a word."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.connections = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            self.connections.append(self.listener.accept()[0])


class Arrivals:
    """Follows a file and notes how long after its commit each event was in it."""

    def __init__(self, path):
        self.path = path
        self.latencies = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.follow)
        self.thread.start()

    def follow(self):
        while not os.path.exists(self.path) and not self.ended.is_set():
            time.sleep(0.01)
        rest = b""
        with open(self.path, "rb") as file:
            while True:
                data = file.read()
                if not data:
                    if self.ended.is_set():
                        return
                    time.sleep(0.0005)
                    continue
                now = time.time()
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    # Parsing is left for later: it must not be in the way of the next look.
                    self.latencies.append((now, line))

    def end(self):
        self.ended.set()
        self.thread.join()
        return [now - committed(line) for now, line in self.latencies]


def committed(line):
    text = json.loads(line)["time"]
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) - time.timezone
    return seconds + float("0." + (fraction or "0"))


def slot_state(slot):
    """When it was asked, how far the slot is confirmed, and how many flushed bytes are not."""
    found = sql(f"""SELECT confirmed_flush_lsn - '0/0', pg_current_wal_flush_lsn() - confirmed_flush_lsn
        FROM pg_replication_slots WHERE slot_name = '{slot}'""")
    confirmed, behind = map(int, found.split("|"))
    return time.monotonic(), confirmed, behind


def configure(folder, slot, contender, silent):
    more = ""
    if contender == "refused":
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            more = WEBHOOK.format(port=unused.getsockname()[1])
    if contender == "silent":
        more = WEBHOOK.format(port=silent.port)
    with open(f"{folder}/millrace.yaml", "w", encoding="utf-8") as file:
        file.write(CONFIGURATION.format(
            user=os.environ["PGUSER"], host=os.environ["PGHOST"], port=os.environ["PGPORT"],
            database=os.environ["PGDATABASE"], slot=slot, more=more))


def run(contender, number, silent, options):
    slot = f"run_{number}"
    folder = tempfile.mkdtemp(prefix="millrace-bench.", dir=options.work)
    configure(folder, slot, contender, silent)
    process = subprocess.Popen(
        [options.millrace, "run"], cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    errors = []
    reading = threading.Thread(target=lambda: errors.extend(process.stderr))
    reading.start()
    while not any("capturing" in line for line in errors):
        if process.poll() is not None:
            raise SystemExit("millrace failed: " + "".join(errors))
        time.sleep(0.02)
    arrivals = Arrivals(f"{folder}/out.jsonl")
    busy = machine_busy()
    writer = subprocess.Popen(["psql", "-XAtqc", f"CALL steady_load({options.seconds}, {options.rate})"])
    first = slot_state(slot)
    states = []
    while writer.poll() is None:
        states.append(slot_state(slot))
        time.sleep(0.1)
    last = slot_state(slot)
    expected = int(sql("SELECT count(*) FROM orders"))
    limit = time.monotonic() + 30
    while len(arrivals.latencies) < expected and time.monotonic() < limit:
        time.sleep(0.01)
    busy = machine_busy() - busy
    latencies = sorted(arrivals.end())
    said = any("webhook." in line for line in errors)
    process.terminate()
    process.wait()
    reading.join()
    if len(latencies) < expected:
        raise SystemExit(f"only {len(latencies)} of {expected} events arrived")
    if said != (contender != "alone"):
        raise SystemExit("the dead sink was not tried, or not dead: this run measured nothing")
    sql(f"SELECT pg_drop_replication_slot('{slot}')")
    sql("TRUNCATE orders")
    shutil.rmtree(folder)
    lags = [behind for _, _, behind in states[5:]]
    return {
        "events": len(latencies), "p50": latencies[len(latencies) // 2],
        "p99": latencies[len(latencies) * 99 // 100], "max": latencies[-1],
        "advance": (last[1] - first[1]) / (last[0] - first[0]),
        "lag_p50": statistics.median(lags), "lag_max": max(lags), "busy": busy}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--millrace", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--seconds", type=int, default=12, help="how long the load of one run lasts")
    parser.add_argument("--rate", type=int, default=200, help="transactions a second, of five rows each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    options = parser.parse_args()
    folder = os.path.dirname(os.path.abspath(__file__))
    subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", f"{folder}/orders.sql"], check=True)
    subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", f"{folder}/steady.sql"], check=True)
    sql("TRUNCATE orders")
    silent = SilentServer()
    runs = {contender: [] for contender in CONTENDERS}
    for number in range(options.rounds):
        # Another order in each round: whoever comes first has the quieter server.
        for step in range(len(CONTENDERS)):
            contender = CONTENDERS[(number + step) % len(CONTENDERS)]
            figures = run(contender, number * len(CONTENDERS) + step, silent, options)
            runs[contender].append(figures)
            print(f"round {number + 1}: {contender}: p50 {figures['p50'] * 1e3:.1f} ms, p99 {figures['p99'] * 1e3:.1f} ms, "
                  f"{figures['events']} events", flush=True)
    report(runs, options)


def report(runs, options):
    median = {c: {k: statistics.median(r[k] for r in runs[c]) for k in runs[c][0]} for c in CONTENDERS}

    def ratio(contender, key):
        return statistics.median(b[key] / a[key] for a, b in zip(runs["alone"], runs[contender]) if a[key])

    print(f"\n{options.rate} transactions of 5 rows a second for {options.seconds} s, {options.rounds} rounds, medians")
    print(f"{'dead sink':10} {'p50 ms':>7} {'p99 ms':>7} {'max ms':>7} {'slot KB/s':>10} {'behind KB':>10} {'most KB':>8} "
          f"{'busy s':>7}   ratios to alone: p50, p99, max, slot")
    ratios = {}
    for contender in CONTENDERS:
        m = median[contender]
        ratios[contender] = {key: ratio(contender, key) for key in ["p50", "p99", "max", "advance"]}
        print(f"{contender:10} {m['p50'] * 1e3:7.1f} {m['p99'] * 1e3:7.1f} {m['max'] * 1e3:7.1f} {m['advance'] / 1e3:10,.0f} "
              f"{m['lag_p50'] / 1e3:10,.0f} {m['lag_max'] / 1e3:8,.0f} {m['busy']:7.1f}   "
              + ", ".join(f"{value:.2f}" for value in ratios[contender].values()))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"median": median, "ratios": ratios, "runs": runs}, file, indent=2)
        print(f"written to {options.json}")


main()
