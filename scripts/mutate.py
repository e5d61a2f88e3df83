#!/usr/bin/env python3
"""usage: scripts/mutate.py [--sample N] [--seed S] [--list] [FILE...]

Do the tests find bugs? Changes one operator, constant, result code or call of the sources at a
time, compiles that file, links it with the unit tests that are for it, and runs them. A mutant is
killed if a test fails, crashes or takes too long. Prints a table, and each survivor. For some,
scripts/mutants.txt says why no such test can kill them; the share of the killed leaves these out.
Of a sample, the share is printed with the interval that holds the share of all mutants with a
probability of 95 % (Wilson 1927). Exit code 1 if it is below 90 %.

  --sample N   N mutants only, drawn from those of all files, each as likely as any other
  --seed S     draw others; 1 without it
  --list       print the mutants and stop
  FILE         sources to change; without it, all that have tests of their own for it

A mutant may write anywhere. The tests run in a folder of their own that is removed in the end; if
root runs this, as nobody, so that no device can be replaced.
"""

import argparse
import math
import os
import random
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
BUILD = TOP / "build" / "mutate"
NOBODY = 65534
CPU_SECONDS = 20  # a process of the tests that works longer is in an endless loop
PATIENCE = 20     # so is a program that takes so many times as long as with the unchanged source

# The programs that test a source, the quickest and likeliest to notice first.
TESTS = {
    "nnlib/idx.c": ["test_idx", "test_data"],
    "nnlib/data.c": ["test_data"],
    "nnlib/safetensors.c": ["test_model", "test_checkpoint"],
    "nnlib/model.c": ["test_model"],
    "nnlib/checkpoint.c": ["test_checkpoint"],
    "nnlib/meta.c": ["test_meta", "test_model"],
    "nnlib/utf8.c": ["test_utf8", "test_model"],
    "nnlib/sgd.c": ["test_sgd", "test_train", "test_fpenv"],
    "nnlib/backprop.c": ["test_backprop", "test_train", "test_team", "test_fpenv", "digest"],
    "nnlib/loss.c": ["test_loss", "test_backprop"],
    "nnlib/act.c": ["test_act"],
    "nnlib/eval.c": ["test_eval", "test_fpenv"],
    "nnlib/gradcheck.c": ["test_gradcheck", "test_fpenv"],
    "nnlib/graph.c": ["test_graph", "test_fpenv"],
    "nnlib/ink.c": ["test_ink"],
    "nnlib/net.c": ["test_net", "test_train"],
    "nnlib/perceptron.c": ["test_perceptron", "test_fpenv"],
    "nnlib/rng.c": ["test_rng", "digest"],
    "nnlib/team.c": ["test_team"],
    "nnlib/kernels/pixels.h": ["test_kernels", "digest"],
    "nnlib/kernels/gemm.h": ["test_kernels", "digest"],
    "nnlib/kernels/vector.h": ["test_kernels", "digest"],
    "nnlib/kernels/portable.h": ["test_kernels", "test_backprop", "digest"],
    "nnlib/train.c": ["test_train", "test_checkpoint", "test_fpenv", "test_team"],
    "nnlib/file.c": ["test_file"],
    "app/deflate.c": ["test_png"],
    "app/png.c": ["test_png"],
    "app/picture/image.c": ["test_image"],
    "app/picture/image_png.c": ["test_image"],
    "app/picture/image_jpeg.c": ["test_image"],
    "app/picture/image_pnm.c": ["test_image"],
}
ARGUMENTS = {"digest": ["-t", "2", str(TOP / "tests/golden/digest.txt")]}
# What is compiled instead, because it includes the source.
INCLUDED_BY = {"nnlib/file.c": "tests/fixtures.c",
               **{f"nnlib/kernels/{name}.h": "nnlib/kernels/avx512.c"
                  for name in ("pixels", "gemm", "vector", "portable")}}

# ---- mutants ------------------------------------------------------------------------------

TOKEN = re.compile(r"""
    (?P<skip>/\*.*?\*/|//[^\n]*|\#(?:[^\n\\]|\\.)*|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\s+)
  | (?P<number>(?:0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*(?:[pP][+-]?\d+)?|\d+\.?\d*(?:[eE][+-]?\d+)?)[uUlLfF]*)
  | (?P<word>[A-Za-z_]\w*)
  | (?P<sign><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)
""", re.VERBOSE | re.DOTALL)

