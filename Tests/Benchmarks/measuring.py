"""What the benchmarks share: statements, and what a run of a program cost."""
import os
import subprocess
import time


def sql(statement):
    run = subprocess.run(["psql", "-XAtqc", statement], check=True, capture_output=True, text=True)
    return run.stdout.strip()


def ticks_of(pid):
    """User and system CPU seconds of a process, or None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(") ", 1)[1].split()
    except (OSError, IndexError):
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_of(pid):
    """The most memory that a process has had, in KiB: since its program began, unlike ru_maxrss, which begins with ours."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("VmHWM")), 0)
    except OSError:
        return 0


def machine_busy():
    with open("/proc/stat") as file:
        fields = [int(field) for field in file.readline().split()[1:]]
    return (sum(fields[:3]) + sum(fields[5:8])) / os.sysconf("SC_CLK_TCK")


def server_cpu():
    """CPU seconds of all processes of the server, those that ended too: the postmaster has waited for them."""
    with open(os.environ["MILLRACE_PGDATA"] + "/postmaster.pid") as file:
        postmaster = int(file.readline())
    with open(f"/proc/{postmaster}/stat") as file:
        fields = file.read().rsplit(") ", 1)[1].split()
    total = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    with open(f"/proc/{postmaster}/task/{postmaster}/children") as file:
        return total + sum(ticks_of(int(pid)) or 0 for pid in file.read().split())


def walsender():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if b"walsender" in file.read():
                    return int(pid)
        except OSError:
            pass
    return None


def measure(command, folder, output=subprocess.DEVNULL, watches_walsender=True):
    """Runs one client to its end. "other CPU" is what everything but client and server used."""
    busy, served, start = machine_busy(), server_cpu(), time.monotonic()
    process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.PIPE)
    sender, sender_cpu, peak = None, None, 0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        peak = max(peak, peak_of(process.pid))
        if watches_walsender:
            sender = sender or walsender()
            sender_cpu = sender and ticks_of(sender) or sender_cpu
        time.sleep(0.02)
    wall = time.monotonic() - start
    errors = process.stderr.read().decode()
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{command[0]} failed: {errors}")
    cpu = usage.ru_utime + usage.ru_stime
    served = server_cpu() - served
    other = machine_busy() - busy - cpu - served
    return {
        "seconds": wall, "cpu": cpu, "walsender_cpu": sender_cpu or 0, "server_cpu": served,
        "peak_mb": peak / 1024, "other_cpu": other}
