"""Commands in a world that fails on request: see tests/faults.c, which does the failing.

A command runs once untouched, which tells what requests it makes, from where, and what comes of it.
Then it runs again for each of them, with that one refused. CI takes the first one from each place:
a place is a stack of functions, so a loop's thousandth request comes from where its first did.
--all, or FAULTS_ALL=1 in the environment, takes all; of demonstrations that repeat themselves
thousands of times it takes the first two and the last from each place.
"""

import functools
import json
import os
import queue
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import digits
from digits import BAD_DATA, BAD_MODEL, DONE, FAILED

LIBRARY = os.environ.get("FAULTS_LIBRARY")
ALL = bool(os.environ.get("FAULTS_ALL"))
JOBS = len(os.sched_getaffinity(0))  # runs at a time

MODEL, LOG, CHECKPOINT = "model.safetensors", "log.jsonl", "run.checkpoint"
TRAIN = ["train", "--data", "data", "--hidden", 2, "--epochs", 2]


@dataclass
class Case:
    """A command, what it reads and what it may change; all names are relative."""

    arguments: list
    reads: dict = field(default_factory=dict)  # path: exit codes when it cannot be read
    code: int = DONE
    before: tuple = ()  # what leaves old files to be replaced: commands, functions of the folder
    env: dict = field(default_factory=dict)
    long: bool = False  # repeats itself so often that even --all takes some from each place

    def __str__(self):
        return " ".join(map(str, self.arguments))


DATA = {"data/": (BAD_DATA,)}
READS = {MODEL: (BAD_MODEL,), **DATA}
NEW_MODEL = {MODEL: (BAD_MODEL, FAILED)}  # one is read, and one of the same name written elsewhere

PHOTOS = {name: (BAD_DATA,) for name in ("photo.jpg", "turned.jpg", "photo.ppm")}

RESUME = [*TRAIN, "--log", LOG, "--checkpoint", CHECKPOINT, "--resume", CHECKPOINT]

LONG = ("activations", "approximate", "descent", "dropout", "numeric", "vanishing", "xor")

OLD_MODEL = (*TRAIN, "--seed", 7, "--log", LOG)



def claim_another_seed(folder):
    """Makes the model one that training does not come to."""
    header, tensors = digits.read_model(folder / MODEL)
    header["__metadata__"]["seed"] = "2"
    digits.write_model(folder / MODEL, header, tensors)


