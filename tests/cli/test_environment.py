#!/usr/bin/env python3
"""Whatever surroundings the program is started in, its results are the same bytes, and it does not
lose its way: locale, time zone, clock, floating-point modes, umask, home, folders, file names."""

import functools
import json
import os
import re
import shutil
import stat
import subprocess
import unittest

import digits
from digits import BAD_DATA, DONE, FAILED, TEST_IMAGES, CliTest, environment, shared

# What other people's libraries do before main: SHIM names it.
SHIM = r"""
#define _GNU_SOURCE
#include <fenv.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

static const char *shim(void)
{
    const char *name = getenv("SHIM");
    return name ? name : "";
}

__attribute__((constructor)) static void start(void)
{
    if (strcmp(shim(), "round-up") == 0) {
        fesetround(FE_UPWARD);
    } else if (strcmp(shim(), "round-to-zero") == 0) {
        fesetround(FE_TOWARDZERO);
#if defined(__x86_64__)
    } else if (strcmp(shim(), "flush-to-zero") == 0) {
        _mm_setcsr(_mm_getcsr() | 0x8040);
    } else if (strcmp(shim(), "traps") == 0) {
        _mm_setcsr(_mm_getcsr() & ~0x1f80U);
#endif
    } else if (strcmp(shim(), "comma") == 0 && !setlocale(LC_ALL, "comma")) {
        _exit(99);
    }
}

int clock_gettime(clockid_t id, struct timespec *now)
{
    static long calls;
    long result = syscall(SYS_clock_gettime, id, now);
    calls++;
    if (strcmp(shim(), "clock-back") == 0) {
        now->tv_sec -= 1000 * calls;
    } else if (strcmp(shim(), "clock-forward") == 0 && calls == 100) {
        now->tv_sec += 40000000; /* once, for a moment, by more than a year */
    } else if (strcmp(shim(), "clock-fails") == 0) {
        return -1;
    }
    return (int)result;
}

time_t time(time_t *out)
{
    time_t now = strncmp(shim(), "clock", 5) == 0 ? (time_t)-1 : (time_t)syscall(SYS_time, NULL);
    if (out) {
        *out = now;
    }
    return now;
}
"""


@functools.lru_cache(maxsize=None)
def shim():
    """The path of the library, or None where nothing compiles it."""
    source, library = shared() / "shim.c", shared() / "shim.so"
    source.write_text(SHIM)
    for compiler in (os.environ.get("CC"), "cc", "gcc", "clang"):
        if compiler and shutil.which(compiler):
            result = subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-lm"],
                                    capture_output=True)
            if result.returncode == 0:
                return library
    return None


@functools.lru_cache(maxsize=None)
def comma_locales():
    """A folder with a locale that writes 0,5, or None where it cannot be made."""
    folder = shared() / "locales"
    folder.mkdir()
    if not shutil.which("localedef"):
        return None
    subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", folder / "comma"],
                   capture_output=True)
    return folder if (folder / "comma").exists() else None


class EnvironmentTest(CliTest):
    def train(self, *arguments, out="model", **options):
        """Trains shortly with JSON and a log; returns the result."""
        return self.digits("train", "--data", options.pop("data", digits.small_data()), "--epochs",
                           3, "--lr", "0.3", "--l2", "0.00012345678", "--dropout", "0.1", "--json",
                           "--log", f"{out}.log", "--out", out, *arguments, **options)

    def what_came_of_it(self, name="model"):
        """Model, and log without times and names."""
        lines = [json.loads(line) for line in (self.folder / f"{name}.log").read_text().splitlines()]
        for line in lines:
            line.pop("seconds", None)
            line.pop("model", None)
        return (self.folder / name).read_bytes(), lines

    def shimmed(self, name, **env):
        if not shim():
            self.skipTest("there is no C compiler")
        return {"LD_PRELOAD": shim(), "SHIM": name, "ASAN_OPTIONS": "verify_asan_link_order=0",
                **env}

    def assert_same(self, env, *arguments):
        """Training in this environment gives the model and the log of a plain one."""
        self.train(*arguments, out="plain")
        self.train(*arguments, out="other", env=env)
        self.assertEqual(self.what_came_of_it("plain"), self.what_came_of_it("other"))


class Floating(EnvironmentTest):
    def test_modes_that_someone_else_set_change_nothing(self):
        for name in ("round-up", "round-to-zero", "flush-to-zero", "traps"):
            with self.subTest(name):
                self.assert_same(self.shimmed(name))

    def test_subnormal_numbers_are_kept(self):
        for arguments in (["--lr", "1e-40"], ["--l2", "1e-42"], ["--init", "zero"]):
            with self.subTest(arguments):
                self.assert_same(self.shimmed("flush-to-zero"), *arguments)


