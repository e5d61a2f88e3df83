#!/usr/bin/env python3
"""Places where files can be, and cannot: full disks, closed folders, links, pipes, devices, long
names, closed standard files, others who write to the same place."""

import errno
import itertools
import os
import pty
import resource
import shutil
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

import digits
from digits import BAD_DATA, BAD_MODEL, DONE, FAILED, CliTest

NOBODY = 65534
QUICK = ("--epochs", 1, "--hidden", 4)

OLD = "the old content"


def reason(error):
    return os.strerror(error)


class FilesTest(CliTest):
    def train(self, *arguments, **options):
        return self.digits("train", "--data", digits.small_data(), *QUICK, *arguments, **options)

    def eval(self, *arguments, **options):
        return self.digits("eval", "--data", digits.small_data(), "--model", digits.small_model(),
                           *arguments, **options)

    def writers(self, place):
        """Each command that writes, told to write to a place, with how it calls that."""
        place, data, model = Path(place), digits.small_data(), digits.small_model()
        return {
            "train": ["train", "--data", data, *QUICK, "--out", place / "m"],
            "log": ["train", "--data", data, *QUICK, "--log", place / "log"],
            "checkpoint": ["train", "--data", data, *QUICK, "--checkpoint", place / "c"],
            "eval": ["eval", "--data", data, "--model", model, "--errors", place / "errors"],
            "report": ["report", "--data", data, "--model", model, "--out", place / "r.html"],
            "synth": ["synth", "--out", place / "data", "--train", 90, "--test", 90],
            "sheet": ["synth", "--out", "drawn", "--sheet", place / "s.png", "--train", 1,
                      "--test", 200],
            "demo": ["demo", "perceptron", "--out", place / "pictures"],
        }

    def expected_model(self, *arguments):
        """The bytes of what train writes where nothing is in its way."""
        self.train("--out", "expected", *arguments)
        content = (self.folder / "expected").read_bytes()
        (self.folder / "expected").unlink()
        return content

    def assert_no_temporaries(self, folder):
        self.assertEqual(list(Path(folder).rglob(".nnlib-*")), [])


