#!/usr/bin/env python3
"""What people see: no line wraps however wide the terminal is, characters are those that the locale
has, and escape codes go to terminals alone."""

import fcntl
import os
import re
import struct
import subprocess
import termios
import time
import unicodedata
import unittest

import digits
from digits import DONE, TEST_IMAGES, TEST_LABELS, CliTest, idx

STYLE = re.compile(r"\x1b\[[0-9;]*m")
BLOCKS = "▁▂▃▄▅▆▇█"


class Screen:
    """Enough of a terminal to tell what is on it in the end, and whether a line ever wrapped."""

    CODES = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])|(.)", re.DOTALL)

    def __init__(self, columns):
        self.columns, self.lines, self.row, self.column = columns, [""], 0, 0
        self.wrapped = False

    def feed(self, text):
        for number, code, character in self.CODES.findall(text):
            if code:
                self.obey(code, number)
            elif character == "\n":
                self.row += 1
                self.column = 0
                if self.row == len(self.lines):
                    self.lines.append("")
            elif character == "\r":
                self.column = 0
            else:
                self.put(character)
        return self

    def obey(self, code, number):
        if code in "KJ":
            self.lines[self.row] = self.lines[self.row][:self.column]
            if code == "J":
                del self.lines[self.row + 1:]
        elif code == "A":
            self.row -= int(number or 1)
        else:
            assert code == "m", f"escape code {code} is not for every terminal"

    def put(self, character):
        assert character.isprintable(), repr(character)
        assert unicodedata.east_asian_width(character) not in "FW"
        self.wrapped = self.wrapped or self.column == self.columns
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[:self.column] + character + line[self.column + 1:]
        self.column += 1


class TerminalTest(CliTest):
    def on_terminal(self, *arguments, columns=80, stream="stdout", resize=None, code=DONE, **env):
        """Runs with a terminal of so many columns as stdout or stderr; returns what was written to
        it. resize: columns that it has from the third epoch on."""
        try:
            ours, theirs = os.openpty()
        except OSError:
            self.skipTest("this system has no pseudo-terminals")
        self.set_columns(theirs, columns)
        files = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: theirs}
        process = subprocess.Popen([str(digits.PROGRAM), *map(str, arguments)], cwd=self.folder,
                                   env=digits.environment(self.folder, **env), **files)
        text = b""
        while True:
            try:
                if resize and b"  2/12 " in text:
                    self.set_columns(ours, resize)
                    resize = None
                os.set_blocking(ours, False)
                part = os.read(ours, 65536)
            except BlockingIOError:
                if process.poll() is not None:
                    break
                time.sleep(0.005)
                continue
            text += part
        os.close(theirs)
        os.close(ours)
        self.assertEqual(process.wait(60), code, text)
        return text.decode().replace("\r\n", "\n")

    def set_columns(self, fd, columns):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def assert_fits(self, text, columns):
        screen = Screen(columns).feed(text)
        self.assertFalse(screen.wrapped, f"wrapped at {columns} columns:\n{text}")
        return screen.lines