COMMANDS = [
    Case([*TRAIN, "--log", LOG, "--patience", 1, "--dropout", 0.1], DATA, before=(OLD_MODEL,)),
    Case([*TRAIN, "--json", "--quiet", "--validation", 0, "--out", "new"], DATA),
    Case([*TRAIN, "--checkpoint", CHECKPOINT, "--every", 1, "--quiet"], DATA,
         before=([*TRAIN, "--seed", 7, "--checkpoint", CHECKPOINT],)),
    Case([*RESUME, "--epochs", 3], {**DATA, CHECKPOINT: (BAD_MODEL, FAILED)},
         before=([*TRAIN, "--log", LOG, "--checkpoint", CHECKPOINT],)),
    Case(["eval", "--data", "data"], READS,
         before=([*TRAIN, "--seed", 7], ["eval", "--data", "data"], [*TRAIN, "--seed", 8])),
    Case(["eval", "--data", "data", "--no-errors", "--json"], READS, before=([*TRAIN],)),
    Case(["predict", "data/t10k-images-idx3-ubyte.gz", "--first", 3, "--show"], READS,
         before=([*TRAIN],)),
    Case(["predict", "one.png", "two.png", "--json"],
         {**READS, "one.png": (BAD_DATA,), "two.png": (BAD_DATA,)}, before=([*TRAIN],)),
    Case(["predict", "photo.png", "--show", "--save", "seen"], {**READS, "photo.png": (BAD_DATA,)},
         before=([*TRAIN],)),
    Case(["predict", "photo.jpg", "turned.jpg", "photo.ppm", "--json"], {**READS, **PHOTOS},
         before=([*TRAIN],)),
    Case(["predict", "photo.jpg", "--json", "--pixels"], {**READS, **PHOTOS}, before=([*TRAIN],),
         long=True),
    Case(["predict", "photo.jpg", "--prepare", "never"], {**READS, **PHOTOS}, code=BAD_DATA,
         before=([*TRAIN],)),
    Case(["inspect", MODEL], {MODEL: (BAD_DATA, BAD_MODEL)}, before=([*TRAIN],)),
    Case(["inspect", "--json", MODEL], {MODEL: (BAD_DATA, BAD_MODEL)}, before=([*TRAIN],)),
    Case(["inspect", "data/train-images-idx3-ubyte.gz"], READS),
    Case(["inspect", "--json", "data/t10k-labels-idx1-ubyte.gz"], READS),
    Case(["report", "--data", "data", "--log", LOG], {**READS, LOG: (BAD_DATA,)},
         before=([*TRAIN, "--seed", 7], ["report", "--data", "data"], [*TRAIN, "--log", LOG])),
    Case(["synth", "--out", "drawn", "--train", 5, "--test", 5, "--sheet", "sheet.png"],
         before=(["synth", "--out", "drawn", "--train", 4, "--test", 4, "--seed", 7,
                  "--sheet", "sheet.png"],)),
    Case(["reproduce", MODEL, "--data", "data"], {**READS, **NEW_MODEL}, before=([*TRAIN],)),
    Case(["reproduce", "--json", MODEL, "--data", "data"], {**READS, **NEW_MODEL},
         before=([*TRAIN],)),
    *(Case(["reproduce", *how, MODEL, "--data", "data"], {**READS, **NEW_MODEL}, code=FAILED,
           before=([*TRAIN], claim_another_seed)) for how in ([], ["--json", "--quiet"])),
    Case(["help"]),
    Case(["help", "demo"]),
    Case(["train", "--help"]),
    Case(["train", "--hidden", "4,4", "--dropuot", 1], code=digits.USAGE),
    Case(["eval", "--version"]),
    Case(["--version"]),
    Case(["--man"]),
    Case(["--completion"]),
    Case(["tarin"], code=digits.USAGE),
    Case(["demo"]),
    *(Case(["demo", name, "--data", "data", "--out", "pictures"], DATA)
      for name in ("backprop", "graph", "linear", "perceptron", "steps")),
    *(Case(["demo", name, "--data", "data", "--json"], DATA)
      for name in ("backprop", "graph", "linear", "perceptron", "steps")),
    *(Case(["demo", name, "--data", "data", "--out", "pictures"], DATA, long=True)
      for name in LONG),
    *(Case(["demo", name, "--data", "data", "--json"], DATA, long=True) for name in LONG),
]


# ---- the stage ----------------------------------------------------------------------------


@functools.lru_cache(maxsize=500)
def steady(content):
    """What a file or a stream holds, but for the time that something took."""
    content = re.sub(rb'"(\w*seconds?|times_faster)":\s*[-+.0-9e]+', rb'"\1":0', content)
    content = re.sub(rb"(?m)^time .*", b"time", content)
    content = re.sub(rb"(?m)^( *\d+/\d+ .*\S) +[\d,]+ +\d+:\d\d$", rb"\1", content)
    return re.sub(rb"in \d+:\d\d", b"in 0:00", content)


def tree(folder):
    """Each file's content, None for a folder."""
    found = {}
    for at, folders, files in os.walk(folder):
        start = os.path.relpath(at, folder) + "/" if at != str(folder) else ""
        found.update((start + name, None) for name in folders)
        for name in files:
            with open(os.path.join(at, name), "rb") as file:
                found[start + name] = file.read()
    return found


def restore(folder, now, wanted):
    """Makes a folder hold what it held."""
    for name in sorted(now, reverse=True):
        if name not in wanted:
            path = folder / name
            path.rmdir() if now[name] is None else path.unlink()
    for name, content in sorted(wanted.items()):
        if name not in now and content is None:
            (folder / name).mkdir()
        elif now.get(name) != content:
            (folder / name).write_bytes(content)


class Outcome:
    """How a run ended, and what it left behind."""

    def __init__(self, completed, files, report):
        self.code = completed.returncode
        self.out = steady(completed.stdout)
        self.err = steady(completed.stderr).decode(errors="replace")
        self.files = {name: content and steady(content) for name, content in files.items()}
        self.report = report

    def lines(self, word):
        """What the report says of calls, failed ones, leaks."""
        return [line.split(" ", 4)[1:] for line in self.report if line.startswith(word + " ")]

    def is_as(self, good):
        """Whether it says that it ended as it should. Exit code 1 may be that of a failure."""
        return self.code == good.code and (self.code != FAILED or self.err == good.err)

    def places(self):
        """The numbers of the calls that come from each place, in their order."""
        places = {}
        for n, stack, *_ in self.lines("call"):
            places.setdefault(stack, []).append(int(n))
        return places.values()