class Locale(EnvironmentTest):
    def setUp(self):
        super().setUp()
        if not comma_locales():
            self.skipTest("the system cannot make a locale")

    def test_a_comma_for_a_point_changes_nothing(self):
        comma = {"LOCPATH": comma_locales(), "LC_ALL": "comma", "LANG": "comma"}
        self.assert_same(comma)
        self.assert_same(self.shimmed("comma", LOCPATH=comma_locales(), LC_ALL="comma"))

    def test_numbers_are_printed_and_read_with_a_point(self):
        env = self.shimmed("comma", LOCPATH=comma_locales(), LC_ALL="comma")
        comma = self.digits("eval", "--model", digits.small_model(), "--data", digits.small_data(),
                            env=env)
        self.assertRegex(comma.out, r"accuracy +\d\d\.\d\d %")
        self.assertNotRegex(re.sub(r"\d,\d{3}\b", "", comma.out), r"\d,\d")
        self.digits("train", "--lr", "0,3", code=digits.USAGE, env=env)
        json.loads(self.digits("inspect", digits.small_model(), "--json", env=env).out)
        for line in (self.folder / "errors" / "errors.csv").read_text().splitlines():
            self.assertEqual(line.count(","), 12, line)
        self.digits("reproduce", digits.small_model(), "--data", digits.small_data(), env=env)

    def test_an_unknown_locale_is_no_trouble(self):
        self.assert_same({"LC_ALL": "xx_YY.FOO", "LANG": "\xff"})


class Clock(EnvironmentTest):
    def test_time_zones_change_nothing(self):
        for zone in ("Pacific/Kiritimati", "America/Marigot", "Nowhere/Land", ":", "AAA-25:61"):
            with self.subTest(zone):
                self.assert_same({"TZ": zone})
        self.digits("synth", "--out", "a", "--train", 20, "--test", 10, env={"TZ": "UTC-14"})
        self.digits("synth", "--out", "b", "--train", 20, "--test", 10, env={"TZ": "UTC+12"})
        for path in (self.folder / "a").iterdir():
            self.assertEqual(path.read_bytes(), (self.folder / "b" / path.name).read_bytes())

    def test_a_clock_that_jumps_or_fails_changes_no_result(self):
        for name in ("clock-back", "clock-forward", "clock-fails"):
            with self.subTest(name):
                self.assert_same(self.shimmed(name))

    def test_times_are_never_negative_or_absurd(self):
        for name in ("clock-back", "clock-forward", "clock-fails"):
            with self.subTest(name):
                result = self.train("--epochs", 40, env=self.shimmed(name))
                self.assertGreaterEqual(result.json()["seconds"], 0)
                for line in (self.folder / "model.log").read_text().splitlines():
                    self.assertGreaterEqual(json.loads(line).get("seconds", 0), 0)
                rows = [line.split() for line in result.err.splitlines() if "/40" in line]
                self.assertEqual(len(rows), 40)
                self.assertNotIn("-", "".join(map("".join, rows)))
                left = [row[-1] for row in rows]
                # The epoch of the jump, and the next where it is the only one to go by.
                self.assertLessEqual(sum(text.count(":") > 1 for text in left), 2, left)
                self.assertEqual(left[-1], "0:00")