class Training(TerminalTest):
    WORK = ("train", "--epochs", 12, "--hidden", 50)
    SLOW_WORK = ("train", "--epochs", 12, "--hidden", 700)  # long enough for a bar to be drawn

    def train(self, work=WORK, **options):
        return self.on_terminal(*work, "--data", digits.small_data(), stream="stderr", **options)

    def bars(self, text):
        bars = [part for part in re.findall(r"\r([^\r\n\x1b]+)\x1b\[K", text) if "left" in part]
        self.assertTrue(bars, text)
        return bars

    def test_the_bar_shows_epoch_time_loss_and_accuracy_and_is_wiped_away(self):
        text = self.train(self.SLOW_WORK)
        bars = self.bars(text)
        for bar in bars:
            self.assertRegex(bar, r"^ +\d+/12  [━─]+  \d+:\d\d left  loss \d+\.\d{4}")
        self.assertTrue(any(re.search(rf"  [{BLOCKS}]{{3,}}  \d+\.\d\d % right$", bar)
                            for bar in bars), bars)
        lines = self.assert_fits(text, 80)
        self.assertEqual(len(lines), 14)  # a heading, twelve epochs, the cursor
        for k, line in enumerate(lines[1:13], start=1):
            self.assertRegex(line, rf"^ +{k}/12 +\d\.\d{{4}} ")

    def test_no_line_wraps_however_narrow_the_terminal_is(self):
        for columns in (20, 50, 80, 200):
            with self.subTest(columns=columns):
                text = self.train(self.SLOW_WORK, columns=columns)
                lines = self.assert_fits(text, columns)
                self.assertEqual(len([line for line in lines if "/12" in line]), 12)

    def test_the_widest_table_shows_all_and_a_narrow_one_what_matters(self):
        self.assertRegex(self.train(columns=80), r"epoch +loss +training +validation +"
                                                 r"learning rate +images/s +left\n")
        self.assertRegex(self.train(columns=45), r"epoch +loss +validation +left\n")

    def test_the_table_follows_when_the_window_becomes_narrower(self):
        text = self.train(self.SLOW_WORK, columns=120, resize=50)
        headings = re.findall(r"epoch .*", text)
        self.assertEqual(len(headings), 2)
        after = text[text.rindex("epoch"):]
        for line in re.split(r"[\r\n]|\x1b\[\w", after):
            self.assertLess(len(line), 50, line)

    def test_without_utf8_it_is_ascii(self):
        text = self.train(self.SLOW_WORK, LC_ALL="C")
        self.assertTrue(text.isascii())
        self.assertTrue(all(re.search(r"  [#-]+  ", bar) for bar in self.bars(text)))

    def test_no_colour_is_ever_used(self):
        self.assertNotRegex(self.train(self.SLOW_WORK), STYLE)

    def test_where_no_cursor_moves_the_lines_are_plain(self):
        for term in ("dumb", "", None):
            with self.subTest(TERM=term):
                text = self.train(TERM=term)
                self.assertNotRegex(text, r"[\r\x1b]")
                self.assertEqual(len(text.splitlines()), 13)

    def test_quiet_draws_nothing(self):
        self.assertEqual(self.on_terminal(*self.WORK, "--quiet", "--data", digits.small_data(),
                                          stream="stderr"), "")

    def test_the_result_draws_the_course_of_the_loss(self):
        out = self.digits(*self.WORK, "--data", digits.small_data()).out
        curve = re.search(rf"^loss        ([{BLOCKS}]{{12}}) from (\S+) to (\S+)$", out, re.M)
        self.assertEqual((curve.group(1)[0], curve.group(1)[-1]), ("█", "▁"))
        self.assertGreater(float(curve.group(2)), float(curve.group(3)))
        out = self.digits(*self.WORK, "--data", digits.small_data(), env={"LC_ALL": "C"}).out
        self.assertRegex(out, r"\nloss        #[_.~=+*#-]{10}_ from ")


