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


def enlarge(pixels, scale):
    """A 28 x 28 picture, each pixel scale x scale."""
    return b"".join(bytes(p for p in pixels[28 * y:28 * y + 28] for _ in range(scale)) * scale
                    for y in range(28))


def invert(pixels):
    return bytes(255 - p for p in pixels)


class Prepared(PredictTest):
    """Pictures in which digits are looked for first."""

    def drawing(self, k, scale=4):
        """Digit k of the test images, as someone might have drawn it: large, black on white."""
        return self.write(f"drawing{k}.png",
                          png(invert(enlarge(self.pixels(k), scale)), 28 * scale, 28 * scale))

    def test_an_enlarged_digit_is_read_as_the_digit_itself(self):
        same = 0
        for k in range(20):
            (one,) = self.predict("--json", self.drawing(k)).json()["predictions"]
            (other,) = self.predict("--json", "--index", k, self.images()).json()["predictions"]
            same += one["digit"] == other["digit"]
            self.assertEqual((one["prepared"], other["prepared"]), (True, False))
        self.assertGreaterEqual(same, 18)

    def test_a_box_tells_where_the_digit_is(self):
        pixels = self.pixels(0)
        (found,) = self.predict("--json", self.drawing(0, 5)).json()["predictions"]
        columns = [x for x in range(28) if any(pixels[28 * y + x] > 127 for y in range(28))]
        box = found["box"]
        self.assertAlmostEqual(box["left"] / 5, columns[0], delta=1)
        self.assertAlmostEqual((box["left"] + box["width"]) / 5, columns[-1] + 1, delta=1)

    def test_several_digits_are_read_in_order(self):
        rows = [b"".join(invert(self.pixels(k)[28 * y:28 * y + 28]) for k in range(5))
                for y in range(28)]
        wide = b"".join(bytes(p for p in row for _ in range(3)) * 3 for row in rows)
        path = self.write("row.png", png(wide, 28 * 15, 28 * 3))
        found = self.predict("--json", "--pixels", path).json()["predictions"]
        self.assertEqual([p["index"] for p in found], list(range(5)))
        for k, prediction in enumerate(found):
            self.assertGreaterEqual(prediction["box"]["left"], 84 * k)
            self.assertLess(prediction["box"]["left"], 84 * (k + 1))
            difference = sum(abs(a - b) for a, b in zip(prediction["pixels"], self.pixels(k)))
            self.assertLess(difference / 784, 20)
        rows = self.predict(path).out.splitlines()[1:]
        self.assertEqual([row.split()[11] for row in rows], [f"{path}[{k}]" for k in range(5)])

    def test_blank_paper_and_scribbles_are_no_digit(self):
        hatching = bytes(0 if x // 10 % 2 and 20 <= x < 180 and 20 <= y < 180 else 255
                         for y in range(200) for x in range(200))
        joined = bytes(0 if 95 <= i // 200 < 105 and 20 <= i % 200 < 180 else p
                       for i, p in enumerate(hatching))
        for name, data in [("blank.png", png(bytes([240]) * 10000, 100, 100)),
                           ("black.png", png(bytes(784), 28, 28)),
                           ("scribble.png", png(joined, 200, 200))]:
            with self.subTest(name):
                path = self.write(name, data)
                (found,) = self.predict("--json", path).json()["predictions"]
                self.assertEqual(found["verdict"], "no digit")
                self.assertNotIn("digit", found)
                head, row = self.predict(path).out.splitlines()
                self.assertEqual(row.split()[:11], ["-"] + 10 * ["."])
                self.assertTrue(row.endswith("no digit"))

    def test_low_probabilities_are_unsure(self):
        found = self.predict("--json", self.images()).json()["predictions"]
        self.assertEqual({p["verdict"] for p in found}, {"sure", "unsure"})
        least = min(p["probability"] for p in found if p["verdict"] == "sure")
        most = max(p["probability"] for p in found if p["verdict"] == "unsure")
        self.assertLess(most, 0.8)
        self.assertGreaterEqual(least, 0.8)
        rows = self.predict(self.images()).out.splitlines()[1:]
        self.assertEqual([row.endswith("unsure") for row in rows],
                         [p["verdict"] == "unsure" for p in found])

    def test_prepare_always_and_never_have_their_way(self):
        path = self.write("digit.png", png(self.pixels(0), 28, 28))
        for mode, prepared in (("auto", False), ("always", True), ("never", False)):
            (found,) = self.predict("--json", "--prepare", mode, path).json()["predictions"]
            self.assertEqual(found["prepared"], prepared)
        small = self.write("small.png", png(invert(self.pixels(0)), 28, 28))
        (found,) = self.predict("--json", small).json()["predictions"]
        self.assertTrue(found["prepared"], "dark on light is no picture like MNIST's")

    def test_save_writes_what_the_network_sees(self):
        paths = [self.drawing(k) for k in range(3)]
        found = self.predict("--json", "--pixels", "--save", "seen", *paths).json()["predictions"]
        names = sorted(path.name for path in (self.folder / "seen").iterdir())
        self.assertEqual(names, [f"{k:05}-{p['class']}.png" for k, p in enumerate(found)])
        for name, prediction in zip(names, found):
            self.assertEqual(digits.read_png_gray(self.folder / "seen" / name),
                             (28, 28, bytes(prediction["pixels"])))
        with self.unchanged():
            result = self.predict("--save", "seen", paths[0], code=digits.FAILED)
        self.assertIn("'seen' is not empty", result.err)
        self.assert_one_line(result.err)

    def test_pixels_need_json(self):
        self.predict("--pixels", self.drawing(0), code=USAGE)


class Refusals(PredictTest):
    def test_pictures_that_cannot_be_read_are_refused(self):
        gray = self.pixels(0)
        rgb = bytes(28 * 28 * 3)
        sound = png(gray, 28, 28)
        for name, data, says in [
            ("cut.png", sound[:-20], "damaged PNG"),
            ("crc.png", sound[:50] + bytes([sound[50] ^ 1]) + sound[51:], "damaged PNG"),
            ("bomb.png", png(bytes(4), 2, 2).replace(b"\0\0\0\2" * 2, b"\x7f\xff\xff\xff" * 2),
             "PNG"),
            ("photo.jpg", b"\xff\xd8\xff\xe0" + bytes(100), "damaged JPEG"),
            ("pgm", b"P5 28 28 255 " + bytes(783), "damaged PGM or PPM"),
            ("text.txt", b"a seven, I swear", "neither a PNG, JPEG, PGM or PPM picture nor"),
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

    def test_with_prepare_never_a_picture_must_be_what_the_network_takes(self):
        for name, data, says in [
            ("large.png", png(bytes(32 * 32), 32, 32), "32x32 pixels"),
            ("wide.png", png(bytes(14 * 56), 56, 14), "14x56 pixels"),
            ("colour.png", png(b"\1\2\3" * 28 * 28, 28, 28, colour=2), "in colour"),
        ]:
            with self.subTest(name):
                result = self.predict("--prepare", "never", self.write(name, data), code=BAD_DATA)
                self.assertIn(says, result.err)
                self.assert_one_line(result.err)

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
