"""What is measured, in which turns, and what is kept of it."""

import json
import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import field
import load
import peers
import report
from contender import Contender, Running, running

FIRST_PORT = 18080
ROWS = (1, 32, 1000)
TLS_SECONDS = 4
"""Length of a turn where only TLS makes the difference: it begins with new connections, and they are to be kept."""
AT_ONCE = 8
"""Requests with different rows by which answers are checked, before and after they are measured."""


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    rounds: int
    compared: int
    """Rounds at the number of connections at which contenders are compared: more, since targets are told by them."""
    paired: int
    """Rounds of two who differ by TLS alone, which is little, or by a second process, whose callers come by chance."""
    starts: int
    """How often it is measured how long a start takes."""
    seconds: float
    connections: tuple[int, ...]
    parts: tuple[str, ...]
    """What is measured: see `Benchmark.everything`."""
    rows: tuple[int, ...] = ROWS


OWN = ("base", "tls", "scaling", "training", "starts")
QUICK = Plan(rounds=3, compared=3, paired=1, starts=1, seconds=1, connections=(16,), parts=OWN)
FULL = replace(QUICK, compared=5, paired=15, starts=5, connections=(1, 16, 64), parts=("tree", *OWN, "peers"))


class Benchmark:
    """One run of the benchmark."""

    def __init__(self, project: field.Project, plan: Plan) -> None:
        self.project, self.plan = project, plan
        self.results: list[dict[str, Any]] = []
        """One for each contender, number of rows, connections and processes."""
        self.starts: list[dict[str, Any]] = []
        """Time to the first answer and memory of each contender."""
        self.absent: dict[str, str] = {}
        """Peers that could not be measured, and why."""
        self.until = float("inf")
        """When no further peer is begun, on the monotonic clock."""
        self._bodies = project.folder / "bodies"
        self._answers = project.folder / "answers"
        self._port = FIRST_PORT
        self._expected: dict[int, list[int]] = {}

    def prepare(self, **hyperparameters: str) -> None:
        """Train the model that everybody serves, and note what it says."""
        for folder in (self._bodies, self._answers):
            folder.mkdir(parents=True, exist_ok=True)
        wanted = [f"{name}={text}" for name, text in hyperparameters.items()]
        train = [self.project.python, "-m", self.project.package, "train", "--promote", "always", *wanted]
        environment = {**os.environ, **self.project.settings()}
        subprocess.run(  # noqa: S603 - our own command
            train, env=environment, cwd=self.project.folder, check=True, capture_output=True
        )
        for path in self._answers.glob("*"):
            path.unlink()
        with running(field.service(self.project), self.port(), self.project.folder) as it:
            for count in ROWS:
                rows = load.rows(count)
                body = it.contender.body(rows)
                answer = it.post(it.contender.path, body)
                (self._answers / f"{len(json.dumps(body))}.json").write_bytes(answer)
                self._expected[count] = json.loads(answer)["prediction"]
        self._confirm()

    def _confirm(self) -> None:
        """Make sure that the service says what the estimator says that it was exported from."""
        program = (
            "import joblib, json, sys\n"
            "rows = json.load(sys.stdin)\n"
            "print(json.dumps(joblib.load(sys.argv[1])['estimator'].predict_proba(rows).argmax(axis=1).tolist()))"
        )
        model = self.project.registry / "model.joblib"
        done = subprocess.run(  # noqa: S603 - our own command
            [self.project.python, "-c", program, str(model)],
            input=json.dumps(load.rows(max(ROWS))),
            capture_output=True,
            text=True,
            check=True,
        )
        if json.loads(done.stdout) != self._expected[max(ROWS)]:
            raise SystemExit("the service does not answer as its estimator does")

    def port(self) -> int:
        """Return a port that nobody has had yet."""
        self._port += 1
        return self._port

    def body(self, contender: Contender, count: int) -> Path:
        """Return the file with the bodies that ask a contender for so many rows, one a line and all of one size."""
        content = [json.dumps(contender.body(load.rows(count, number))) for number in range(load.DIFFERENT)]
        path = self._bodies / f"{contender.name.replace(' ', '-').replace('/', '-')}-{count}.jsonl"
        path.write_text("\n".join(content) + "\n", encoding="utf-8")
        return path

    def check(self, it: Running, count: int) -> None:
        """Make sure that a contender answers right.

        Raises:
            RuntimeError: it does not.

        """
        rows, expected = load.rows(count), self._expected[count]

        def is_right(turn: int) -> bool:
            found = it.ask(rows[turn:] + rows[:turn])
            return found is None or found == expected[turn:] + expected[:turn]

        with ThreadPoolExecutor(AT_ONCE) as threads:  # at once, because some answer several callers together
            if not all(threads.map(is_right, [turn % count for turn in range(AT_ONCE)])):
                raise RuntimeError(f"{it.contender.name} answers {count} rows wrongly")

    def together(
        self, group: str, runners: Sequence[Running], connections: Sequence[int], plan: Plan | None = None
    ) -> None:
        """Measure some who run, in turns."""
        plan = plan or self.plan
        for it in runners:
            it.load(self.body(it.contender, 1), report.CONNECTIONS, 1)  # to warm up
        for count in plan.rows:
            for clients in connections:
                rounds: list[dict[str, load.Measured]] = []
                for it in runners:
                    self.check(it, count)
                for number in range(plan.compared if clients == report.CONNECTIONS else plan.rounds):
                    turn = runners if number % 2 == 0 else runners[::-1]
                    bodies = {it: self.body(it.contender, count) for it in turn}
                    rounds.append({it.contender.name: it.load(bodies[it], clients, plan.seconds) for it in turn})
                for it in runners:
                    self.check(it, count)
                    self._note(group, it, count, clients, rounds)

    def _note(
        self, group: str, it: Running, count: int, clients: int, rounds: Sequence[dict[str, load.Measured]]
    ) -> None:
        """Keep the medians of what was measured, and the ratios to each of the others."""
        name = it.contender.name
        own = [one[name] for one in rounds]
        found = {key: statistics.median(getattr(one, key) for one in own) for key in ("rate", "p50", "p99", "cpu")}
        others = {
            other: statistics.median(one[name].rate / max(one[other].rate, 1e-9) for one in rounds)
            for other in rounds[0]
            if other != name
        }
        wrong = sum(one.wrong for one in own)
        place = {"group": group, "contender": name, "rows": count, "connections": clients}
        self.results.append({**place, **found, "wrong": wrong, "times": others, "rounds": [asdict(one) for one in own]})
        print(
            f"{group:12} {name:26} {count:5} rows {clients:3} connections {found['rate']:9.0f}/s  "
            f"p99 {found['p99']:7.2f} ms  {found['cpu']:8.1f} us" + (f"  {wrong} WRONG" if wrong else ""),
            flush=True,
        )

    def started(self, contenders: Sequence[Contender], times: int) -> None:
        """Measure in turns how long contenders take to their first answer, and what memory they need."""
        seconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
        memory: dict[str, dict[str, float]] = {}
        for _ in range(times):
            for contender in contenders:
                with running(contender, self.port(), self.project.folder) as it:
                    seconds[contender.name].append(it.start_seconds)
                    it.load(self.body(contender, 1), report.CONNECTIONS, 1)
                    memory[contender.name] = {"memory": it.memory(), "resident": it.resident()}
        for name, took in seconds.items():
            told = {"contender": name, "seconds": statistics.median(took), "least": min(took)}
            self.starts.append({**told, **memory[name]})
            print(f"{'start':12} {name:26} {told['seconds']:.2f} s, at least {told['least']:.2f}", flush=True)

    def run(self, contenders: Sequence[Contender], stack: ExitStack, workers: int = 1) -> list[Running]:
        """Start contenders, which run until the stack is closed."""
        folder = self.project.folder
        return [stack.enter_context(running(one, self.port(), folder, workers=workers)) for one in contenders]

    def base(self, *, with_seed: bool = True, group: str = "HTTP") -> None:
        """Measure the service beside its limit, bare inference and its origin."""
        project = self.project
        field_ = [field.limit(project, self._answers), field.bare(project), field.service(project)]
        field_ += [field.service_over_https(project)]
        field_ += [field.seed(project)] if with_seed else []
        with ExitStack() as stack:
            self.together(group, self.run(field_, stack), self.plan.connections)

    def tls(self) -> None:
        """Measure what TLS costs on connections that are kept."""
        plan = replace(self.plan, rows=(1,), compared=self.plan.paired, seconds=TLS_SECONDS)
        with ExitStack() as stack:
            both = [field.service(self.project), field.service_over_https(self.project)]
            self.together("TLS", self.run(both, stack), (report.CONNECTIONS,), plan)

    def scaling(self) -> None:
        """Measure the service with one process and with two."""
        one = field.service(self.project)
        two = replace(one, name="service, 2 processes")
        plan = replace(self.plan, compared=self.plan.paired)
        with ExitStack() as stack:
            runners = [*self.run([one], stack), *self.run([two], stack, workers=2)]
            self.together("processes", runners, (report.CONNECTIONS,), plan)

    def while_training(self) -> None:
        """Measure in turns what callers wait while a training runs, and while none does."""
        for contender in (field.service_over_https(self.project, with_worker=True), field.seed(self.project)):
            with ExitStack() as stack:
                (it,) = self.run([contender], stack)
                self.check(it, 1)
                body = self.body(contender, 1)
                it.load(body, report.CONNECTIONS, 1)
                it.rest()
                idle, busy = [], []
                for _ in range(self.plan.compared):
                    idle.append(it.load(body, report.CONNECTIONS, 1).p99)
                    it.post(contender.train, contender.training)
                    time.sleep(2.0)  # until it is at it: a worker starts a process for it
                    busy.append(it.load(body, report.CONNECTIONS, 1).p99)
                    it.rest()
                self._note_training(contender.name, idle, busy)

    def _note_training(self, name: str, idle: Sequence[float], busy: Sequence[float]) -> None:
        ratio = statistics.median(then / before for before, then in zip(idle, busy, strict=True))
        found = {"idle": statistics.median(idle), "training": statistics.median(busy), "ratio": ratio}
        self.results.append(
            {"group": "training", "contender": name, "rows": 1, "connections": report.CONNECTIONS, **found}
        )
        print(f"{'training':12} {name:26} p99 {found['idle']:.2f} ms, while training {found['training']:.2f} ms")

    def beside(self, peer: Contender) -> None:
        """Measure a peer in turns with the service."""
        with ExitStack() as stack:
            runners = self.run([field.service(self.project), peer], stack)
            self.together(peer.name, runners, (report.CONNECTIONS,))
        self.started([peer], 1)

    def peers(self, environments: Path, names: Sequence[str]) -> None:
        """Measure the peers, each in an environment of its own; note who cannot be, and for whom no time is left."""
        for name, why, make in peers.field_of(self.project, environments, names):
            if make is None:
                self.absent[name] = why
                print(f"{name}: {why}", flush=True)
                continue
            for peer in make:
                if time.monotonic() > self.until:
                    self.absent[peer.name] = "no time was left for it in this run"
                    continue
                try:
                    self.beside(peer)
                except (RuntimeError, subprocess.SubprocessError, OSError) as error:
                    self.absent[peer.name] = str(error).splitlines()[0][:200]
                    print(f"{peer.name} cannot be measured: {error}"[:1500], flush=True)

    def everything(self, environments: Path, names: Sequence[str]) -> None:
        """Measure what the plan says."""
        project, parts = self.project, self.plan.parts
        if "tree" in parts:
            self.prepare(gradient_boosting="false")
            plan, self.plan = self.plan, QUICK
            self.base(with_seed=False, group="one tree")
            self.plan = plan
        self.prepare(gradient_boosting="true")
        if "base" in parts:
            self.base()
        if "tls" in parts:
            self.tls()
        if "scaling" in parts:
            self.scaling()
        if "starts" in parts:
            https = field.service_over_https(project)
            beside = replace(field.service_over_https(project, with_worker=True), name="service over HTTPS, and worker")
            contenders = [field.libraries(project), field.service(project), https, beside, field.seed(project)]
            self.started(contenders, self.plan.starts)
        if "peers" in parts:
            self.peers(environments, names)
        if "training" in parts:
            self.while_training()  # last: what it trains may serve from then on, and answer otherwise
