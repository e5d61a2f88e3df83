#!/usr/bin/env python3
"""What holds for every command: help, version, wrong usage, closed and full output."""

import errno
import os
import re
import shutil
import subprocess
import unittest

import digits
from digits import BAD_MODEL, DONE, FAILED, USAGE, CliTest

COMMANDS = ("train", "eval", "report", "predict", "inspect", "synth")


class Help(CliTest):
    def test_without_a_command_usage_goes_to_stderr(self):
        result = self.digits(code=USAGE)
        self.assertEqual(result.out, "")
        for command in COMMANDS:
            self.assertRegex(result.err, rf"(?m)^  {command} +\w")

    def test_help_goes_to_stdout_however_it_is_asked_for(self):
        texts = {self.digits(*ask).out for ask in (["help"], ["--help"], ["-h"])}
        self.assertEqual(len(texts), 1)
        for command in COMMANDS:
            texts = {self.digits(*ask).out for ask in (
                [command, "--help"], [command, "-h"], ["help", command],
                [command, "--help", "--no-such-option"])}
            self.assertEqual(len(texts), 1, command)
            self.assertIn(f"usage: digits {command}", texts.pop())

    def test_help_fits_80_columns(self):
        for command in COMMANDS:
            for line in self.digits(command, "--help").out.splitlines():
                self.assertLessEqual(len(line), 79, line)

    def test_help_shows_ranges_and_defaults(self):
        text = re.sub(r"\s+", " ", self.digits("train", "--help").out)
        for part in (r"--epochs N times to go through the images: 1 to 1,000,000; default \d+ ",
                     r"at least 0 and less than 1; default 0\.\d+ ",
                     r"sigmoid, tanh, relu, leaky-relu or identity; default sigmoid",
                     r"--out FILE the model file to write; default model.safetensors"):
            self.assertRegex(text, part)

    def test_version_is_one_line(self):
        for ask in (["--version"], *([command, "--version"] for command in COMMANDS)):
            self.assertRegex(self.digits(*ask).out, r"\Adigits \d+\.\d+\.\d+\n\Z")


class Usage(CliTest):
    def test_a_slip_is_answered_with_the_nearest_word(self):
        for arguments, hint in [
            (["trian"], "did you mean 'digits train'?"),
            (["evaluate"], "'digits help' lists the commands"),
            (["predcit", "x.png"], "did you mean 'digits predict'?"),
            (["help", "synht"], "did you mean 'digits synth'?"),
            (["--vresion"], "did you mean 'digits --version'?"),
            (["train", "--dropuot", "0.1"], "did you mean --dropout?"),
            (["train", "--learn", "0.1"], None),
            (["train", "--dr", "0.1"], "did you mean --dropout or --dropout-mask?"),
            (["eval", "--jsno"], "did you mean --json?"),
            (["synth", "--sede=3"], "did you mean --seed?"),
        ]:
            with self.subTest(arguments=arguments), self.unchanged():
                result = self.digits(*arguments, code=USAGE)
                self.assertEqual(result.out, "")
                self.assertRegex(result.err, r"\Adigits( \w+)?: unknown (command|option) '")
                if hint:
                    self.assertIn(hint, result.err)
                else:
                    self.assertNotIn("did you mean", result.err)

    def test_arguments_and_values_are_counted(self):
        for arguments, message in [
            (["train", "extra"], "digits train: unexpected argument 'extra'"),
            (["predict"], "digits predict: missing argument: FILE..."),
            (["inspect", "a", "b"], "digits inspect: unexpected argument 'b'"),
            (["train", "--epochs"], "digits train: --epochs needs a value: N"),
            (["train", "-o"], "digits train: --out needs a value: FILE"),
            (["train", "-x"], "digits train: unknown option '-x'"),
            (["train", "--json=yes"], "digits train: --json takes no value"),
            (["train", "--help=yes"], "digits train: --help takes no value"),
            (["synth"], "digits synth: --out DIR says where to write"),
        ]:
            with self.subTest(arguments=arguments), self.unchanged():
                result = self.digits(*arguments, code=USAGE)
                self.assertEqual(result.err.splitlines()[0], message)
                self.assertEqual(result.out, "")

    def test_control_characters_in_arguments_do_not_reach_the_terminal(self):
        result = self.digits("train", "--data", "\033[31mred\a", code=digits.BAD_DATA)
        self.assertNotIn("\033", result.err)
        self.assertIn("?[31mred?", result.err)

    def test_options_may_follow_arguments_and_two_dashes_end_them(self):
        self.digits("inspect", digits.small_model(), "--json")
        self.digits("inspect", "--json", "--", digits.small_model())
        result = self.digits("predict", "--", "--json", code=BAD_MODEL)
        self.assertIn("model.safetensors", result.err)


class Output(CliTest):
    """Results that do not arrive are a failure."""

    def spawn(self, command, **options):
        return subprocess.run(command, cwd=self.folder, env=digits.environment(self.folder),
                              stderr=subprocess.PIPE, timeout=60, **options)

    @unittest.skipUnless(os.path.exists("/dev/full"), "needs /dev/full")
    def test_a_full_disk_behind_stdout_is_reported(self):
        for command in (["--version"], ["train", "--help"], ["inspect", str(digits.small_model())]):
            with self.subTest(command=command), open("/dev/full", "wb") as full:
                result = self.spawn([digits.PROGRAM, *command], stdout=full)
                self.assertEqual(result.returncode, FAILED)
                self.assertIn(os.strerror(errno.ENOSPC).encode(), result.stderr)

    def test_a_closed_stdout_is_reported(self):
        result = self.spawn(["/bin/sh", "-c", 'exec "$0" --version >&-', str(digits.PROGRAM)])
        self.assertEqual(result.returncode, FAILED)
        self.assertIn(b"cannot write to standard output", result.stderr)

    def test_a_reader_that_leaves_needs_no_message(self):
        script = '"$0" inspect --json "$1" | :; exit ${PIPESTATUS[0]}'
        bash = shutil.which("bash")
        if not bash:
            self.skipTest("needs bash")
        result = self.spawn([bash, "-c", script, str(digits.PROGRAM), str(digits.small_model())])
        self.assertIn(result.returncode, (DONE, FAILED))
        self.assertEqual(result.stderr, b"")

    def test_closed_standard_files_do_not_mix_with_what_is_written(self):
        data = digits.small_data()
        script = 'exec "$0" train --data "$1" --epochs 1 --out "$2" <&- >&- 2>&-'
        result = self.spawn(["/bin/sh", "-c", script, str(digits.PROGRAM), str(data), "closed"])
        self.assertEqual(result.returncode, FAILED)
        self.digits("train", "--data", data, "--epochs", 1, "--out", "open")
        self.assertEqual((self.folder / "closed").read_bytes(), (self.folder / "open").read_bytes())


if __name__ == "__main__":
    unittest.main()
