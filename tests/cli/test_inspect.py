#!/usr/bin/env python3
"""`digits inspect`: what a file holds, as counted here from its bytes."""

import array
import math
import struct
import unittest

import digits
from digits import (BAD_DATA, N_TEST, TEST_IMAGES, TEST_LABELS, CliTest, idx, needs_mnist, read_idx,
                    read_model)


class Models(CliTest):
    def test_tensors_are_listed_with_what_they_come_to(self):
        report = self.digits("inspect", "--json", digits.small_model()).json()
        header, data = read_model(digits.small_model())
        self.assertEqual(report["kind"], "model")
        self.assertEqual(report["parameters"], 11935)
        self.assertEqual(report["bytes"], digits.small_model().stat().st_size)
        self.assertEqual([tensor["name"] for tensor in report["tensors"]],
                         [name for name in header if name != "__metadata__"])
        for tensor in report["tensors"]:
            start, end = header[tensor["name"]]["data_offsets"]
            values = array.array("f", data[start:end])
            self.assertEqual(tensor["shape"], header[tensor["name"]]["shape"])
            self.assertEqual((tensor["min"], tensor["max"]), (min(values), max(values)))
            self.assertAlmostEqual(tensor["mean"], sum(values) / len(values), places=9)
            self.assertAlmostEqual(tensor["norm"], math.sqrt(sum(v * v for v in values)), places=6)

    def test_metadata_are_shown(self):
        report = self.digits("inspect", "--json", digits.small_model()).json()
        header, _ = read_model(digits.small_model())
        for key, value in report["metadata"].items():
            self.assertEqual(header["__metadata__"][key], value)
        self.assertEqual(report["metadata"]["seed"], "1")

    def test_the_text_fits_80_columns_and_names_the_network(self):
        out = self.digits("inspect", digits.small_model()).out
        self.assertRegex(out, r"784 -> 15 sigmoid \(dropout 0\.\d+\) -> 10 softmax")
        self.assertIn("15 x 784", out)
        self.assertRegex(out, r"parameters +11,935\n")
        for line in out.splitlines()[1:]:
            self.assertLessEqual(len(line), 80, line)


class IdxFiles(CliTest):
    def inspect(self, data):
        path = self.folder / "file"
        path.write_bytes(data)
        return self.digits("inspect", "--json", path).json()

    def test_each_type_is_read_with_its_sign_and_byte_order(self):
        for name, kind, form, values in [
            ("u8", 0x08, "B", [0, 1, 255]), ("i8", 0x09, "b", [-128, 0, 127]),
            ("i16", 0x0B, "h", [-32768, 5, 32767]), ("i32", 0x0C, "i", [-2 ** 31, 9, 2 ** 31 - 1]),
            ("f32", 0x0D, "f", [-1.5, 0.0, 2.25]), ("f64", 0x0E, "d", [-1e300, 0.0, 1e-300]),
        ]:
            with self.subTest(name):
                report = self.inspect(idx((1, 3), struct.pack(f">3{form}", *values), kind))
                self.assertEqual((report["kind"], report["type"]), ("idx", name))
                self.assertEqual(report["shape"], [1, 3])
                self.assertEqual((report["min"], report["max"]), (min(values), max(values)))
                self.assertEqual(report["not_zero"], sum(v != 0 for v in values))

    def test_numbers_that_are_not_finite_are_counted_apart(self):
        report = self.inspect(idx((4,), struct.pack(">4f", math.nan, math.inf, 1, 3), 0x0D))
        self.assertEqual(report["not_finite"], 2)
        self.assertEqual((report["min"], report["max"], report["mean"]), (1, 3, 2))

    def test_labels_are_counted(self):
        path = digits.small_data() / (TEST_LABELS + ".gz")
        labels = read_idx(path)[1]
        report = self.digits("inspect", "--json", path).json()
        self.assertEqual(report["labels"], [labels.count(k) for k in range(10)])
        for locale in ("C.UTF-8", "C"):
            out = self.digits("inspect", path, env={"LC_ALL": locale}).out
            for k in range(10):
                self.assertRegex(out, rf"(?m)^ +{k} +{labels.count(k)} ")

    def test_pictures_are_measured_and_drawn(self):
        path = digits.small_data() / (TEST_IMAGES + ".gz")
        pixels = read_idx(path)[1]
        report = self.digits("inspect", "--json", path).json()
        self.assertEqual(report["shape"], [N_TEST, 28, 28])
        self.assertAlmostEqual(report["mean"], sum(pixels) / len(pixels), places=9)
        out = self.digits("inspect", "--show", 2, path).out
        self.assertEqual(out.count("  picture "), 2)
        self.assertNotIn("\033", out)

    def test_what_is_neither_is_refused(self):
        path = self.folder / "notes.txt"
        path.write_text("some words")
        result = self.digits("inspect", path, code=BAD_DATA)
        self.assertIn("is neither a model nor an IDX file", result.err)
        result = self.digits("inspect", "missing", code=BAD_DATA)
        self.assertIn("'missing'", result.err)

    @needs_mnist
    def test_mnist_is_as_its_authors_describe_it(self):
        report = self.digits("inspect", "--json", digits.mnist() / (TEST_IMAGES + ".gz")).json()
        self.assertEqual(report["shape"], [10000, 28, 28])
        self.assertAlmostEqual(report["mean"] / 255, 0.1325, places=4)


if __name__ == "__main__":
    unittest.main()