class Full(FilesTest):
    """Disks that are full, and limits on the size of files."""

    def tmpfs(self, size):
        """A small disk; only root has it."""
        place = self.folder / "disk"
        place.mkdir()
        mount = shutil.which("mount")
        if os.geteuid() != 0 or not mount or subprocess.run(
                [mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place],
                capture_output=True).returncode != 0:
            self.skipTest("needs the right to mount a tmpfs")
        self.addCleanup(subprocess.run, ["umount", place], check=True)
        return place

    def test_a_disk_of_64_kib_takes_no_half_files(self):
        disk = self.tmpfs("64k")
        (disk / "m").write_bytes(self.expected_model("--seed", 7))
        old = digits.snapshot(disk)
        for name, command in self.writers(disk).items():
            if name == "train":
                command += ["--hidden", 40]
            with self.subTest(name):
                result = self.digits(*command, code=None)
                if result.code == DONE:  # it was small enough
                    continue
                self.assertEqual(result.code, FAILED, result)
                self.assertIn(reason(errno.ENOSPC), result.err)
                self.assert_no_temporaries(disk)
                self.assertEqual(digits.snapshot(disk)["m"], old["m"])
            for path in disk.iterdir():
                if path.name != "m":
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def test_a_disk_without_room_for_a_name_stops_training_before_it_starts(self):
        disk = self.tmpfs("64k,nr_inodes=2")
        (disk / "m").write_bytes(self.expected_model())
        with self.unchanged(disk):
            result = self.train("--out", disk / "m", "--epochs", 1000000, code=FAILED)
        self.assertIn(reason(errno.ENOSPC), result.err)

    def test_a_limit_on_the_size_of_files_is_a_full_disk(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
        for name, command in self.writers(self.folder / "here").items():
            (self.folder / "here").mkdir(exist_ok=True)
            with self.subTest(name):
                result = self.digits(*command, preexec_fn=limit, code=FAILED)
                self.assertIn(reason(errno.EFBIG), result.err)
                self.assert_no_temporaries(self.folder)

    def test_a_limit_on_the_size_of_stdout_is_told(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
        with open(self.folder / "out", "wb") as out:
            result = subprocess.run([digits.PROGRAM, "help"], stdout=out, stderr=subprocess.PIPE,
                                    preexec_fn=limit, env=digits.environment(self.folder))
        self.assertEqual(result.returncode, FAILED)
        self.assertIn(reason(errno.EFBIG), result.stderr.decode())


class Closed(FilesTest):
    """Folders and files that one may not write to, or not read."""

    def as_nobody(self, *arguments, **options):
        """Runs the program as one who owns nothing; root may do everything."""
        if os.geteuid() == 0:
            options.update(user=NOBODY, group=NOBODY, extra_groups=[])
        return self.digits(*arguments, **options)

    def setUp(self):
        super().setUp()
        for path in (self.folder, digits.small_data().parent):
            path.chmod(0o755)
        try:
            self.as_nobody("--version")
        except PermissionError:
            self.skipTest("needs the program where everybody may run it")
        digits.small_model()

    def test_a_read_only_folder_is_told_before_any_work(self):
        place = self.folder / "closed"
        place.mkdir()
        place.chmod(0o555)
        for name, command in self.writers(place).items():
            if name in ("log", "checkpoint"):
                command += ["--out", place / "m"]
            if name == "sheet":
                command[2] = place / "drawn"
            with self.subTest(name), self.unchanged():
                result = self.as_nobody(*command, code=FAILED)
                self.assertIn(reason(errno.EACCES), result.err)
                self.assertIn(str(place), result.err)

    def test_a_write_protected_file_is_not_replaced(self):
        self.folder.chmod(0o777)
        (self.folder / "m").write_bytes(digits.small_model().read_bytes())
        (self.folder / "m").chmod(0o444)
        with self.unchanged():
            result = self.as_nobody("train", "--data", digits.small_data(), *QUICK, "--out", "m",
                                    code=FAILED)
        self.assertIn(f"'m': {reason(errno.EACCES)}", result.err)

    def test_what_may_not_be_read_is_told(self):
        shutil.copytree(digits.small_data(), self.folder / "data")
        (self.folder / "m").write_bytes(digits.small_model().read_bytes())
        (self.folder / "one.png").write_bytes(digits.png(bytes(784), 28, 28))
        for path in ("m", "one.png", f"data/{digits.TEST_IMAGES}.gz", "data/GENERATED.txt"):
            (self.folder / path).chmod(0)
        model = digits.small_model()
        for code, command in [
            (BAD_MODEL, ["eval", "--model", "m", "--data", digits.small_data(), "--no-errors"]),
            (BAD_MODEL, ["predict", "--model", "m", "one.png"]),
            (BAD_DATA, ["predict", "--model", model, "one.png"]),
            (BAD_DATA, ["eval", "--model", model, "--data", "data", "--no-errors"]),
            (BAD_DATA, ["train", "--data", "data", "--out", "/dev/null/m"]),
            (BAD_DATA, ["inspect", "m"]),
        ]:
            if command[0] == "train":
                command[-1] = self.folder / "new"
                self.folder.chmod(0o777)
            with self.subTest(command=command), self.unchanged():
                result = self.as_nobody(*command, code=code)
                self.assertIn(reason(errno.EACCES), result.err)
                self.assert_one_line(result.err)


class Places(FilesTest):
    """Links, pipes, devices, folders, long names."""

    def test_a_link_stays_and_what_it_leads_to_is_replaced(self):
        wanted = self.expected_model()
        (self.folder / "far").mkdir()
        for target in ("far/m", "far/new"):
            with self.subTest(target=target):
                link = self.folder / "link"
                link.unlink(missing_ok=True)
                link.symlink_to(target)
                if target == "far/m":
                    (self.folder / target).write_bytes(self.expected_model("--seed", 7))
                self.train("--out", link)
                self.assertTrue(link.is_symlink())
                self.assertEqual((self.folder / target).read_bytes(), wanted)
                self.assert_no_temporaries(self.folder)

    def test_links_to_folders_are_folders(self):
        (self.folder / "real").mkdir()
        (self.folder / "link").symlink_to("real")
        for name, command in self.writers("link").items():
            with self.subTest(name):
                self.digits(*command)
        self.assertEqual({path.name for path in (self.folder / "real").iterdir()},
                         {"m", "log", "c", "errors", "r.html", "data", "s.png", "pictures"})

    def test_links_in_a_circle_lead_nowhere(self):
        for name, command in self.writers(self.folder / "place").items():
            shutil.rmtree(self.folder / "place", ignore_errors=True)
            (self.folder / "place").mkdir()
            target = next(Path(a) for a in command if str(a).startswith(str(self.folder)))
            target.symlink_to("round")
            (self.folder / "place" / "round").symlink_to(target.name)
            with self.subTest(name), self.unchanged(self.folder / "place"):
                result = self.digits(*command, code=FAILED)
                self.assertRegex(result.err, f"{reason(errno.ELOOP)}|{reason(errno.EEXIST)}")

    def test_what_is_no_file_or_folder_is_neither_replaced_nor_waited_for(self):
        """A FIFO, a terminal, a folder where a file is to be, a file where a folder is to be."""
        def make_terminal(path):
            ours, theirs = pty.openpty()
            self.addCleanup(os.close, ours)
            self.addCleanup(os.close, theirs)
            path.symlink_to(os.ttyname(theirs))
        makers = {"FIFO": os.mkfifo, "device": make_terminal, "folder": Path.mkdir,
                  "file": lambda path: path.write_text(OLD)}
        for (kind, make), name in itertools.product(makers.items(), self.writers("place")):
            takes_folder = name in ("eval", "synth", "demo")
            if name == "log" and kind != "folder" or takes_folder and kind == "folder":
                continue  # a log goes anywhere, line by line
            with self.subTest(kind=kind, name=name):
                shutil.rmtree(self.folder / "place", ignore_errors=True)
                (self.folder / "place").mkdir()
                command = self.writers(self.folder / "place")[name]
                target = next(Path(a) for a in command if str(a).startswith(str(self.folder)))
                make(target)
                with self.unchanged(self.folder / "place"):
                    result = self.digits(*command, code=FAILED)
                self.assertIn(str(target), result.err)
                self.assert_one_line(result.err)

    def test_what_is_no_file_is_not_read(self):
        (self.folder / "folder").mkdir()
        os.mkfifo(self.folder / "fifo")
        (self.folder / "zero").symlink_to("/dev/zero")
        data, model = digits.small_data(), digits.small_model()
        for name, kind in (("folder", "folder"), ("fifo", "FIFO"), ("zero", "device")):
            for code, command in [
                (BAD_MODEL, ["eval", "--data", data, "--model", name, "--no-errors"]),
                (BAD_MODEL, ["predict", "--model", name, "any.png"]),
                (BAD_MODEL, ["reproduce", "--data", data, name]),
                (BAD_MODEL, ["report", "--data", data, "--model", name]),
                (BAD_MODEL, ["train", "--data", data, "--resume", name]),
                (BAD_DATA, ["predict", "--model", model, name]),
                (BAD_DATA, ["report", "--data", data, "--model", model, "--log", name]),
                (BAD_DATA, ["inspect", name]),
            ]:
                with self.subTest(command=command), self.unchanged():
                    result = self.digits(*command, code=code)
                    self.assertIn(f"'{name}': it is a {kind}, not a regular file", result.err)

    def test_names_are_as_long_as_the_system_takes_them(self):
        longest, too_long = "n" * 255, "n" * 256
        wanted = self.expected_model()
        self.train("--out", longest)
        self.assertEqual((self.folder / longest).read_bytes(), wanted)
        self.assert_no_temporaries(self.folder)
        for place in (too_long, "deep/" * 2000):
            for name, command in self.writers(place).items():
                command = [place if str(a).startswith(str(Path(place))) else a for a in command]
                with self.subTest(name, length=len(place)), self.unchanged():
                    result = self.digits(*command, code=FAILED)
                    self.assertIn(reason(errno.ENAMETOOLONG), result.err)

    def test_standard_output_can_be_named_when_it_is_a_file(self):
        """/dev/stdout and /dev/fd/N are links; these are others, which no fault can destroy."""
        wanted = self.expected_model()
        link = self.folder / "stdout"
        link.symlink_to("/proc/self/fd/1")
        command = [digits.PROGRAM, *map(str, ("train", "--data", digits.small_data(), *QUICK,
                                              "--quiet", "--out", link))]
        options = {"cwd": self.folder, "env": digits.environment(self.folder)}
        with open(self.folder / "redirected", "wb") as out:
            result = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, **options)
        self.assertEqual(result.returncode, DONE, result.stderr)
        self.assertTrue(link.is_symlink())
        self.assertEqual((self.folder / "redirected").read_bytes(), wanted)
        result = subprocess.run(command, capture_output=True, **options)
        self.assertEqual((result.returncode, result.stdout), (FAILED, b""))
        self.assertIn(b"it is a FIFO, not a regular file", result.stderr)


class StandardFiles(FilesTest):
    """Standard input, output and error, closed or with nobody at the other end."""

    def outputs(self, folder, code, **options):
        """What the commands that write leave in a folder, whatever becomes of their messages."""
        (self.folder / folder).mkdir()
        for name, command in self.writers(folder).items():
            if name == "report":
                continue  # it says where it is
            result = subprocess.run([digits.PROGRAM, *map(str, command)], cwd=self.folder,
                                    env=digits.environment(self.folder), timeout=100, **options)
            self.assertEqual(result.returncode, code, name)
            self.assertFalse(result.stderr, name)
        return {path.relative_to(self.folder / folder): path.read_bytes()
                for path in (self.folder / folder).rglob("*")
                if path.is_file() and path.name != "log"}

    def test_closed_ones_are_not_mistaken_for_what_is_written(self):
        wanted = self.outputs("open", DONE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for n in (1, 2, 3):
            for closed in itertools.combinations((0, 1, 2), n):
                with self.subTest(closed=closed):
                    def close():
                        for fd in closed:
                            os.close(fd)
                    found = self.outputs(f"closed{closed}", FAILED if 1 in closed else DONE,
                                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL, preexec_fn=close)
                    self.assertEqual(found, wanted)

    def test_a_reader_that_has_left_stops_no_work_and_needs_no_message(self):
        wanted = self.outputs("heard", DONE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        reading, writing = os.pipe()
        os.close(reading)
        self.addCleanup(os.close, writing)
        self.assertEqual(self.outputs("unheard", FAILED, stdout=writing,
                                      stderr=subprocess.DEVNULL), wanted)
        self.assertEqual(self.outputs("unseen", DONE, stdout=subprocess.DEVNULL, stderr=writing),
                         wanted)
        for command in (["help"], ["inspect", digits.small_model()],
                        ["eval", "--data", digits.small_data(), "--model", digits.small_model()]):
            result = subprocess.run([digits.PROGRAM, *map(str, command)], cwd=self.folder,
                                    env=digits.environment(self.folder), stdout=writing,
                                    stderr=subprocess.PIPE, timeout=100)
            self.assertEqual((result.returncode, result.stderr), (FAILED, b""), command)


class Others(FilesTest):
    """Others who work in the same place at the same time."""

    def test_a_folder_that_goes_away_while_training_is_told(self):
        """Training waits for somebody to read the FIFO that is its log, and takes a while then."""
        place, fifo = self.folder / "place", self.folder / "fifo"
        place.mkdir()
        os.mkfifo(fifo)
        result = []
        thread = threading.Thread(target=lambda: result.append(self.digits(
            "train", "--data", digits.small_data(), "--hidden", 300, "--epochs", 60, "--log", fifo,
            "--out", place / "m", code=None)))
        thread.start()
        with open(fifo, "rb") as log:  # opened when training has opened it, after its checks
            shutil.rmtree(place)
            log.read()
        thread.join()
        self.assertEqual(result[0].code, FAILED)
        self.assertRegex(result[0].err, f"'{place}/m': {reason(errno.ENOENT)}")
        self.assertFalse(place.exists())

    def test_many_runs_that_write_one_model_leave_one_of_theirs(self):
        seeds = range(1, 9)
        wanted = {self.expected_model("--seed", seed) for seed in seeds}
        for _ in range(3):
            runs = [subprocess.Popen(
                [digits.PROGRAM, *map(str, ("train", "--data", digits.small_data(), *QUICK,
                                            "--seed", seed, "--out", "m"))],
                cwd=self.folder, env=digits.environment(self.folder), stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE) for seed in seeds]
            for run in runs:
                _, err = run.communicate(timeout=100)
                self.assertEqual(run.returncode, DONE, err)
            self.assertIn((self.folder / "m").read_bytes(), wanted)
            self.assert_no_temporaries(self.folder)


if __name__ == "__main__":
    unittest.main()
