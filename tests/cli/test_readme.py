"""The README keeps its word: its example is the one that the tests compile, and what it names is
there."""

import os
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import digits

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def read(name):
    with open(os.path.join(TOP, name), encoding="utf-8") as file:
        return file.read()


def known_tests():
    """Names of tests: those that CTest runs, `suite.name` of Criterion's, and `cli_X.test_name`."""
    build = os.path.dirname(os.environ["EXAMPLE"])
    names = set()
    for folder in (build, os.path.join(build, "fuzz")):
        with open(os.path.join(folder, "CTestTestfile.cmake"), encoding="utf-8") as file:
            names |= set(re.findall(r"^add_test\((?:\[=\[)?(\w+)", file.read(), re.MULTILINE))
    # Some of those in cli/ run in some builds only.
    names |= {f"cli_{name[5:-3]}" for name in os.listdir(os.path.join(TOP, "tests/cli"))
              if name.startswith("test_")}
    for name in list(names):
        if os.path.exists(os.path.join(TOP, f"tests/{name}.c")):
            names |= {".".join(found) for found in
                      re.findall(r"^Test\((\w+), (\w+)", read(f"tests/{name}.c"), re.MULTILINE)}
        script = f"tests/cli/{name.replace('cli_', 'test_', 1)}.py"
        if name.startswith("cli_") and os.path.exists(os.path.join(TOP, script)):
            names |= {f"{name}.{found}" for found in
                      re.findall(r"^ +def (test_\w+)", read(script), re.MULTILINE)}
    return names


class Readme(unittest.TestCase):
    def setUp(self):
        self.text = read("README.md")

    def test_its_example_is_the_compiled_one(self):
        example = re.search(r"```c\n(.*?)```", self.text, re.DOTALL).group(1)
        self.assertEqual(example, read("tests/example.c"))

    def test_the_files_it_names_exist(self):
        names = set(re.findall(r"`((?:scripts|nnlib|tests|app)/[\w./-]+)", self.text))
        names |= set(re.findall(r"^(scripts/[\w.-]+)", self.text, re.MULTILINE))
        self.assertGreater(len(names), 10)
        for name in sorted(names):
            with self.subTest(name=name):
                self.assertTrue(os.path.exists(os.path.join(TOP, name)), name)

    def test_the_options_it_shows_exist(self):
        shown = re.findall(r"\./digits (\w+)([^`\n#]*)", self.text)
        self.assertGreater(len(shown), 8)
        for command, rest in shown:
            help_text = subprocess.run([digits.PROGRAM, command, "--help"], capture_output=True,
                                       text=True, check=True).stdout
            for option in re.findall(r"--[\w-]+", rest):
                with self.subTest(command=command, option=option):
                    self.assertIn(option, help_text)

    def test_the_tests_it_names_exist(self):
        section = self.text.split("## Reliability\n")[1].split("\n## ")[0]
        rows = re.findall(r"^\| (.*) \| (.*) \| (.*) \|$", section, re.MULTILINE)[1:]
        self.assertGreater(len(rows), 5)
        known = known_tests()
        for wrong, happens, tests in rows:
            with self.subTest(row=wrong):
                self.assertTrue(happens)
                self.assertRegex(tests, r"\A`[\w.]+`(, `[\w.]+`)*\Z")
                self.assertLessEqual(set(tests.strip("`").split("`, `")), known)

    def test_its_example_trains_evaluates_and_saves(self):
        with tempfile.TemporaryDirectory() as folder:
            run = lambda *words: subprocess.run(words, cwd=folder, capture_output=True, text=True)
            run(digits.PROGRAM, "synth", "--out", ".", "--train", "1500", "--test", "200", "--force")
            result = run(os.environ["EXAMPLE"])
            self.assertEqual(result.returncode, 0, result.stderr)
            right = re.fullmatch(r"(\d+) of 200 right\n", result.stdout)
            self.assertGreater(int(right.group(1)), 160)
            self.assertIn("11,935", run(digits.PROGRAM, "inspect", "model.safetensors").stdout)

    def test_its_example_says_what_is_missing(self):
        with tempfile.TemporaryDirectory() as folder:
            result = subprocess.run([os.environ["EXAMPLE"]], cwd=folder, capture_output=True,
                                    text=True)
            self.assertEqual(result.returncode, 1)
            self.assertIn("train-images-idx3-ubyte.gz", result.stderr)


if __name__ == "__main__":
    unittest.main()
