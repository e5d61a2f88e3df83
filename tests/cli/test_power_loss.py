#!/usr/bin/env python3
"""The power fails: whatever part of what was written has come to the disk, as far as POSIX lets it
come, model and checkpoint are the old one or the new one, whole, and the log tells all epochs that
the checkpoint counts. So is each file of a folder of mistakes, of a generated data set and of a
report; and what a command has left when it ends is there to stay.

strace records what the program asks of the system while it trains, is resumed and trains again,
evaluates, draws, reports. A model of a disk plays the record back; after each call it lists what a
crash may leave:

  - bytes that were written and not synced are there or not, block by block, in any combination, and
    so is the size that the file has grown to;
  - a name that was made, moved or removed, its folder not synced since, shows any of the files that
    it stood for since then; no name waits for another one;
  - a folder that was made, the one above it not synced since, is there or not.

That allows more than real file systems do. The same records without their calls of fsync must be
caught, or the test would be worth nothing.
"""

import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import digits
from digits import CliTest
from test_killed import is_whole_safetensors

CALLS = ("open,openat,creat,close,dup,dup2,dup3,write,pwrite64,pwritev,writev,sendfile,"
         "copy_file_range,fallocate,fsync,fdatasync,sync,syncfs,sync_file_range,rename,renameat,"
         "renameat2,unlink,unlinkat,truncate,ftruncate,mkdir,mkdirat,link,linkat,symlink,symlinkat")

MODEL, CHECKPOINT, LOG = "model.safetensors", "point", "log"


# ---- records ------------------------------------------------------------------------------


def text_of(quoted):
    """The bytes that strace -xx prints between quotes."""
    return bytes.fromhex(quoted.strip('"').replace("\\x", ""))


def record(folder, *command):
    """The calls that the program makes in a folder."""
    trace = f"/tmp/strace-{os.getpid()}"
    # LeakSanitizer cannot look on where strace does.
    env = digits.environment(folder, ASAN_OPTIONS="detect_leaks=0")
    try:
        subprocess.run(["strace", "-f", "-qq", "-xx", "-s", "10000000", "-o", trace, "-e",
                        f"trace={CALLS}", str(digits.PROGRAM), *map(str, command)], cwd=folder,
                       env=env, check=True, capture_output=True, stdin=subprocess.DEVNULL,
                       timeout=300)
        with open(trace, encoding="ascii") as file:
            text = re.sub(r"(?m)^\d+ +", "", file.read())
    finally:
        os.unlink(trace)
    assert "<unfinished" not in text
    return list(parse(text))


def parse(record):
    """The calls that succeeded: name, arguments as strings, result."""
    for line in record.splitlines():
        match = re.fullmatch(r'(\w+)\((.*)\) += (-?\d+)(?: .*)?', line)
        if match and not match[3].startswith("-"):
            yield match[1], re.findall(r'"[^"]*"|[^ ,][^,]*', match[2]), int(match[3])


# ---- a disk -------------------------------------------------------------------------------


class File:
    """Bytes that are safe, and pieces written since: (offset, bytes), or (size, None) for a cut."""

    def __init__(self, safe=b""):
        self.safe, self.pieces = safe, []

    def now(self):
        return self.after(self.pieces)

    def after(self, pieces, size=0):
        content = bytearray(self.safe)
        for offset, data in pieces:
            if data is None:
                del content[offset:]
                content.extend(bytes(offset - len(content)))
            else:
                content.extend(bytes(max(0, offset + len(data) - len(content))))
                content[offset:offset + len(data)] = data
        content.extend(bytes(max(0, size - len(content))))
        return bytes(content)

    def write(self, offset, data, block):
        at, last = offset, offset + len(data)
        while at < last:
            end = min(at + block - at % block, last)
            self.pieces.append((at, data[at - offset:end - offset]))
            at = end

    def possible(self):
        """What may be there after a crash: every combination of a few pieces; of many, the first
        ones, the last ones, all but one, and one alone."""
        n = len(self.pieces)
        if n <= 8:
            chosen = itertools.product((False, True), repeat=n)
        else:
            chosen = [[k < cut for k in range(n)] for cut in range(n + 1)]
            chosen += [[k >= cut for k in range(n)] for cut in range(n)]
            chosen += [[(k == one) == alone for k in range(n)]
                       for one in range(n) for alone in (False, True)]
        grown = len(self.now())
        for mask in chosen:
            pieces = list(itertools.compress(self.pieces, mask))
            yield self.after(pieces)
            yield self.after(pieces, grown)  # the size alone has come to the disk