BINARY = {"+": "-", "-": "+", "*": "/", "/": "*", "%": "*", "<": "<=", "<=": "<", ">": ">=",
          ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&", "&": "|", "|": "&", "^": "|",
          "<<": ">>", ">>": "<<", "+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=", "|=": "&=",
          "&=": "|=", "^=": "|=", "++": "--", "--": "++"}
WORDS = {"true": "false", "false": "true", "NN_OK": "NN_ERR_ARGUMENT", "NN_ERR_IO": "NN_ERR_DATA",
         "NN_ERR_DATA": "NN_ERR_IO", "NN_ERR_MODEL": "NN_ERR_IO", "NN_ERR_MEMORY": "NN_ERR_IO",
         "NN_ERR_ARGUMENT": "NN_ERR_IO", "NN_ERR_DIVERGED": "NN_ERR_IO",
         "NN_ERR_STOPPED": "NN_ERR_IO"}
CALL = re.compile(r"^ {4,}(?:\(void\))?(?!return\b|if\b|for\b|while\b|switch\b|sizeof\b)"
                  r"[a-z]\w*(?:->\w+)*\(.*\);$")
DECLARATION = re.compile(r"^ *(?:static |const |struct |enum )*(?:[a-z]\w*_t|nn_\w+|char|bool|int|"
                         r"unsigned|float|double|void|size_t|struct \w+) \*")


KEYWORDS = {"return", "sizeof", "case", "else", "const", "char", "void", "bool", "double", "float",
            "int", "unsigned", "uint8_t", "uint32_t", "uint64_t", "size_t", "nn_real"}


def tokens(text):
    return [(m.lastgroup, m.group(), m.start()) for m in TOKEN.finditer(text)
            if m.lastgroup != "skip"]


def is_operand(token):
    kind, text, _ = token
    return text not in KEYWORDS and (kind in ("number", "word") or text in (")", "]"))


def other_numbers(text):
    if re.fullmatch(r"\d+[uUlL]*", text):
        value, end = int(re.match(r"\d+", text).group()), text.lstrip("0123456789")
        return [f"{n}{end}" for n in (value + 1, value - 1) if n >= 0]
    return [f"({text} + 1)"]


def changes_of(text, found, k):
    """What stands in the place of the k-th token, in turn."""
    kind, token, at = found[k]
    before = found[k - 1] if k > 0 else ("sign", ";", 0)
    if kind == "number":
        return other_numbers(token)
    if kind == "word":
        return [WORDS[token]] if token in WORDS else []
    if token == "!":
        return [""]
    if token in ("++", "--"):
        return [BINARY[token]]
    line = text[text.rfind("\n", 0, at) + 1:].split("\n", 1)[0]
    if token in BINARY and is_operand(before) and not (token == "*" and DECLARATION.match(line)):
        return [BINARY[token]]
    return []


def mutants_of(source):
    """(line number, line, changed line, whole changed text) for each mutant of a source."""
    text = (TOP / source).read_text()
    found, result = tokens(text), []
    for k, (_, token, at) in enumerate(found):
        for change in changes_of(text, found, k):
            result.append((at, text[:at] + change + text[at + len(token):]))
    at = 0
    for line in text.split("\n"):
        if CALL.match(line):
            result.append((at, text[:at] + text[at + len(line):]))
        at += len(line) + 1
    return [describe(text, at, changed) for at, changed in sorted(result)]


def describe(text, at, changed):
    number = text.count("\n", 0, at)
    old, new = text.split("\n")[number].strip(), changed.split("\n")[number].strip()
    return number + 1, old, new or "(nothing)", changed


# ---- building -----------------------------------------------------------------------------


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, **options)


def ninja_commands(target):
    return run(["ninja", "-C", str(BUILD), "-t", "commands", target], check=True).stdout.splitlines()


class Program:
    """A test program: how to link it with a changed object, and what it has killed before."""

    def __init__(self, name):
        link = ninja_commands(f"tests/{name}")[-1]
        words = shlex.split(link.split("&&")[1])
        self.name, self.output = name, words.index("-o") + 1
        self.words = words
        self.seconds = None  # that it takes with the unchanged source
        self.killers = []    # the tests that failed last, the latest first

    def link(self, changed, replaced, output):
        words = list(self.words)
        words[self.output] = str(output)
        if replaced:
            words = [str(changed) if word.endswith(replaced + ".o") else word for word in words]
        else:
            words.insert(self.output + 1, str(changed))  # before the library that has the old one
        return run(words, cwd=BUILD).returncode == 0