class Stage:
    """A folder with data, pictures and what earlier runs left there."""

    def __init__(self, case):
        self.case = case
        self.folder = Path(tempfile.mkdtemp(prefix="digits-faults-"))
        self.report = self.folder.with_suffix(".report")
        shutil.copytree(tiny_data(), self.folder / "data")
        for name, ink in (("one.png", 90), ("two.png", 200)):
            (self.folder / name).write_bytes(digits.png(bytes([0, ink] * 392), 28, 28))
        for name, content in photographs().items():
            (self.folder / name).write_bytes(content)
        for step in case.before:
            step(self.folder) if callable(step) else self.start(step, None, check=True)
        self.now = self.before = tree(self.folder)

    def start(self, arguments, plan, **options):
        env = digits.environment(self.folder, LC_ALL="C", TMPDIR=self.folder, **self.case.env)
        if plan:
            env.update(LD_PRELOAD=LIBRARY, FAULTS=plan, FAULTS_REPORT=str(self.report))
        return subprocess.run([str(digits.PROGRAM), *map(str, arguments)], cwd=self.folder, env=env,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=300, **options)

    def run(self, plan):
        restore(self.folder, self.now, self.before)
        self.report.unlink(missing_ok=True)
        completed = self.start(self.case.arguments, plan)
        self.now = tree(self.folder)
        report = self.report.read_text().splitlines() if self.report.exists() else []
        return Outcome(completed, self.now, report)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.report.unlink(missing_ok=True)


@functools.lru_cache(maxsize=None)
def tiny_data():
    """So few digits that a run takes milliseconds."""
    digits.run_checked("synth", "--out", "tiny", "--train", 24, "--test", 12)
    return digits.shared() / "tiny"