class Disk:
    """The files of one folder, seen by a program that runs in `home`: that one, or the one above."""

    def __init__(self, folder, block, home=None):
        self.folder, self.block = str(folder), block
        self.home = str(home or folder)
        self.lasts = True  # the folder itself does
        self.safe = {}     # name -> File
        self.pending = {}  # name -> [File or None], since the folder was synced
        self.open = {}

    def path(self, at, name):
        """A name in the folder, or None if it is elsewhere."""
        base = self.home if at == "AT_FDCWD" else self.open.get(int(at))
        if not isinstance(base, str):
            return None
        path = os.path.normpath(os.path.join(base, text_of(name).decode()))
        return os.path.basename(path) if os.path.dirname(path) == self.folder else path

    def file(self, name):
        return (self.pending.get(name) or [self.safe.get(name)])[-1]

    def put(self, name, file):
        self.pending.setdefault(name, []).append(file)

    def play(self, name, arguments, result):
        play = getattr(self, f"play_{name}", None)
        assert play, f"{name} is not known here"
        play(arguments, result)

    def play_open(self, arguments, result):
        self.play_openat(["AT_FDCWD", *arguments], result)

    def play_openat(self, arguments, result):
        path, flags = self.path(*arguments[:2]), arguments[2].split("|")
        if path is None or os.path.isabs(path):
            self.open[result] = path  # a folder, or no concern of ours
            return
        if self.file(path) is None:
            assert "O_CREAT" in flags, path
            self.put(path, File())
        file = self.file(path)
        if "O_TRUNC" in flags:
            file.pieces.append((0, None))
        self.open[result] = [file, 0, "O_APPEND" in flags]

    def play_close(self, arguments, result):
        self.open.pop(int(arguments[0]), None)

    def play_write(self, arguments, result):
        place = self.open.get(int(arguments[0]))
        if isinstance(place, list):
            file, offset, append = place
            offset = len(file.now()) if append else offset
            file.write(offset, text_of(arguments[1])[:result], self.block)
            place[1] = offset + result

    def play_fsync(self, arguments, result):
        place = self.open.get(int(arguments[0]))
        if isinstance(place, list):
            place[0].safe, place[0].pieces = place[0].now(), []
        elif place == self.folder:
            for name in self.pending:
                self.safe[name] = self.file(name)
            self.pending = {}
        elif place == os.path.dirname(self.folder):
            self.lasts = True

    def play_mkdir(self, arguments, result):
        if self.path("AT_FDCWD", arguments[0]) == self.folder:
            self.lasts = False

    def play_renameat(self, arguments, result):
        old, new = self.path(*arguments[:2]), self.path(*arguments[2:4])
        self.put(new, self.file(old))
        self.put(old, None)

    def play_unlinkat(self, arguments, result):
        self.put(self.path(*arguments[:2]), None)

    def play_truncate(self, arguments, result):
        path = self.path("AT_FDCWD", arguments[0])
        self.file(path).pieces.append((int(arguments[1]), None))

    def play_ftruncate(self, arguments, result):
        self.open[int(arguments[0])][0].pieces.append((int(arguments[1]), None))

    def possible(self, name):
        """What a name may show after a crash; None: nothing."""
        if not self.lasts:
            yield None
        for file in {id(file): file for file in
                     [self.safe.get(name), *self.pending.get(name, [])]}.values():
            if file is None:
                yield None
            else:
                yield from file.possible()


# ---- what must hold -----------------------------------------------------------------------


class Violation(Exception):
    pass