class Evaluation(TerminalTest):
    def eval(self, *arguments, **options):
        return self.on_terminal("eval", "--model", digits.small_model(), "--data",
                                digits.small_data(), "--no-errors", *arguments, **options)

    def visible(self, text, columns):
        """The lines below the names of files, which may be of any length."""
        text = STYLE.sub("", text[text.index("accuracy"):])
        return self.assert_fits(text, columns)

    def test_no_line_wraps(self):
        for env in ({}, {"NO_COLOR": 1}, {"LC_ALL": "C"}):
            for columns in (60, 80, 200):
                with self.subTest(env=env, columns=columns):
                    lines = self.visible(self.eval(columns=columns, **env), columns)
                    rows = [line for line in lines if re.match(r" *\d( +[\d.]+[-+*#░▒▓█]?){10} *$",
                                                               line)]
                    self.assertEqual(len(rows), 10)

    def test_a_terminal_too_narrow_for_the_matrix_is_told_so(self):
        text = self.eval(columns=30)
        needed = int(re.search(r"\nconfusion   needs (\d+) columns\n", text).group(1))
        self.assertNotIn(" columns\n", self.eval(columns=needed))
        for row in re.findall(r"(?m)^(\d [ \d].*)$", STYLE.sub("", self.eval(columns=needed))):
            self.assertLessEqual(len(row), needed)
        self.assertIn(" columns\n", self.eval(columns=needed - 1))

    def test_mistakes_are_shaded_by_their_share_of_the_row(self):
        report = self.digits("eval", "--model", digits.small_model(), "--data",
                             digits.small_data(), "--no-errors", "--json").json()
        shares = [[n / max(sum(row), 1) for n in row] for row in report["confusion"]]
        steps = (0.005, 0.01, 0.02, 0.05)
        strength = [[0 if k == c else sum(share >= step for step in steps)
                     for c, share in enumerate(row)] for k, row in enumerate(shares)]
        self.assertGreater(sum(map(sum, strength)), 0)
        for locale, marks in (("C.UTF-8", " ░▒▓█"), ("C", " -+*#")):
            out = self.eval(columns=80, NO_COLOR=1, LC_ALL=locale)
            rows = re.findall(r"(?m)^ {11}\d .{20,}$", out[:out.index("per class")])
            for row, expected in zip(rows, strength):
                cells = re.findall(r"(\d+|\.)(\D?)", row[12:] + " ")
                self.assertEqual([mark for _, mark in cells], [marks[s] for s in expected])
        grounds = {0: 234, 1: 52, 2: 88, 3: 124, 4: 160}
        colour = self.eval(columns=80)
        painted = re.findall(r"48;5;(\d+)m +[\d.]+ ", colour[:colour.index("shades")])
        self.assertEqual(len(painted), 100)
        for place, ground in enumerate(painted):
            if place % 11:
                self.assertEqual(int(ground), grounds[strength[place // 10][place % 10]])

    def test_colour_needs_a_terminal_that_has_it_and_a_user_who_wants_it(self):
        self.assertRegex(self.eval(), STYLE)
        for env in ({"NO_COLOR": 1}, {"TERM": "dumb"}, {"TERM": None}, {"TERM": "vt100"},
                    {"TERM": "xterm-mono"}):
            with self.subTest(env):
                self.assertNotIn("\x1b", self.eval(**env))
        self.assertRegex(self.eval(NO_COLOR=""), STYLE)  # set but empty: not asked for

    def test_every_style_is_switched_off_on_its_own_line(self):
        for line in self.eval().splitlines():
            codes = STYLE.findall(line)
            self.assertTrue(not codes or codes[-1] == "\x1b[0m", line)

    def test_the_surest_mistakes_are_drawn(self):
        result = self.digits("predict", "--model", digits.small_model(), "--json",
                             digits.small_data() / (TEST_IMAGES + ".gz")).json()["predictions"]
        _, labels = digits.read_idx(digits.small_data() / (TEST_LABELS + ".gz"))
        wrong = [(-p["probability"], p["index"], labels[p["index"]], p["digit"]) for p in result
                 if p["digit"] != labels[p["index"]]]
        self.assertGreater(len(wrong), 3)
        out = self.eval(columns=120, NO_COLOR=1)
        captions = [f"{label} read as {guess} at {-p:.3f}" for p, _, label, guess
                    in sorted(wrong)[:3]]
        self.assertEqual(re.findall(r"\d read as \d at [\d.]+", out), captions)
        images = [f"image {k}" for _, k, _, _ in sorted(wrong)[:3]]
        self.assertEqual(re.findall(r"image \d+", out), images)
        self.assertRegex(out, "[▀▄█]{3}")
        self.assertEqual(len(re.findall(r"image \d+", self.eval(columns=60))), 2)


class Pictures(TerminalTest):
    def setUp(self):
        super().setUp()
        picture = [[0, 255, 0, 0], [0, 255, 255, 0], [0, 0, 255, 0], [0, 0, 128, 0]]
        pixels = bytes(value for row in picture for value in row)
        self.path = self.folder / "pictures"
        self.path.write_bytes(idx((3, 4, 4), pixels + bytes(16) + pixels))

    def drawing(self, *arguments, **options):
        text = self.on_terminal("inspect", self.path, *arguments, **options)
        return text.partition("\n\n")[2]

    def test_half_blocks_ascii_or_greys_as_the_terminal_can(self):
        self.assertEqual(self.drawing("--show", 1, NO_COLOR=1), "  █▄\n   █\n  picture 0\n")
        self.assertEqual(self.drawing("--show", 1, LC_ALL="C"), "  @=\n   *\n  picture 0\n")
        self.assertEqual(
            self.drawing("--show", 1),
            "  \x1b[38;5;255;48;5;255m▀\x1b[38;5;232;48;5;255m▀\x1b[0m\n"
            "  \x1b[38;5;232;48;5;232m▀\x1b[38;5;255;48;5;243m▀\x1b[0m\n  picture 0\n")

    def test_as_many_as_fit_stand_side_by_side(self):
        self.assertEqual(len(re.findall("picture", self.drawing(columns=80))), 3)
        self.assertEqual(len(re.findall("picture", self.drawing(columns=30))), 2)
        self.assertEqual(len(re.findall("picture", self.drawing(columns=15))), 1)
        self.assertEqual(self.drawing("--show", 3, columns=30, NO_COLOR=1).count("picture"), 3)
        self.assertEqual(self.drawing("--show", 0), "")

    def test_wide_pictures_are_drawn_smaller(self):
        self.path.write_bytes(idx((1, 100, 300), bytes([255]) * 30000))
        for columns in (20, 80, 200):
            with self.subTest(columns):
                drawing = self.drawing("--show", 1, columns=columns, NO_COLOR=1)
                lines = self.assert_fits(drawing, columns)
                self.assertGreater(len(lines[0]), columns // 2)

    def test_a_models_tables_fit(self):
        for columns in (60, 80, 120):
            text = self.on_terminal("inspect", digits.small_model(), columns=columns)
            self.assert_fits(text[text.index("network"):], columns)
            digest = digits.read_model(digits.small_model())[0]["__metadata__"]["images-sha256"]
            self.assertIn(digest, re.sub(r"\n +", "", text))


class Pipes(TerminalTest):
    def test_nothing_but_text_goes_to_files_and_pipes(self):
        data, model = digits.small_data(), digits.small_model()
        for arguments in (["train", "--data", data, "--epochs", 2], ["inspect", model],
                          ["eval", "--model", model, "--data", data],
                          ["inspect", data / (TEST_IMAGES + ".gz"), "--show", 2],
                          ["predict", "--show", "--first", 2, "--model", model,
                           data / (TEST_IMAGES + ".gz")],
                          ["synth", "--out", "new", "--train", 50, "--test", 50]):
            with self.subTest(arguments[0]):
                result = self.digits(*arguments)
                self.assertNotRegex(result.out + result.err, r"[\r\x1b\t]")
                plain = self.digits(*arguments, *(["--force"] if "--out" in arguments else []),
                                    env={"LC_ALL": "C"})
                self.assertTrue((plain.out + plain.err).isascii())

    def test_a_terminal_as_stderr_does_not_colour_what_stdout_holds(self):
        data, model = digits.small_data(), digits.small_model()
        text = self.on_terminal("eval", "--model", model, "--data", data, "--no-errors",
                                stream="stderr")
        self.assertEqual(text, "")


if __name__ == "__main__":
    unittest.main()