class Source:
    """A source: how to compile a changed text of it, in a copy of all sources."""

    def __init__(self, path, work):
        self.path, self.tree = path, work / "tree"
        self.unit = INCLUDED_BY.get(path, path)
        target = f"tests/{TESTS[path][0]}"
        lines = [line for line in ninja_commands(target) if f"{TOP / self.unit}" in line]
        self.command = shlex.split(lines[0])
        for folder in ("app", "nnlib", "tests"):
            shutil.copytree(TOP / folder, self.tree / folder, dirs_exist_ok=True,
                            ignore=lambda _, names: [n for n in names if Path(n).suffix not in
                                                     ("", ".c", ".h")])

    def compile(self, text, output):
        original = str(TOP / self.unit)
        words = [str(self.tree / self.unit) if word == original else word for word in self.command]
        words[words.index("-o") + 1] = str(output)
        for flag in ("-MD", "-MT", "-MF"):
            while flag in words:
                at = words.index(flag)
                del words[at:at + (1 if flag == "-MD" else 2)]
        (self.tree / self.path).write_text(text)
        return run(words + ["-w"], cwd=BUILD).returncode == 0


# ---- running ------------------------------------------------------------------------------

KILLERS = 6  # how many of them are tried first
NOT_RUN = "Could not spawn test instance"  # what Criterion says where the machine is too busy
FAILED = re.compile(r"\[FAIL\] (\w+)::(\w+)")


def restrict():
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def command_of(binary, name, tests):
    """How to run a test program, or only some tests of it, as (suite, name)."""
    words = [str(binary), *ARGUMENTS.get(name, ["--jobs", "2", "--fail-fast"])]
    if tests:
        words += ["--filter", f"{tests[0][0]}/@({'|'.join(test for _, test in tests)})"]
    if os.geteuid() == 0:
        words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--", *words]
    return words


def run_tests(binary, name, play, tests, patience, tries=5):
    """Runs a test program in a new folder that nobody but the tests writes to. Whether it passes,
    and the tests that failed."""
    folder = Path(tempfile.mkdtemp(dir=play))
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(command_of(binary, name, tests), cwd=folder,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=messages, preexec_fn=restrict, start_new_session=True,
                                   env={**os.environ, "TMPDIR": str(folder), "HOME": str(folder)})
        try:
            passed = process.wait(timeout=patience) == 0
        except subprocess.TimeoutExpired:
            passed = False
        finally:
            try:
                os.killpg(process.pid, 9)
            except ProcessLookupError:
                pass
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)
        messages.seek(0)
        said = messages.read().decode(errors="replace")
    if not passed and NOT_RUN in said and tries > 1:
        return run_tests(binary, name, play, tests, patience, tries - 1)
    return passed, FAILED.findall(said)


def passes(program, binary, play):
    """Runs the tests that killed mutants before, for they may again, and then all of them."""
    patience = PATIENCE * program.seconds if program.seconds else 600
    begin, tries = time.monotonic(), [program.killers, []] if program.killers else [[]]
    for tests in tries:
        passed, failed = run_tests(binary, program.name, play, tests, patience)
        if not passed:
            program.killers = list(dict.fromkeys(failed + program.killers))[:KILLERS]
            return False
    program.seconds = program.seconds or time.monotonic() - begin
    return True


class Judge:
    def __init__(self, path, work, play):
        self.path, self.work, self.play = path, work, play
        self.source = Source(path, work)
        self.programs = [Program(name) for name in TESTS[path]]
        unit = self.source.unit
        self.replaced = Path(unit).name if unit.startswith("tests/") else None
        self.original = self.object_of((TOP / path).read_text())
        if self.original is None or not self.survives():
            sys.exit(f"{path}: the tests fail without any change")

    def object_of(self, text):
        output = self.work / "mutant.o"
        return output.read_bytes() if self.source.compile(text, output) else None

    def survives(self):
        for program in self.programs:
            output = self.play / program.name
            if not program.link(self.work / "mutant.o", self.replaced, output):
                return False
            os.chmod(output, 0o755)
            if not passes(program, output, self.play):
                return False
        return True

    def verdict(self, text):
        found = self.object_of(text)
        if found is None:
            return "not compiled"
        if found == self.original:
            return "same code"
        return "survived" if self.survives() else "killed"