def epochs_counted(checkpoint):
    header = json.loads(checkpoint[8:8 + int.from_bytes(checkpoint[:8], "little")])
    at = 8 + int.from_bytes(checkpoint[:8], "little") + header["epochs_done"]["data_offsets"][0]
    return int.from_bytes(checkpoint[at:at + 8], "little")


def epochs_told(log):
    """How many epochs the lines of a log tell, from the first on."""
    n = 0
    for line in (log or b"").split(b"\n")[1:]:
        if not line.startswith(b'{"event":"epoch","epoch":%d,' % (n + 1)) or line[-1:] != b"}":
            break
        n += 1
    return n


class Observer:
    """Looks at a disk after each call."""

    def __init__(self, disk):
        self.disk = disk
        self.states = 0
        self.seen = {}  # content -> whether it is whole

    def check_whole(self, name):
        """The epochs that each possible file counts; a missing one, 0."""
        counted = []
        for content in self.disk.possible(name):
            self.states += 1
            if content is None:
                counted.append(0)
                continue
            if content not in self.seen:
                self.seen[content] = is_whole_safetensors(content)
            if not self.seen[content]:
                raise Violation(f"{name} can be half a file")
            counted.append(epochs_counted(content) if name == CHECKPOINT else 0)
        return counted

    def check(self):
        self.check_whole(MODEL)
        counted = max(self.check_whole(CHECKPOINT))
        for content in self.disk.possible(LOG):
            self.states += 1
            if epochs_told(content) < counted:
                raise Violation("the log can lack epochs that the checkpoint counts")

    def check_end(self, contents):
        """After the program has ended, its results may not be lost any more."""
        for name, content in contents.items():
            if set(self.disk.possible(name)) != {content}:
                raise Violation(f"{name} can be lost though the program has ended")


def setUpModule():
    if not shutil.which("strace"):
        raise unittest.SkipTest("needs strace")
    with tempfile.NamedTemporaryFile() as trace:
        probe = subprocess.run(["strace", "-o", trace.name, "true"], capture_output=True)
    if probe.returncode != 0:
        raise unittest.SkipTest("strace may not be used here")


class Training(CliTest):
    RUNS = [("--epochs", 3, "--every", 5), ("--epochs", 5, "--resume", CHECKPOINT, "--every", 7)]

    def record(self):
        """For each run, the calls that the program made and what it left."""
        records = []
        for run in self.RUNS:
            calls = record(self.folder, "train", "--data", digits.small_data(), "--quiet",
                           "--batch", 50, "--checkpoint", CHECKPOINT, "--log", LOG, *run)
            records.append((calls, {
                name: (self.folder / name).read_bytes() for name in (MODEL, CHECKPOINT, LOG)}))
        return records

    def play(self, records, keep=lambda disk, call: True, block=4096):
        """Plays the records back, looking after each call; returns how many states were seen."""
        disk = Disk(self.folder, block)
        observer = Observer(disk)
        for calls, contents in records:
            disk.open = {}
            for call in calls:
                if keep(disk, call):
                    disk.play(*call)
                    observer.check()
            observer.check_end(contents)
        return observer.states

    def test_every_state_that_a_crash_may_leave_is_whole(self):
        records = self.record()
        for block in (512, 4096):
            self.assertGreater(self.play(records, block=block), 1000)
        disk = Disk(self.folder, 4096)
        for calls, _ in records:
            disk.open = {}
            for call in calls:
                disk.play(*call)
        for name in (MODEL, CHECKPOINT, LOG):  # the disk was played as it was
            self.assertEqual(disk.file(name).now(), (self.folder / name).read_bytes(), name)

    def test_a_writer_that_does_not_sync_is_caught(self):
        records = self.record()

        def synced(disk, call):
            return disk.open.get(int(call[1][0])) if call[0] == "fsync" else None

        def is_log(disk, call):
            place = synced(disk, call)
            return isinstance(place, list) and place[0] is disk.file(LOG)

        for what, keep in [
            ("half a file", lambda disk, call: call[0] != "fsync"),
            ("half a file", lambda disk, call: not isinstance(synced(disk, call), list) or
             is_log(disk, call)),
            ("the log can lack", lambda disk, call: not is_log(disk, call)),
            ("the log can lack", lambda disk, call: not isinstance(synced(disk, call), str)),
            ("be lost", lambda disk, call: not (isinstance(synced(disk, call), str) and
                                                MODEL in disk.pending)),
        ]:
            with self.subTest(what=what), self.assertRaisesRegex(Violation, what):
                self.play(records, keep)

    def test_a_writer_that_syncs_after_it_renames_is_caught(self):
        (calls, contents), _ = self.record()
        late = []
        for call in calls:  # moves each rename before the two calls that come before it
            late.insert(len(late) - 2 if call[0] == "renameat" else len(late), call)
        with self.assertRaisesRegex(Violation, "half a file"):
            self.play([(late, contents)])


