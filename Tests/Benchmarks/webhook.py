#!/usr/bin/env python3
"""Posts the same events by Millrace and by wrk in turn, over as many connections, to the same small receiver, and prints
rates, CPU and ratios.

Run by scripts/bench. Millrace's events come from a log that is filled before, so what is measured is the way from the log
to the endpoint: reading, encoding, signing, sending. wrk posts one of these events, with headers of the same length,
again and again. Both are measured by the receiver, from its first to its last request. A receiver that answers at once
shows what the client costs; one that works on each request for some microseconds is nearer to a real one.
"""
import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import time

from measuring import machine_busy

CONFIGURATION = """\
name: bench
source:
  sqlite: {{path: bench.db}}
log: {{directory: log}}
{sinks}
"""

SINK = """\
sinks:
  hooks:
    webhook:
      url: http://127.0.0.1:{port}/hooks
      secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
      allow_private_addresses: true
      concurrency: {connections}
"""

LUA = """\
wrk.method = "POST"
wrk.body = [[{body}]]
wrk.headers["content-type"] = "application/cloudevents+json"
wrk.headers["webhook-id"] = "bench-0000000000000001-80000000"
wrk.headers["webhook-timestamp"] = "1795255200"
wrk.headers["webhook-signature"] = "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="
"""


class Receiver:
    def __init__(self, program, work):
        self.process = subprocess.Popen([program, str(work)], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def figures(self):
        """What came since the last time."""
        self.process.send_signal(signal.SIGUSR1)
        requests, size, span, cpu = map(int, self.process.stdout.readline().split())
        return {"requests": requests, "bytes": size, "rate": requests / (span / 1e6) if span else 0, "cpu": cpu / 1e6}

    def stop(self):
        self.process.kill()
        self.process.wait()


def configure(folder, sinks):
    with open(f"{folder}/millrace.yaml", "w", encoding="utf-8") as file:
        file.write(CONFIGURATION.format(sinks=sinks))


def fill(arguments, folder):
    """Makes a log with an event for each row, delivered nowhere."""
    print(f"filling a log with {arguments.events} events …", flush=True)
    os.makedirs(folder)
    subprocess.run(["sqlite3", f"{folder}/bench.db"], check=True, text=True, input=f"""
        PRAGMA journal_mode = WAL;
        CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INT, status TEXT, note TEXT);
        WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {arguments.events})
            INSERT INTO orders SELECT i, i % 977, 'paid', printf('%0100d', i) FROM n;""", stdout=subprocess.DEVNULL)
    configure(folder, "")
    subprocess.run([arguments.millrace, "run", "--until-caught-up"], cwd=folder, check=True, stderr=subprocess.DEVNULL)
    line = subprocess.run(
        f"{arguments.millrace} tail | head -n 1", shell=True, cwd=folder, check=True, capture_output=True, text=True)
    return line.stdout.strip()


def measured(receiver, command, folder):
    busy = machine_busy()
    before = os.times()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    client = after.children_user + after.children_system - before.children_user - before.children_system
    figures = receiver.figures()
    figures["client_cpu"] = client
    figures["other_cpu"] = machine_busy() - busy - client - figures["cpu"]
    return figures


def millrace(arguments, receiver, folder, connections):
    work = f"{folder}.run"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(folder, work)
    configure(work, SINK.format(port=receiver.port, connections=connections))
    figures = measured(receiver, [arguments.millrace, "run", "--until-caught-up"], work)
    if figures["requests"] < arguments.events:
        raise SystemExit(f"only {figures['requests']} of {arguments.events} events arrived")
    return figures


def wrk(arguments, receiver, folder, connections):
    return measured(receiver, [
        "wrk", "-t1", f"-c{connections}", f"-d{arguments.seconds}s", "-s", "post.lua",
        f"http://127.0.0.1:{receiver.port}/hooks"], folder)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--millrace", required=True)
    parser.add_argument("--receiver", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--json", required=True)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", default="16,64")
    parser.add_argument("--receiver-work", default="0,20", help="microseconds for each request")
    arguments = parser.parse_args()
    folder = f"{arguments.work}/bench"
    body = fill(arguments, folder)
    with open(f"{folder}/post.lua", "w", encoding="utf-8") as file:
        file.write(LUA.format(body=body))
    results = []
    print(f"body {len(body)} bytes; medians of {arguments.rounds} rounds")
    print("receiver µs  connections  client     requests/s   client CPU µs/request  other CPU s  ratio")
    for work in map(int, arguments.receiver_work.split(",")):
        for connections in map(int, arguments.connections.split(",")):
            runs = {"wrk": [], "millrace": []}
            receiver = Receiver(arguments.receiver, work)
            for _ in range(arguments.rounds):
                runs["wrk"].append(wrk(arguments, receiver, folder, connections))
                runs["millrace"].append(millrace(arguments, receiver, folder, connections))
            receiver.stop()
            rates = {name: statistics.median(run["rate"] for run in found) for name, found in runs.items()}
            for name, found in runs.items():
                each = statistics.median(run["client_cpu"] / max(run["requests"], 1) for run in found) * 1e6
                other = statistics.median(run["other_cpu"] for run in found)
                print(f"{work:11d}  {connections:11d}  {name:9s}  {rates[name]:10,.0f}  {each:21.1f}  {other:11.1f}"
                      f"  {rates[name] / rates['wrk']:5.2f}", flush=True)
            results.append({"receiver_us": work, "connections": connections, "runs": runs,
                            "ratio": rates["millrace"] / rates["wrk"]})
    with open(arguments.json, "w", encoding="utf-8") as file:
        json.dump({"time": time.time(), "body_bytes": len(body), "results": results}, file, indent=2)


main()
