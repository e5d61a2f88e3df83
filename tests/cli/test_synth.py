#!/usr/bin/env python3
"""`digits synth`: four files like MNIST's, the same everywhere, never to be taken for MNIST."""

import hashlib
import os
import shutil
import unittest

import digits
from digits import (BAD_DATA, DONE, FAILED, NAMES, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES,
                    TRAIN_LABELS, USAGE, CliTest, read_idx)


class SynthTest(CliTest):
    def synth(self, *arguments, out="out", train=30, test=12, **options):
        return self.digits("synth", "--out", out, "--train", train, "--test", test, *arguments,
                           **options)

    def read(self, name, folder="out"):
        return read_idx(self.folder / folder / (name + ".gz"))


class Files(SynthTest):
    def test_the_four_files_are_written_with_a_marker(self):
        out = self.synth().out
        self.assertIn("30 training and 12 test digits in out", out)
        self.assertEqual(sorted(os.listdir(self.folder / "out")),
                         sorted([name + ".gz" for name in NAMES] + ["GENERATED.txt"]))
        for name, n in zip(NAMES, (30, 30, 12, 12)):
            dims, data = self.read(name)
            self.assertEqual(dims, (n, 28, 28) if "images" in name else (n,))
            if "labels" in name:
                self.assertLess(max(data), 10)

    def test_the_marker_lists_digests_and_the_command(self):
        self.synth("--seed", 3)
        text = (self.folder / "out/GENERATED.txt").read_text()
        self.assertIn("not MNIST", text)
        self.assertIn("digits synth --train 30 --test 12 --seed 3\n", text)
        for name in NAMES:
            dims, data = self.read(name)
            digest = hashlib.sha256(digits.idx(dims, data)).hexdigest()
            self.assertIn(f"{digest}  {name}\n", text)

    def test_the_same_seed_gives_the_same_digits(self):
        self.synth(out="a")
        self.synth(out="b", env={"LC_ALL": "C", "TZ": "Asia/Seoul"})
        self.synth("--seed", 2, out="c")
        for name in NAMES:
            self.assertEqual(self.read(name, "a"), self.read(name, "b"))
            self.assertNotEqual(self.read(name, "a"), self.read(name, "c"))

    def test_the_first_digits_do_not_depend_on_how_many_there_are(self):
        self.synth(out="few")
        self.synth(out="many", train=50, test=20)
        for name in NAMES:
            few = self.read(name, "few")[1]
            self.assertEqual(few, self.read(name, "many")[1][:len(few)])

    def test_training_and_test_digits_differ(self):
        self.synth(train=12)
        self.assertNotEqual(self.read(TRAIN_IMAGES), self.read(TEST_IMAGES))

    def test_digits_have_ink_centred_as_mnist_centres_it(self):
        self.synth(test=50)
        _, data = self.read(TEST_IMAGES)
        for k in range(50):
            picture = data[784 * k:784 * (k + 1)]
            ink = sum(picture)
            self.assertGreater(ink, 784 * 5)
            x = sum(v * (i % 28) for i, v in enumerate(picture)) / ink
            y = sum(v * (i // 28) for i, v in enumerate(picture)) / ink
            self.assertTrue(12.5 < x < 15.5 and 12.5 < y < 15.5, (k, x, y))
            self.assertEqual(sum(picture[:28]), 0)

    def test_every_digit_occurs(self):
        labels = read_idx(digits.small_data() / (TEST_LABELS + ".gz"))[1]
        self.assertEqual(set(labels), set(range(10)))

    def test_a_sheet_is_drawn_on_request(self):
        self.synth("--sheet", "sheet.png")
        self.assertTrue((self.folder / "sheet.png").read_bytes().startswith(b"\x89PNG"))

    def test_quiet_says_nothing(self):
        result = self.synth("--quiet")
        self.assertEqual((result.out, result.err), ("", ""))


class Safety(SynthTest):
    def test_an_earlier_run_is_replaced(self):
        self.synth()
        self.synth("--seed", 2)
        self.assertIn("--seed 2\n", (self.folder / "out/GENERATED.txt").read_text())

    def test_real_data_are_not_overwritten(self):
        self.synth()
        (self.folder / "out/GENERATED.txt").unlink()
        with self.unchanged():
            result = self.synth("--seed", 2, code=FAILED)
        self.assertIn("holds data that are not generated", result.err)
        self.synth("--seed", 2, "--force")

    def test_a_folder_with_something_else_is_not_touched(self):
        (self.folder / "out").mkdir()
        (self.folder / "out/notes.txt").write_text("mine")
        with self.unchanged():
            self.assertIn("holds something else: 'notes.txt'", self.synth(code=FAILED).err)
        self.synth("--force")
        self.assertEqual((self.folder / "out/notes.txt").read_text(), "mine")

    def test_a_sheet_does_not_overwrite_what_is_no_picture(self):
        (self.folder / "notes.txt").write_text("mine")
        with self.unchanged():
            self.synth("--sheet", "notes.txt", code=FAILED)

    def test_what_cannot_be_written_is_said_before_the_work(self):
        (self.folder / "file").write_text("")
        for arguments in (["--sheet", "no/such/folder.png"], ["--sheet", "."]):
            with self.unchanged():
                self.assert_one_line(self.synth(*arguments, code=FAILED).err)
        for out in ("file", "no/such/folder"):
            with self.unchanged():
                self.assert_one_line(self.synth(out=out, code=FAILED).err)

    def test_numbers_are_checked(self):
        for arguments in (["--train", 0], ["--test", 10000001], ["--seed", "x"],
                          ["--train", "1e3"]):
            with self.unchanged():
                self.digits("synth", "--out", "out", *arguments, code=USAGE)


class Labelling(SynthTest):
    def test_generated_digits_are_known_as_such_wherever_they_are_moved(self):
        self.synth()
        shutil.move(self.folder / "out", self.folder / "mnist")
        report = self.digits("train", "--data", "mnist", "--epochs", 1, "--json").json()
        self.assertEqual(report["data"]["name"], "generated digits (digits synth)")

    def test_without_the_marker_they_are_unknown(self):
        self.synth()
        (self.folder / "out/GENERATED.txt").unlink()
        report = self.digits("train", "--data", "out", "--epochs", 1, "--json").json()
        self.assertEqual(report["data"]["name"], "an unknown data set")

    def test_a_marker_does_not_cover_other_files(self):
        self.synth()
        self.synth("--seed", 2, out="other")
        for name in (TRAIN_IMAGES, TRAIN_LABELS):
            shutil.copy(self.folder / "other" / (name + ".gz"), self.folder / "out")
        report = self.digits("train", "--data", "out", "--epochs", 1, "--json").json()
        self.assertEqual(report["data"]["name"], "an unknown data set")

    def test_images_of_one_run_are_not_taken_with_labels_of_another(self):
        """As a run leaves them that is cut short: first the marker is replaced, then each file."""
        self.synth(out="old")
        self.synth("--seed", 2, out="new")
        out = self.folder / "out"
        shutil.copytree(self.folder / "old", out)
        codes = {"train": [], "eval": []}
        for name in ("GENERATED.txt", *(name + ".gz" for name in NAMES)):
            shutil.copy(self.folder / "new" / name, out)
            for command, seen in codes.items():
                result = self.digits(command, "--data", "out", code=None)
                seen.append(result.code)
                if result.code == BAD_DATA:
                    self.assertRegex(result.err, r"'out/\S+-images-\S+' and 'out/\S+-labels-\S+' are "
                                                 r"not of one data set, by 'out/GENERATED.txt'")
        self.assertEqual(codes["train"], [DONE, BAD_DATA, DONE, DONE, DONE])
        self.assertEqual(codes["eval"], [DONE, DONE, DONE, BAD_DATA, DONE])


if __name__ == "__main__":
    unittest.main()
