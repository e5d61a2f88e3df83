#!/usr/bin/env python3
"""`digits predict`: the digit in a picture, the same as NumPy reads from the same files."""

import re
import subprocess
import unittest

import digits
from digits import (BAD_DATA, BAD_MODEL, N_TEST, TEST_IMAGES, TEST_LABELS, USAGE, CliTest, idx,
                    needs_mnist, png, read_idx)

NUMPY_MODEL = digits.TOP / "tests" / "numpy_model.py"


class PredictTest(CliTest):
    def predict(self, *arguments, **options):
        return self.digits("predict", "--model", options.pop("model", digits.small_model()),
                           *arguments, **options)

    def images(self):
        return digits.small_data() / (TEST_IMAGES + ".gz")

    def pixels(self, k):
        return read_idx(self.images())[1][784 * k:784 * (k + 1)]

    def write(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path


class Numpy(PredictTest):
    def compare(self, model, images):
        python = digits.python_with_numpy()
        if not python:
            self.skipTest("needs NumPy")
        expected = subprocess.run([python, NUMPY_MODEL, model, images], check=True,
                                  capture_output=True, text=True).stdout.split()
        found = self.predict("--json", images, model=model).json()["predictions"]
        self.assertEqual([str(prediction["digit"]) for prediction in found], expected)
        return expected

    def test_numpy_reads_the_model_and_predicts_the_same(self):
        expected = self.compare(digits.small_model(), self.images())
        self.assertEqual(len(expected), N_TEST)

    def test_numpy_predicts_the_same_for_each_activation_and_depth(self):
        for activation in ("sigmoid", "tanh", "relu", "leaky-relu", "identity"):
            with self.subTest(activation):
                self.digits("train", "--data", digits.small_data(), "--activation", activation,
                            "--hidden", "20,12", "--lr", 0.01, "--epochs", 3, "--out", "m")
                self.compare(self.folder / "m", self.images())

    @needs_mnist
    def test_numpy_predicts_the_same_for_all_of_mnist(self):
        self.digits("train", "--data", digits.mnist(), "--epochs", 2, "--out", "m")
        self.compare(self.folder / "m", digits.mnist() / (TEST_IMAGES + ".gz"))


class Pictures(PredictTest):
    def test_a_png_and_the_same_picture_in_an_idx_file_read_alike(self):
        path = self.write("five.png", png(self.pixels(5), 28, 28))
        one = self.predict("--json", path).json()["predictions"]
        other = self.predict("--json", "--index", 5, self.images()).json()["predictions"]
        self.assertEqual(len(one), 1)
        self.assertEqual(one[0]["probabilities"], other[0]["probabilities"])
        self.assertEqual((one[0]["file"], one[0]["index"]), (str(path), 0))
        self.assertEqual(other[0]["index"], 5)

    def test_probabilities_sum_to_one_and_the_largest_is_the_digit(self):
        predictions = self.predict("--json", self.images()).json()["predictions"]
        self.assertEqual([p["index"] for p in predictions], list(range(N_TEST)))
        for prediction in predictions:
            p = prediction["probabilities"]
            self.assertAlmostEqual(sum(p), 1, places=5)
            self.assertEqual(p.index(max(p)), prediction["digit"])
            self.assertEqual(prediction["probability"], max(p))
            self.assertEqual(prediction["class"], str(prediction["digit"]))

    def test_most_of_the_generated_digits_are_read_right(self):
        labels = read_idx(digits.small_data() / (TEST_LABELS + ".gz"))[1]
        predictions = self.predict("--json", self.images()).json()["predictions"]
        right = sum(p["digit"] == label for p, label in zip(predictions, labels))
        self.assertGreater(right, N_TEST // 2)

    def test_the_text_has_a_row_a_picture(self):
        out = self.predict("--first", 4, self.images()).out
        head, *rows = out.splitlines()
        self.assertRegex(head, r"^digit +0 +1 +2 +3 +4 +5 +6 +7 +8 +9  picture$")
        self.assertEqual(len(rows), 4)
        predictions = self.predict("--first", 4, "--json", self.images()).json()["predictions"]
        for k, (row, prediction) in enumerate(zip(rows, predictions)):
            cells = row.split()
            self.assertEqual(cells[0], str(prediction["digit"]))
            for cell, p in zip(cells[1:11], prediction["probabilities"]):
                self.assertEqual(0 if cell == "." else int(cell), int(100 * p + 0.5))
            self.assertEqual(cells[11], f"{self.images()}[{k}]")

    def test_plain_idx_files_are_read_too(self):
        path = self.write("images", idx((2, 28, 28), self.pixels(0) + self.pixels(1)))
        self.assertEqual(len(self.predict("--json", path).json()["predictions"]), 2)

    def test_show_draws_the_picture(self):
        square = bytes(255 if 8 <= y < 20 and 8 <= x < 20 else 0
                       for y in range(28) for x in range(28))
        path = self.write("square.png", png(square, 28, 28))
        for locale, ink in (("C.UTF-8", "█"), ("C", "@")):
            out = self.predict("--show", path, env={"LC_ALL": locale}).out
            rows = out.splitlines()[:14]
            inked = " " * 8 + ink * 12 + " " * 8
            expected = [inked if 4 <= y < 10 else " " * 28 for y in range(14)]
            self.assertEqual(rows, expected)
        self.assertNotIn("\033", out)


class Refusals(PredictTest):
    def test_pictures_that_cannot_be_read_are_refused(self):
        gray = self.pixels(0)
        rgb = bytes(28 * 28 * 3)
        sound = png(gray, 28, 28)
        for name, data, says in [
            ("large.png", png(bytes(32 * 32), 32, 32), "32x32 pixels"),
            ("wide.png", png(bytes(14 * 56), 56, 14), "14x56 pixels"),
            ("colour.png", png(rgb, 28, 28, colour=2), "in colour"),
            ("cut.png", sound[:-20], "damaged PNG"),
            ("crc.png", sound[:50] + bytes([sound[50] ^ 1]) + sound[51:], "damaged PNG"),
            ("bomb.png", png(bytes(4), 2, 2).replace(b"\0\0\0\2" * 2, b"\x7f\xff\xff\xff" * 2),
             "PNG"),
            ("photo.jpg", b"\xff\xd8\xff\xe0" + bytes(100), "neither a PNG picture nor an IDX file"),
            ("text.txt", b"a seven, I swear", "neither a PNG picture nor an IDX file"),
            ("empty", b"", "is empty"),
            ("labels", idx((3,), [1, 2, 3]), "1 dimension of type u8, expected pictures"),
            ("small", idx((1, 20, 20), bytes(400)), "20x20 pixels"),
            ("floats", idx((1, 28, 28), bytes(4 * 784), 0x0D), "type f32, expected pictures"),
        ]:
            with self.subTest(name):
                path = self.write(name, data)
                with self.unchanged():
                    result = self.predict("--json", path, code=BAD_DATA)
                self.assertIn(says, result.err)
                self.assertIn(name, result.err)
                self.assert_one_line(result.err)
                self.assertEqual(result.json()["predictions"], [])

    def test_a_missing_file_and_a_folder_are_refused(self):
        for name in ("missing.png", "."):
            result = self.predict(name, code=BAD_DATA)
            self.assertIn(f"'{name}'", result.err)
            self.assert_one_line(result.err)

    def test_one_bad_file_does_not_keep_the_others_from_being_read(self):
        good = self.write("good.png", png(self.pixels(0), 28, 28))
        bad = self.write("bad.png", b"x" * 100)
        result = self.predict("--json", good, bad, good, code=BAD_DATA)
        self.assertEqual(len(result.json()["predictions"]), 2)
        self.assert_one_line(result.err)

    def test_an_index_beyond_the_file_is_refused(self):
        result = self.predict("--index", N_TEST, self.images(), code=USAGE)
        self.assertRegex(result.err, rf"--index must be less than {N_TEST}.* not '{N_TEST}'")
        self.predict("--index", N_TEST - 1, self.images())

    def test_index_and_first_exclude_each_other(self):
        self.predict("--index", 1, "--first", 1, self.images(), code=USAGE)

    def test_a_missing_model_is_named(self):
        result = self.predict(self.images(), model="none.safetensors", code=BAD_MODEL)
        self.assertIn("none.safetensors", result.err)
        self.assertIn("digits train", result.err)

    def test_a_file_name_cannot_play_tricks_on_the_terminal(self):
        path = self.write("a\033[31mb.png", png(self.pixels(0), 28, 28))
        self.assertNotIn("\033", self.predict(path).out)
        self.assertTrue(re.search(r"a\?\[31mb", self.predict(path).out))


if __name__ == "__main__":
    unittest.main()
