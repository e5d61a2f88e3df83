"""The program is built so that a mistake in it is hard to exploit: what the compiler and the linker
were asked for is in the binary."""

import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import digits


def readelf(*options):
    return subprocess.run(["readelf", "--wide", *options, digits.PROGRAM], capture_output=True,
                          text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout


def segments():
    """Type and flags ("R", "RW", "R E") of each program header."""
    found = re.findall(r"^ +([A-Z_]+) +(?:0x[0-9a-f]+ +){5}([RWE ]{3}) ",
                       readelf("--program-headers"), re.MULTILINE)
    return [(kind, flags.strip()) for kind, flags in found]


def imported():
    """The functions that the program takes from shared libraries."""
    return set(re.findall(r"UND (\w+)", readelf("--dyn-syms")))


class Hardening(unittest.TestCase):
    def test_it_can_be_loaded_anywhere(self):
        self.assertRegex(readelf("--file-header"), r"Type: +DYN ")
        self.assertRegex(readelf("--dynamic"), r"\(FLAGS_1\).*\bPIE\b")

    def test_addresses_of_functions_are_settled_at_the_start_and_read_only_then(self):
        self.assertRegex(readelf("--dynamic"), r"\(FLAGS\).*\bBIND_NOW\b")
        self.assertIn(("GNU_RELRO", "R"), segments())
        self.assertNotRegex(readelf("--sections"), r"\.got\.plt\b")  # it would stay writable

    def test_no_memory_is_both_writable_and_executable(self):
        self.assertIn(("LOAD", "R E"), segments())
        for kind, flags in segments():
            self.assertFalse("W" in flags and "E" in flags, f"{kind} {flags}")

    def test_the_stack_is_not_executable(self):
        self.assertIn(("GNU_STACK", "RW"), segments())

    def test_no_code_is_changed_when_it_is_loaded(self):
        self.assertNotIn("TEXTREL", readelf("--dynamic"))

    def test_it_looks_for_no_library_in_folders_of_its_own(self):
        self.assertNotRegex(readelf("--dynamic"), r"\((RPATH|RUNPATH)\)")

    def test_stacks_are_guarded(self):
        self.assertIn("__stack_chk_fail", imported())

    def test_the_c_library_checks_the_sizes_of_buffers(self):
        functions = imported()
        for name in ("printf", "fprintf", "snprintf", "vsnprintf"):
            with self.subTest(name=name):
                self.assertIn(f"__{name}_chk", functions)
        dangerous = {"gets", "sprintf", "vsprintf", "system", "popen", "mktemp",
                     "tmpnam"}
        self.assertEqual(functions & dangerous, set())


if __name__ == "__main__":
    unittest.main()
