#!/usr/bin/env python3
"""The manual page and bash's completion know every command and option that the help knows."""

import re
import shutil
import subprocess
import unittest

import digits
from digits import CliTest


class ManualTest(CliTest):
    def commands(self):
        usage = self.digits("help").out
        return [name for name in re.findall(r"(?m)^  (\w+) ", usage) if name != "help"]

    def options(self, command):
        return set(re.findall(r"(?m)^  (?:-\w, )?(--[\w-]+)", self.digits(command, "--help").out))


class Page(ManualTest):
    def test_it_describes_every_option_of_every_command(self):
        page = self.digits("--man").out.replace("\\-", "-")
        parts = re.split(r'(?m)^\.SS "digits (\w+)', page)
        self.assertEqual(parts[1::2], self.commands())
        for command, text in zip(parts[1::2], parts[2::2]):
            found = set(re.findall(r"(?m)^(?:\\fB-\w\\fR, )?\\fB(--[\w-]+)\\fR", text))
            self.assertEqual(found, self.options(command) - {"--help", "--version"})

    def test_it_tells_ranges_and_defaults(self):
        page = self.digits("--man").out
        self.assertIn("\nlearning rate in the first epoch: more than 0 and at most 1000; default 0.3\n",
                      page)

    def test_troff_takes_it_without_a_word(self):
        if not shutil.which("groff"):
            self.skipTest("needs groff")
        result = subprocess.run(["groff", "-man", "-ww", "-Tascii", "-P-cbou", "-rLL=80n"],
                                input=self.digits("--man").out.encode(), capture_output=True)
        self.assertEqual((result.returncode, result.stderr), (0, b""))
        shown = result.stdout.decode()
        self.assertIn("digits train --seed 1\n", shown)
        self.assertNotIn("\\", shown)


@unittest.skipUnless(shutil.which("bash"), "needs bash")
class Completion(ManualTest):
    def complete(self, *words):
        """What bash offers for the last of the words that follow digits."""
        (self.folder / "completion").write_text(self.digits("--completion").out)
        script = ('source ./completion; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _digits; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        result = subprocess.run(["bash", "-u", "-c", script, "bash", "digits", *words],
                                cwd=self.folder, capture_output=True, text=True)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout.split()

    def test_commands_are_offered(self):
        self.assertEqual(set(self.complete("")), {"help", *self.commands()})
        self.assertEqual(self.complete("tr"), ["train"])
        self.assertEqual(self.complete("help", "ev"), ["eval"])

    def test_every_option_is_offered(self):
        for command in self.commands():
            with self.subTest(command):
                self.assertEqual(set(self.complete(command, "--")), self.options(command))

    def test_choices_files_and_folders_are_offered_for_values(self):
        (self.folder / "folder").mkdir()
        (self.folder / "file").touch()
        self.assertEqual(self.complete("train", "--activation", "re"), ["relu"])
        self.assertEqual(self.complete("train", "--data", "f"), ["folder"])
        self.assertEqual(sorted(self.complete("train", "-o", "f")), ["file", "folder"])
        self.assertEqual(sorted(self.complete("inspect", "f")), ["file", "folder"])
        self.assertEqual(self.complete("train", "--epochs", ""), [])


if __name__ == "__main__":
    unittest.main()
