#!/usr/bin/env python3
"""Whatever is wrong with a data file, `digits` says so in one line, exits with 3, writes nothing.

CASES is a table: a name, what is done to a sound data folder, what the message must say. Each row
runs `train` on the broken folder; those that break a single file run `inspect` on it as well.
"""

import gzip
import os
import shutil
import subprocess
import unittest
from pathlib import Path

import digits
from digits import BAD_DATA, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, CliTest, idx

N = 20  # images in the sound folder
PIXELS = bytes(range(256)) * (N * 784 // 256 + 1)
IMAGES = idx((N, 28, 28), PIXELS[:N * 784])
LABELS = idx((N,), [k % 10 for k in range(N)])
SOUND = {TRAIN_IMAGES: IMAGES, TRAIN_LABELS: LABELS, TEST_IMAGES: IMAGES, TEST_LABELS: LABELS}


def packed(data):
    return gzip.compress(data, mtime=0)


def with_byte(data, at, value):
    at %= len(data)
    return data[:at] + bytes([value]) + data[at + 1:]


class Case:
    """A row: `files` replaces files of the sound folder (None removes one), `make` does what a
    table of bytes cannot; the message is to name `subject` and to match `says`."""

    def __init__(self, name, says, files=None, make=None, subject=TRAIN_IMAGES, inspect=True):
        self.name, self.says, self.subject = name, says, subject
        self.files, self.make, self.inspect = files or {}, make, inspect


def images(name, data, says, **more):
    """A row that breaks the training images."""
    return Case(name, says, {TRAIN_IMAGES: data}, **more)


def images_gz(name, data, says, **more):
    """The same, in a compressed file."""
    return Case(name, says, {TRAIN_IMAGES: None, TRAIN_IMAGES + ".gz": data},
                subject=TRAIN_IMAGES + ".gz", **more)


def labels(name, data, says, **more):
    return Case(name, says, {TRAIN_LABELS: data}, subject=TRAIN_LABELS, **more)


def replace_by(make):
    def do(folder):
        path = folder / TRAIN_IMAGES
        path.unlink()
        make(path)
    return do


HTML = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head></html>\n"
GZ = packed(IMAGES)
HUGE = 0xFFFFFFFF

CASES = [
    # not an IDX file
    images("wrong magic number", b"\x12\x34" + IMAGES[2:], r"not an IDX file"),
    images("unknown type", with_byte(IMAGES, 2, 0x07), r"unknown element type 07.*expected 08"),
    images("no dimension", with_byte(IMAGES, 3, 0), r"0 dimensions, expected 1 to 4"),
    images("too many dimensions", with_byte(IMAGES, 3, 5), r"5 dimensions, expected 1 to 4"),
    images("empty file", b"", r"is empty, expected an IDX file"),
    images("three bytes", IMAGES[:3], r"ends early: expected 4 bytes, found 3"),
    images("cut in its header", IMAGES[:9], r"ends early: expected 16 bytes, found 9"),
    images("a web page", HTML, r"is an HTML page, not an IDX file"),
    images_gz("a web page saved as .gz", HTML, r"is an HTML page, not an IDX file"),
    images_gz("a web page, compressed", packed(HTML), r"is an HTML page, not an IDX file"),

    # sizes
    images("sizes that overflow", idx((HUGE, HUGE, HUGE), b"x" * 784),
           r"more than memory can address"),
    images("sizes beyond the file", idx((1000000, 28, 28), PIXELS[:N * 784]),
           r"ends early: expected 784000016 bytes, found 15696"),
    images_gz("sizes beyond what the compressed bytes can hold",
              packed(idx((HUGE, 28, 28), b"")), r"cannot hold that"),
    images("no images", idx((0, 28, 28), b""), r"holds nothing: its size is 0 x 28 x 28"),
    images("images without rows", idx((N, 0, 28), b""), r"holds nothing"),
    labels("no labels", idx((0,), b""), r"holds nothing: its size is 0"),

    # too short, too long
    images("cut by a byte", IMAGES[:-1], r"ends early: expected 15696 bytes, found 15695"),
    images("a byte too many", IMAGES + b"\0",
           r"goes on too long: expected 15696 bytes, found 15697"),
    images_gz("compressed and cut by a byte", packed(IMAGES[:-1]),
              r"ends early: expected 15696 bytes unpacked, found 15695"),
    images_gz("compressed and a byte too many", packed(IMAGES + b"\0"),
              r"goes on too long: expected 15696 bytes unpacked"),

    # gzip
    images_gz("gzip stream cut in half", GZ[:len(GZ) // 2], r"is cut off"),
    images_gz("gzip stream without its trailer", GZ[:-8], r"is cut off"),
    images_gz("gzip header alone", GZ[:10], r"is cut off"),
    images_gz("wrong CRC", with_byte(GZ, -8, GZ[-8] ^ 1),
              r"is damaged: its gzip trailer says CRC-32"),
    images_gz("wrong length", with_byte(GZ, -4, GZ[-4] ^ 1),
              r"is damaged: its gzip trailer says \d+ bytes"),
    images_gz("damaged gzip stream", GZ[:10] + b"\xff" * 50 + GZ[60:], r"is damaged near byte"),
    images_gz("bytes behind the gzip stream", GZ + b"more", r"goes on too long"),
    images_gz("a second gzip member that adds bytes", GZ + packed(b"x"), r"goes on too long"),

    # sound files that make no data set
    images("images of another type", idx((N, 28, 28), bytes(4 * N * 784), 0x0D),
           r"elements of type f32, expected u8", inspect=False),
    images("images without a third dimension", idx((N, 784), PIXELS[:N * 784]),
           r"2 dimensions, expected 3 for images", inspect=False),
    labels("labels of another type", idx((N,), bytes(4 * N), 0x0C),
           r"elements of type i32, expected u8", inspect=False),
    labels("a label beyond the classes", idx((N,), [3] * (N - 1) + [10]),
           r"label 19 is 10, expected 0 to 9", inspect=False),
    labels("fewer labels than images", idx((N - 1,), bytes(N - 1)), r"20 images, but .* 19 labels",
           inspect=False),
    Case("images and labels swapped", r"swapped\?", {TRAIN_IMAGES: LABELS, TRAIN_LABELS: IMAGES},
         inspect=False),

    # not a file
    Case("a folder", r"it is a folder, not a regular file", make=replace_by(lambda p: p.mkdir())),
    Case("a FIFO", r"it is a FIFO, not a regular file", make=replace_by(os.mkfifo)),
    Case("a device", r"it is a device, not a regular file",
         make=replace_by(lambda p: p.symlink_to("/dev/zero"))),
    Case("a missing file", r"no 'train-images-idx3-ubyte' in", {TRAIN_IMAGES: None}, inspect=False),
    Case("a link that leads nowhere", r"no 'train-images-idx3-ubyte' in",
         make=replace_by(lambda p: p.symlink_to("nowhere")), inspect=False),
]


def make_folder(folder, case):
    folder.mkdir()
    for name, data in {**SOUND, **case.files}.items():
        if data is not None:
            (folder / name).write_bytes(data)
    if case.make:
        case.make(folder)


class BadData(CliTest):
    def test_each_kind_of_damage_has_its_own_message_and_changes_nothing(self):
        for case in CASES:
            with self.subTest(case.name):
                folder = self.folder / case.name.replace(" ", "-")
                make_folder(folder, case)
                with self.unchanged():
                    result = self.digits("train", "--data", folder, code=BAD_DATA)
                self.check(result, case, "digits train: ")

    def test_inspect_refuses_broken_files_with_the_same_words(self):
        for case in CASES:
            if not case.inspect:
                continue
            with self.subTest(case.name):
                folder = self.folder / case.name.replace(" ", "-")
                make_folder(folder, case)
                with self.unchanged():
                    result = self.digits("inspect", folder / case.subject, code=BAD_DATA)
                self.assertEqual(result.out, "")
                self.assertIn(case.subject, result.err)
                self.assert_one_line(result.err)

    def check(self, result, case, speaker):
        first = result.err.splitlines()[0]
        self.assertEqual(result.out, "")
        self.assertTrue(first.startswith(speaker), first)
        self.assertIn(case.subject, first)
        self.assertRegex(first, case.says)
        if not case.says.startswith("no '"):  # those go on to say where files can be had
            self.assert_one_line(result.err)

    def test_the_sound_folder_is_accepted(self):
        folder = self.folder / "sound"
        make_folder(folder, Case("sound", ""))
        self.digits("train", "--data", folder, "--epochs", 1)

    def test_eval_refuses_broken_test_files(self):
        model = digits.small_model()
        for name, files, says in [
            ("cut", {TEST_IMAGES: IMAGES[:-1]}, "ends early"),
            ("label", {TEST_LABELS: idx((N,), [11] * N)}, "label 0 is 11"),
            ("missing", {TEST_LABELS: None}, "no 't10k-labels-idx1-ubyte'"),
            ("shape", {TEST_IMAGES: idx((N, 14, 56), PIXELS[:N * 784])}, "14x56 pixels"),
            ("small", {TEST_IMAGES: idx((N, 14, 14), PIXELS[:N * 196])}, "14x14 pixels"),
        ]:
            with self.subTest(name):
                folder = self.folder / name
                make_folder(folder, Case(name, says, files))
                with self.unchanged():
                    result = self.digits("eval", "--model", model, "--data", folder, code=BAD_DATA)
                self.assertIn(says, result.err)
                self.assertEqual(result.out, "")

    def test_an_existing_model_survives_bad_data(self):
        folder = self.folder / "data"
        make_folder(folder, CASES[0])
        shutil.copy(digits.small_model(), self.folder / "model.safetensors")
        with self.unchanged():
            self.digits("train", "--data", folder, "--log", "run.jsonl", code=BAD_DATA)

    def test_a_missing_folder_is_named_and_help_is_offered(self):
        with self.unchanged():
            result = self.digits("train", "--data", "nowhere", code=BAD_DATA)
        self.assertIn("there is no folder 'nowhere'", result.err)
        self.assertIn("scripts/fetch_mnist.sh", result.err)
        self.assertIn("digits synth", result.err)

    def test_without_any_data_the_places_looked_at_are_listed(self):
        with self.unchanged():
            result = self.digits("train", code=BAD_DATA)
        self.assertIn("'data/mnist'", result.err)
        self.assertIn(f"'{self.folder}/.local/share/digits/mnist'", result.err)

    def test_an_unreadable_file_is_refused(self):
        if os.geteuid() != 0:
            self.refuse_unreadable({})
        else:
            self.folder.chmod(0o755)
            self.refuse_unreadable({"user": 65534, "group": 65534, "extra_groups": []})

    def refuse_unreadable(self, who):
        folder = self.folder / "data"
        make_folder(folder, Case("unreadable", ""))
        (folder / TRAIN_IMAGES).chmod(0)
        out = self.folder / "out"
        out.mkdir(mode=0o777)
        out.chmod(0o777)
        try:
            subprocess.run([str(digits.PROGRAM), "--version"], check=True, capture_output=True,
                           **who)
        except (OSError, subprocess.CalledProcessError):
            self.skipTest("the program cannot be run by another user from where it is")
        result = self.digits("train", "--data", folder, cwd=out, code=BAD_DATA, **who)
        self.assertIn(TRAIN_IMAGES, result.err)
        self.assertIn("Permission denied", result.err)
        self.assert_one_line(result.err)
        self.assertEqual(list(out.iterdir()), [])


class Lookup(CliTest):
    """Where data are looked for, and under which names."""

    def place(self, folder, change=lambda name: name, pack=False):
        folder.mkdir(parents=True)
        for name, data in SOUND.items():
            (folder / change(name)).write_bytes(packed(data) if pack else data)
        return folder

    def train(self, *arguments, **options):
        return self.digits("train", "--epochs", 1, *arguments, **options).out

    def test_names_with_a_dot_before_idx_are_found(self):
        folder = self.place(self.folder / "d", lambda name: name.replace("-idx", ".idx"))
        self.assertIn(str(folder), self.train("--data", folder))

    def test_content_decides_about_compression_not_the_name(self):
        self.train("--data", self.place(self.folder / "a", lambda name: name + ".gz"))
        self.train("--data", self.place(self.folder / "b", pack=True))
        self.train("--data", self.place(self.folder / "c", lambda name: name + ".gz", pack=True))

    def test_several_gzip_members_are_one_file(self):
        folder = self.place(self.folder / "d")
        (folder / TRAIN_IMAGES).write_bytes(packed(IMAGES[:1000]) + packed(IMAGES[1000:]))
        self.train("--data", folder)

    def test_the_environment_the_folder_and_the_home_are_looked_through_in_this_order(self):
        home = self.place(self.folder / ".local/share/digits/mnist")
        self.assertIn(str(home), self.train())
        xdg = self.place(self.folder / "xdg/digits/mnist")
        self.assertIn(str(xdg), self.train(env={"XDG_DATA_HOME": self.folder / "xdg"}))
        self.place(self.folder / "data/mnist")
        self.assertIn("from data/mnist\n", self.train())
        named = self.place(self.folder / "named")
        self.assertIn(str(named), self.train(env={"DIGITS_DATA": named}))
        given = self.place(self.folder / "given")
        self.assertIn(str(given), self.train("--data", given, env={"DIGITS_DATA": named}))

    def test_a_folder_that_is_named_is_the_only_one_looked_at(self):
        self.place(self.folder / "data/mnist")
        (self.folder / "empty").mkdir()
        self.digits("train", "--data", "empty", code=BAD_DATA)
        self.digits("train", env={"DIGITS_DATA": "empty"}, code=BAD_DATA)

    def test_unknown_data_are_not_called_mnist(self):
        out = self.train("--data", self.place(self.folder / "d"))
        self.assertIn("an unknown data set", out)
        self.assertNotIn("MNIST", out)


if __name__ == "__main__":
    unittest.main()