@functools.lru_cache(maxsize=None)
def photographs():
    """Two sevens on grey paper, which is darker to the right and below."""
    rows = ["..............",
            ".####....####.",
            "....#.......#.",
            "...#.......#..",
            "..#.......#...",
            ".............."]
    columns = len(rows[0])
    small = [(40 if mark == "#" else 220) - 3 * x - 2 * y
             for y, row in enumerate(rows) for x, mark in enumerate(row)]
    width, height = 8 * columns, 8 * len(rows)
    large = bytes(small[y // 8 * columns + x // 8] for y in range(height) for x in range(width))
    coloured = bytes(value * share // 8 for value in large for share in (8, 7, 6))
    blocks = [value - 128 for value in small]
    return {"photo.png": digits.png(coloured, width, height, colour=2),
            "photo.ppm": f"P6 {width} {height} 255\n".encode() + coloured,
            "photo.jpg": digits.jpeg(blocks, columns, progressive=True),
            "turned.jpg": digits.jpeg(blocks, columns, orientation=6)}


# ---- what must hold -----------------------------------------------------------------------


def points(case, good):
    """Which of a command's calls are refused."""
    if ALL and not case.long:
        return sorted(n for place in good.places() for n in place)
    if ALL:
        return sorted({n for place in good.places() for n in (*place[:2], place[-1])})
    firsts = sorted(place[0] for place in good.places())
    return firsts[::max(1, len(firsts) // 2)] if case.long else firsts


def broken_promises(good, bad, before):
    """What a run must never do, whatever fails; an empty list if it did nothing of it."""
    wrong = []
    cleaning_failed = any(line[1] in ("unlink", "rmdir") for line in bad.lines("failed"))
    if bad.code < 0 or not bad.report:
        return [f"ended by signal {-bad.code}" if bad.code < 0 else "ended without cleaning up"]
    wrong += [f"lost {line}" for line in bad.report if line.startswith(("leak ", "open "))]
    if bad.is_as(good):
        wrong += [] if bad.out == good.out else ["printed something else, and says all is well"]
        wrong += [f"left {name} otherwise, and says all is well"
                  for name in sorted({*good.files, *bad.files})
                  if bad.files.get(name, "") != good.files.get(name, "")
                  and not (cleaning_failed and is_temporary(name))]
        return wrong
    for name, content in bad.files.items():
        whole = (before.get(name, ""), good.files.get(name, ""))
        if name == LOG and is_log(content):
            continue  # it grows line by line, and its last line says how it ended
        if name == CHECKPOINT and is_checkpoint(content):
            continue  # there are several in a run
        if content not in whole and not (cleaning_failed and is_temporary(name)):
            wrong.append(f"left {name}, neither the old one nor the new one")
    wrong += [f"lost the file {name}" for name in before
              if name in good.files and name not in bad.files]
    return wrong


def is_log(content):
    """Whether each line is there to its end."""
    lines = content.split(b"\n")
    return lines.pop() == b"" and all(isinstance(json.loads(line), dict) for line in lines)


def is_checkpoint(content):
    """Whether a file holds a whole checkpoint, at whatever batch it was written."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + length])
    return int(header["__metadata__"]["crc32"], 16) == zlib.crc32(content[8 + length:])


def is_temporary(name):
    return re.search(r"(^|/)(\.nnlib-|digits-\w{6}(/|$))", name) is not None


class FaultTest(unittest.TestCase):
    """Runs every command with every call refused in turn."""

    runs = 0

    @classmethod
    def tearDownClass(cls):
        print(f"{cls.runs} runs with failing {cls.kind}", file=sys.stderr)

    def untouched(self, case, stage):
        """What comes of a case when nothing fails; twice the same."""
        good, again = (stage.run(f"{self.kind} 0 once 0") for _ in range(2))
        self.assertEqual(good.code, case.code, good.err)
        self.assertEqual(broken_promises(good, again, {}), [], "undisturbed")
        self.assertEqual(len(good.lines("call")), len(again.lines("call")), "undisturbed")
        return good

    def each_outcome(self, stages, plans):
        """Runs a case for each plan, on several stages at a time; yields plans and outcomes."""
        free = queue.SimpleQueue()
        for stage in stages:
            free.put(stage)

        def outcome(plan):
            stage = free.get()
            try:
                return plan, stage.run(plan)
            except subprocess.TimeoutExpired:
                return plan, None
            finally:
                free.put(stage)

        with ThreadPoolExecutor(len(stages)) as pool:
            yield from pool.map(outcome, plans)

    def check(self, case, plans):
        """Runs a case for each plan of plans(untouched run); collects all that is wrong, so that
        one run shows it."""
        wrong = {}
        stages = [Stage(case) for _ in range(JOBS)]
        for stage in stages:
            self.addCleanup(stage.close)
        good = self.untouched(case, stages[0])
        before = {name: content and steady(content) for name, content in stages[0].before.items()}
        for plan, bad in self.each_outcome(stages, plans(good)):
            type(self).runs += 1
            self.assertIsNotNone(bad, f"{case}: hangs with FAULTS='{plan}'")
            for text in (*broken_promises(good, bad, before), *self.judge(case, plan, good, bad)):
                wrong.setdefault(text, []).append((plan, bad))
        if wrong:
            self.fail("\n".join([f"{case}"] + [self.tell(text, *where)
                                               for text, where in wrong.items()]))

    @staticmethod
    def tell(text, first, *others):
        plan, bad = first
        failed = "; ".join(" ".join(line) for line in bad.lines("failed")[:3])
        return (f"FAULTS='{plan}' and {len(others)} others: {text}\n"
                f"  exit code {bad.code}; failed: {failed}\n  stderr: {bad.err.strip()[:600]}")


def add_cases(test_class):
    """Gives a class one test a command."""
    for case in COMMANDS:
        name = "test_" + re.sub(r"\W+", "_", str(case))
        name += "_again" if hasattr(test_class, name) else ""  # with other files before
        assert not hasattr(test_class, name), name
        setattr(test_class, name, functools.partialmethod(test_class.run_case, case))
    return unittest.skipUnless(LIBRARY, "needs FAULTS_LIBRARY, which presets without "
                                        "sanitizers build")(test_class)


def main():
    """As unittest.main, and knows --all."""
    global ALL
    if "--all" in sys.argv:
        sys.argv.remove("--all")
        ALL = True
    unittest.main()