# ---- the report ---------------------------------------------------------------------------

VERDICTS = ("not compiled", "same code", "killed", "survived")


def explanations():
    """{(file, old line, new line): why} from scripts/mutants.txt: four lines a mutant."""
    path = TOP / "scripts" / "mutants.txt"
    paragraphs = re.sub(r"(?m)^#.*\n", "", path.read_text()).strip().split("\n\n") \
        if path.exists() else []
    known = {}
    for paragraph in filter(None, paragraphs):
        file, old, new, *why = (line.strip() for line in paragraph.split("\n"))
        known[file, old.removeprefix("- "), new.removeprefix("+ ")] = " ".join(why)
    return known


def judge_file(path, mutants, work, play, known):
    judge, counts = Judge(path, work, play), dict.fromkeys((*VERDICTS, "explained"), 0)
    for number, old, new, text in mutants:
        verdict = judge.verdict(text)
        counts[verdict] += 1
        if verdict == "survived":
            why = known.get((path, old, new))
            counts["explained"] += why is not None
            print(f"{path}:{number}\n    - {old}\n    + {new}\n    {why or 'NOT EXPLAINED'}",
                  file=sys.stderr, flush=True)
    return counts


def wilson(k, n):
    """The ends of the 95 % interval of a share of which k of n were seen."""
    z = 1.959964
    middle, reach = k + z * z / 2, z * math.sqrt(k * (n - k) / n + z * z / 4)
    return (middle - reach) / (n + z * z), (middle + reach) / (n + z * z)


def print_row(name, counts):
    judged = counts["killed"] + counts["survived"] - counts["explained"]
    share = f"{100 * counts['killed'] / judged:.1f} %" if judged else "-"
    print(f"| {name} | " + " | ".join(str(counts[v]) for v in (*VERDICTS, "explained")) +
          f" | {share} |", flush=True)
    return counts["killed"] >= 0.9 * judged


def build(paths):
    programs = sorted({f"tests/{name}" for path in paths for name in TESTS[path]})
    subprocess.run(["cmake", "--preset", "dev", "-B", str(BUILD), "-DCMAKE_BUILD_TYPE=Debug",
                    "-DCMAKE_C_FLAGS_DEBUG=-O2", "-DBUILD_TESTING=ON"],
                   cwd=TOP, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", str(BUILD), *programs], check=True, stdout=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n")[0][7:], add_help=False)
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--help", action="store_true")
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    if options.help:
        sys.exit(print(__doc__))
    paths = options.files or list(TESTS)
    for path in paths:
        if path not in TESTS:
            parser.error(f"no tests are known for '{path}'")
    everything = [(path, mutant) for path in paths for mutant in mutants_of(path)]
    chosen = everything
    if options.sample is not None and options.sample < len(everything):
        drawn = random.Random(options.seed).sample(range(len(everything)), options.sample)
        chosen = [everything[k] for k in sorted(drawn)]
    by_file = {path: [mutant for of, mutant in chosen if of == path] for path in paths}
    if options.list:
        for path, mutants in by_file.items():
            for number, old, new, _ in mutants:
                print(f"{path}:{number}: {old}  =>  {new}")
        return
    build(paths)
    known, total = explanations(), dict.fromkeys((*VERDICTS, "explained"), 0)
    print("| file | not compiled | same code | killed | survived | of these explained | killed |\n"
          "|---|---:|---:|---:|---:|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory() as work, tempfile.TemporaryDirectory() as play:
        os.chmod(play, 0o755)
        for path, mutants in by_file.items():
            if not mutants:
                continue
            counts = judge_file(path, mutants, Path(work), Path(play), known)
            total = {key: total[key] + counts[key] for key in total}
            print_row(path, counts)
    good = print_row("all", total)
    judged = total["killed"] + total["survived"] - total["explained"]
    if len(chosen) < len(everything) and judged:
        low, high = wilson(total["killed"], judged)
        print(f"\n{len(chosen)} of {len(everything)} mutants, drawn with seed {options.seed}: killed "
              f"{total['killed']} of {judged}, 95 % interval {100 * low:.1f} to {100 * high:.1f} %")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