MARKER = "GENERATED.txt"


class Results(CliTest):
    """What the other commands write, over what a former run has left."""

    def record(self, folder, *runs):
        """The records of commands that write to a folder, each with the files of the folder before
        and after it."""
        records = []
        files = {}
        for run in runs:
            calls = record(self.folder, *run)
            before, files = files, {path.name: path.read_bytes()
                                    for path in (self.folder / folder).iterdir() if path.is_file()}
            records.append((calls, before, files))
        return records

    def play(self, folder, records, keep=lambda disk, call: True):
        """Each file is the old one or the new one at any moment, and the new one at the end."""
        disk = Disk(os.path.normpath(self.folder / folder), 4096, home=self.folder)
        states = 0
        for calls, before, after in records:
            disk.open = {}
            for call in calls:
                if not keep(disk, call):
                    continue
                disk.play(*call)
                shown = {name: set(disk.possible(name)) for name in before.keys() | after.keys()}
                for name, contents in shown.items():
                    states += len(contents)
                    if not contents <= {before.get(name), after.get(name)}:
                        raise Violation(f"{name} can be half a file")
                if disk.lasts and None in shown.pop(MARKER, ()) and set().union(
                        *shown.values()) != {None}:
                    raise Violation("generated data can be without their marker")
            for name in before.keys() | after.keys():
                if set(disk.possible(name)) != {after.get(name)}:
                    raise Violation(f"{name} can be lost, or come back, though the program has ended")
        return states

    def check(self, folder, records):
        self.assertGreater(self.play(folder, records), 100)

        def place(disk, call):
            return disk.open.get(int(call[1][0])) if call[0] == "fsync" else None

        for what, keep in [
            ("half a file", lambda disk, call: not isinstance(place(disk, call), list)),
            ("can be (lost|without)", lambda disk, call: place(disk, call) != disk.folder),
        ]:
            with self.subTest(what=what), self.assertRaisesRegex(Violation, what):
                self.play(folder, records, keep)
        if folder != ".":
            above = str(self.folder)
            with self.assertRaisesRegex(Violation, "can be lost"):
                self.play(folder, records, lambda disk, call: place(disk, call) != above)

    def test_a_folder_of_mistakes(self):
        evaluate = ("eval", "--data", digits.small_data(), "--model", digits.small_model())
        records = self.record("errors", evaluate, (*evaluate, "--set", "train"), evaluate)
        self.assertGreater(len(records[0][2].keys() - records[1][2].keys()), 3)  # some are removed
        self.check("errors", records)

    def test_generated_data(self):
        draw = ("synth", "--quiet", "--out", "made", "--train", 20, "--test", 10)
        records = self.record("made", draw, (*draw, "--seed", 2))
        self.assertEqual(len(records[1][2]), 5)
        self.check("made", records)

    def test_a_report(self):
        report = ("report", "--quiet", "--data", digits.small_data(), "--model",
                  digits.small_model(), "--out", "report.html")
        self.check(".", self.record(".", report, (*report, "--per-cell", 1)))

    def test_a_log(self):
        train = ("train", "--quiet", "--data", digits.small_data(), "--epochs", 2, "--log", LOG)
        (calls, _, after), = self.record(".", train)
        disk = Disk(self.folder, 4096)
        for call in calls:
            disk.play(*call)
        self.assertTrue(set(disk.possible(LOG)) == {after[LOG]}, "lines can be lost")


if __name__ == "__main__":
    unittest.main()