class Files(EnvironmentTest):
    def test_the_umask_decides_who_may_read(self):
        for mask, expected in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
            with self.subTest(oct(mask)):
                name = f"model-{mask}"
                self.train(out=name, preexec_fn=lambda mask=mask: os.umask(mask))
                for path in (self.folder / name, self.folder / f"{name}.log"):
                    self.assertEqual(stat.S_IMODE(path.stat().st_mode), expected)
                self.digits("synth", "--out", f"data-{mask}", "--train", 10, "--test", 10,
                            preexec_fn=lambda mask=mask: os.umask(mask))
                folder = self.folder / f"data-{mask}"
                self.assertEqual(stat.S_IMODE(folder.stat().st_mode), 0o777 & ~mask)
                self.assertEqual(stat.S_IMODE((folder / (TEST_IMAGES + ".gz")).stat().st_mode),
                                 expected)

    def test_a_bare_environment_is_enough(self):
        self.assert_same({name: None for name in environment("")})
        self.assert_same({"HOME": "", "PATH": "", "TMPDIR": "/nowhere", "XDG_DATA_HOME": "odd",
                          "COLUMNS": "wide", "LINES": "-1", "TERM": "\x1b[31m"})

    def test_without_a_home_the_other_places_are_searched(self):
        result = self.digits("train", code=BAD_DATA, env={"HOME": None})
        self.assertIn("looked in 'data/mnist'\n", result.err)
        result = self.digits("train", code=BAD_DATA, env={"HOME": "/h" * 3000})
        self.assertIn("File name too long", result.err)

    def test_a_folder_deeper_than_any_path_can_say(self):
        deep, fd = self.folder, os.open(self.folder, os.O_RDONLY)
        try:
            for _ in range(30):  # 30 x 200 bytes: more than PATH_MAX
                os.mkdir("d" * 200, dir_fd=fd)
                inner = os.open("d" * 200, os.O_RDONLY, dir_fd=fd)
                os.close(fd)
                fd = inner
            enter = lambda: os.fchdir(fd)
            self.train(preexec_fn=enter, pass_fds=[fd])
            self.digits("eval", "--model", "model", "--data", digits.small_data(),
                        preexec_fn=enter, pass_fds=[fd])
            self.assertEqual(sorted(os.listdir(fd)), ["errors", "model", "model.log"])
        finally:
            os.close(fd)
            subprocess.run(["rm", "-rf", deep / ("d" * 200)], check=True)

    def test_a_folder_that_is_gone_is_a_plain_failure(self):
        gone = self.folder / "gone"
        gone.mkdir()
        fd = os.open(gone, os.O_RDONLY)
        gone.rmdir()
        result = self.train(code=FAILED, preexec_fn=lambda: os.fchdir(fd), pass_fds=[fd])
        os.close(fd)
        self.assertEqual(result.out, "")
        self.assert_one_line(result.err)


class Names(EnvironmentTest):
    ODD = os.fsdecode(b"od'd \xff\xfe \xc2\x9b31m\x1b[31m\n-x")

    def setUp(self):
        super().setUp()
        (self.folder / self.ODD).mkdir()
        self.data = f"{self.ODD}/data"
        shutil.copytree(digits.small_data(), self.folder / self.data)
        self.model = f"{self.ODD}/m"

    def run_bytes(self, *arguments):
        result = subprocess.run([digits.PROGRAM, *map(str, arguments)], cwd=self.folder,
                                capture_output=True, env=environment(self.folder))
        self.assertEqual(result.returncode, DONE, result.stderr)
        return result.stdout

    def work(self, *more):
        """The outputs of the commands that name files."""
        yield self.run_bytes("train", "--epochs", 1, "--data", self.data, "--out", self.model, *more)
        yield self.run_bytes("eval", "--data", self.data, "--model", self.model, "--errors",
                             f"{self.ODD}/errors", *more)
        yield self.run_bytes("inspect", self.model, *more)
        yield self.run_bytes("inspect", f"{self.data}/{TEST_IMAGES}.gz", *more)
        yield self.run_bytes("predict", "--model", self.model, "--first", 1,
                             f"{self.data}/{TEST_IMAGES}.gz", *more)
        yield self.run_bytes("reproduce", self.model, "--data", self.data, *more)

    def test_json_stays_json(self):
        for out in self.work("--json"):
            json.loads(out.decode("utf-8"))  # strictly
        self.run_bytes("train", "--epochs", 1, "--data", self.data, "--log", f"{self.ODD}/log")
        for line in (self.folder / self.ODD / "log").read_bytes().splitlines():
            json.loads(line.decode("utf-8"))

    def test_names_play_no_tricks_on_a_terminal(self):
        for out in self.work():
            self.assertNotIn(b"\x1b", out)
            self.assertNotIn(b"\xc2\x9b", out)
            self.assertNotIn(b"\n-x", out)

    def test_the_next_command_can_be_pasted(self):
        odd = "it's $HOME; `x` & \"y\""
        self.digits("synth", "--out", odd, "--train", 30, "--test", 10)
        out = self.digits("train", "--data", odd, "--out", f"{odd}/m", "--epochs", 1).out
        command = re.search(r"next +(\./digits eval .*)\n", out).group(1)
        command = command.replace("./digits", str(digits.PROGRAM), 1)
        subprocess.run(["sh", "-c", command], cwd=self.folder, check=True, capture_output=True)
        out = self.digits("train", "--data", "./" + odd, "--out", "plain-name_1.st", "--epochs",
                          1).out
        self.assertIn("eval --model plain-name_1.st --data './it'", out)


if __name__ == "__main__":
    unittest.main()
