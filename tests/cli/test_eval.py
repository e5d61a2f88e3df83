#!/usr/bin/env python3
"""`digits eval`: its figures follow from the data, its pictures are the mistakes, and it overwrites
nothing but its own files."""

import csv
import json
import math
import re
import struct
import unittest
import zlib

import digits
from digits import (BAD_DATA, BAD_MODEL, FAILED, N_TEST, TEST_IMAGES, TEST_LABELS, USAGE, CliTest,
                    read_idx, read_model, read_png_gray, write_model)

PICTURE = re.compile(r"(\d{5,})-is-(\d)-read-as-(\d)-at-([01]\.\d\d)\.png")


class EvalTest(CliTest):
    def eval(self, *arguments, **options):
        model = options.pop("model", digits.small_model())
        return self.digits("eval", "--model", model, "--data", digits.small_data(), *arguments,
                           **options)

    def names(self, folder="errors"):
        return sorted(path.name for path in (self.folder / folder).iterdir())

    def pictures(self, folder="errors"):
        return [name for name in self.names(folder) if PICTURE.fullmatch(name)]


class Figures(EvalTest):
    """The figures of --json, computed again from the predictions that `digits predict` prints."""

    def setUp(self):
        super().setUp()
        self.report = self.eval("--no-errors", "--json").json()
        self.labels = read_idx(digits.small_data() / (TEST_LABELS + ".gz"))[1]
        predictions = self.digits("predict", "--model", digits.small_model(), "--json",
                                  digits.small_data() / (TEST_IMAGES + ".gz")).json()["predictions"]
        self.predicted = [prediction["digit"] for prediction in predictions]
        self.probabilities = [prediction["probabilities"] for prediction in predictions]

    def test_accuracy_counts_what_was_read_right(self):
        correct = sum(a == b for a, b in zip(self.labels, self.predicted))
        self.assertEqual(self.report["correct"], correct)
        self.assertEqual(self.report["total"], N_TEST)
        self.assertEqual(self.report["accuracy"], correct / N_TEST)

    def test_the_interval_is_wilsons(self):
        n, p, z = N_TEST, self.report["accuracy"], 1.959963984540054
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        for found, expected in zip(self.report["ci95"], (centre - half, centre + half)):
            self.assertAlmostEqual(found, expected, places=12)

    def test_the_loss_is_the_mean_logarithm(self):
        losses = [-math.log(p[label]) for label, p in zip(self.labels, self.probabilities)]
        self.assertAlmostEqual(self.report["loss"], sum(losses) / N_TEST, places=5)

    def test_the_confusion_matrix_counts_pairs(self):
        expected = [[0] * 10 for _ in range(10)]
        for label, guess in zip(self.labels, self.predicted):
            expected[label][guess] += 1
        self.assertEqual(self.report["confusion"], expected)

    def test_the_classes_have_precision_recall_and_f1(self):
        matrix = self.report["confusion"]
        for k, found in enumerate(self.report["per_class"]):
            right, present = matrix[k][k], sum(matrix[k])
            read = sum(row[k] for row in matrix)
            precision = right / read if read else 0
            recall = right / present if present else 0
            f1 = 2 * precision * recall / (precision + recall) if right else 0
            self.assertEqual((found["class"], found["images"]), (str(k), present))
            self.assertAlmostEqual(found["precision"], precision, places=12)
            self.assertAlmostEqual(found["recall"], recall, places=12)
            self.assertAlmostEqual(found["f1"], f1, places=12)

    def test_the_commonest_mistakes_come_first(self):
        matrix = self.report["confusion"]
        pairs = sorted(((-matrix[k][c], k, c) for k in range(10) for c in range(10)
                        if k != c and matrix[k][c]))
        found = [(-pair["times"], int(pair["class"]), int(pair["read_as"]))
                 for pair in self.report["confused"]]
        self.assertEqual(found, pairs[:20])

    def test_the_data_are_named(self):
        self.assertEqual(self.report["data"]["name"], "generated digits (digits synth)")
        self.assertEqual(self.report["trained_on"], "generated digits (digits synth)")

    def test_the_text_says_the_same_in_80_columns(self):
        out = self.eval("--no-errors").out
        correct, matrix = self.report["correct"], self.report["confusion"]
        self.assertIn(f"correct     {correct} of {N_TEST}, {N_TEST - correct} mistakes\n", out)
        self.assertIn(f"accuracy    {100 * correct / N_TEST:.2f} %, 95 % interval", out)
        self.assertNotIn("MNIST", out)
        self.assertNotIn("\033", out)
        for k, row in enumerate(matrix):
            cells = [str(k), *(str(n) if n else "." for n in row)]
            self.assertRegex(out, r"(?m)^ +" + r"[░▒▓█]? +".join(map(re.escape, cells)) + "[░▒▓█]?$")
        for line in out.splitlines():
            if not line.startswith(("model", "data")):
                self.assertLess(len(line), 80, line)

    def test_the_training_images_can_be_measured_as_well(self):
        report = self.eval("--no-errors", "--json", "--set", "train").json()
        self.assertEqual((report["total"], report["data"]["set"]), (digits.N_TRAIN, "train"))


class Pictures(EvalTest):
    def test_there_is_a_picture_for_each_mistake_and_name_and_content_agree(self):
        report = self.eval("--json").json()
        self.assertEqual(report["errors"], "errors")
        pictures = self.pictures()
        self.assertEqual(len(pictures), report["total"] - report["correct"])
        self.assertGreater(len(pictures), 0)
        self.assertEqual(set(self.names()) - set(pictures), {"contact-sheet.png", "errors.csv"})
        _, pixels = read_idx(digits.small_data() / (TEST_IMAGES + ".gz"))
        _, labels = read_idx(digits.small_data() / (TEST_LABELS + ".gz"))
        for name in pictures:
            index, label, guess, _ = PICTURE.fullmatch(name).groups()
            k = int(index)
            self.assertEqual(labels[k], int(label))
            self.assertNotEqual(label, guess)
            self.assertEqual(read_png_gray(self.folder / "errors" / name),
                             (28, 28, pixels[784 * k:784 * (k + 1)]))

    def test_the_table_lists_the_same_mistakes(self):
        self.eval()
        with open(self.folder / "errors/errors.csv", newline="", encoding="ascii") as file:
            rows = list(csv.DictReader(file))
        names = []
        for row in rows:
            p = [float(row[f"p{c}"]) for c in range(10)]
            self.assertAlmostEqual(sum(p), 1, places=5)
            self.assertEqual(p.index(max(p)), int(row["prediction"]))
            names.append(f"{int(row['index']):05d}-is-{row['label']}-read-as-{row['prediction']}"
                         f"-at-{max(p):.2f}.png")
        self.assertEqual(names, self.pictures())

    def test_scale_turns_pixels_into_squares(self):
        self.eval("--scale", 3, "--errors", "large")
        self.eval()
        self.assertEqual(self.pictures(), self.pictures("large"))
        name = self.pictures()[0]
        _, _, small = read_png_gray(self.folder / "errors" / name)
        width, height, large = read_png_gray(self.folder / "large" / name)
        self.assertEqual((width, height), (84, 84))
        for y in range(84):
            for x in range(84):
                self.assertEqual(large[84 * y + x], small[28 * (y // 3) + x // 3])

    def test_the_same_run_gives_the_same_folder(self):
        self.eval()
        before = {name: (self.folder / "errors" / name).read_bytes() for name in self.names()}
        self.eval()
        after = {name: (self.folder / "errors" / name).read_bytes() for name in self.names()}
        self.assertEqual(before, after)

    def test_without_pictures_nothing_is_written(self):
        with self.unchanged():
            self.eval("--no-errors")

    def test_a_scale_out_of_range_is_refused(self):
        for value in ("0", "65", "two"):
            with self.unchanged():
                self.assertIn("--scale must be a whole number from 1 to 64",
                              self.eval("--scale", value, code=USAGE).err)


class OtherPeoplesFiles(EvalTest):
    def test_files_of_an_earlier_run_are_replaced(self):
        self.eval()
        other = self.folder / "other.safetensors"
        self.digits("train", "--data", digits.small_data(), "--epochs", 1, "--seed", 5,
                    "--out", other)
        stale = set(self.pictures())
        self.eval(model=other)
        fresh = self.pictures()
        report = self.eval("--json", "--no-errors", model=other).json()
        self.assertEqual(len(fresh), report["total"] - report["correct"])
        self.assertTrue(stale - set(fresh), "the two models should differ in their mistakes")

    def test_a_folder_with_something_else_is_not_touched_without_force(self):
        errors = self.folder / "errors"
        errors.mkdir()
        (errors / "thesis.txt").write_text("ten years of work")
        with self.unchanged():
            result = self.eval(code=FAILED)
        self.assertIn("the folder 'errors' holds something else: 'thesis.txt'", result.err)
        self.assertEqual(result.out, "")
        self.eval("--force")
        self.assertEqual((errors / "thesis.txt").read_text(), "ten years of work")
        self.assertTrue(self.pictures())
        with self.unchanged():
            self.eval(code=FAILED)

    def test_a_table_of_someone_else_is_not_taken_for_an_earlier_run(self):
        errors = self.folder / "errors"
        errors.mkdir()
        (errors / "errors.csv").write_text("time,error\n12:00,disk\n")
        with self.unchanged():
            self.assertIn("is not of an earlier run", self.eval(code=FAILED).err)

    def test_an_empty_folder_and_hidden_files_do_no_harm(self):
        errors = self.folder / "errors"
        errors.mkdir()
        (errors / ".gitkeep").write_text("")
        self.eval()
        self.eval()
        self.assertTrue((errors / ".gitkeep").exists())

    def test_a_file_in_the_place_of_the_folder_is_refused(self):
        (self.folder / "errors").write_text("")
        with self.unchanged():
            self.assertIn("cannot read the folder 'errors'", self.eval(code=FAILED).err)
            self.eval("--force", code=FAILED)
            self.eval("--errors", "no/such/folder", code=FAILED)


def with_metadata(**changes):
    def do(header, data):
        header["__metadata__"].update(changes)
        return header, data
    return do


def with_tensor(name, **changes):
    def do(header, data):
        header[name].update(changes)
        return header, data
    return do


def with_data(change):
    return lambda header, data: (header, change(data))


def with_fixed_crc(change):
    def do(header, data):
        data = change(data)
        header["__metadata__"]["crc32"] = f"{zlib.crc32(data):08x}"
        return header, data
    return do


def without(name):
    def do(header, data):
        del header[name]
        return header, data
    return do


# What is done to the bytes of a model file, and what `inspect` then takes it for.
BAD_FILES = [
    ("empty", lambda data: b"", BAD_DATA),
    ("seven bytes", lambda data: data[:7], BAD_DATA),
    ("cut in its header", lambda data: data[:100], BAD_MODEL),
    ("cut by a byte", lambda data: data[:-1], BAD_MODEL),
    ("a byte too many", lambda data: data + b"\0", BAD_MODEL),
    ("a header beyond the file", lambda data: struct.pack("<Q", len(data)) + data[8:], BAD_MODEL),
    ("a header beyond all bounds", lambda data: b"\xff" * 8 + data[8:], BAD_DATA),
    ("no JSON", lambda data: data[:9] + b"x" + data[10:], BAD_MODEL),
    ("a picture", lambda data: b"\x89PNG\r\n\x1a\n" + data, BAD_DATA),
]

# What is done to the header and the tensors, and what the message must say.
BAD_PARTS = [
    ("a flipped bit", with_data(lambda data: bytes([data[0] ^ 1]) + data[1:]), "CRC-32"),
    ("another CRC", with_metadata(crc32="00000000"), "CRC-32"),
    ("NaN", with_fixed_crc(lambda data: struct.pack("<f", math.nan) + data[4:]), "finite"),
    ("infinity", with_fixed_crc(lambda data: struct.pack("<f", math.inf) + data[4:]), "finite"),
    ("no metadata", without("__metadata__"), ""),
    ("no tensor", without("fc2.bias"), "fewer tensors"),
    ("another type", with_tensor("fc1.bias", dtype="F64"), "'fc1.bias' is missing, or not F32"),
    ("another shape", with_tensor("fc1.weight", shape=[784, 15]), "'fc1.weight' is missing"),
    ("overlapping tensors", with_tensor("fc2.bias", data_offsets=[0, 40]), "overlap"),
    ("another format", with_metadata(format_version="999"), "format"),
    ("no network", with_metadata(network="{}"), "'network'"),
]


class BadModels(EvalTest):
    def refuse(self, path, says="", inspect_code=BAD_MODEL):
        images = digits.small_data() / (TEST_IMAGES + ".gz")
        for command, code in (
                (["eval", "--data", digits.small_data(), "--model"], BAD_MODEL),
                (["predict", images, "--model"], BAD_MODEL),
                (["inspect"], inspect_code)):
            with self.unchanged():
                result = self.digits(*command, path, code=code)
            self.assertIn(str(path), result.err)
            self.assert_one_line(result.err)
            self.assertEqual(result.out, "")
            self.assertIn(says, result.err)

    def test_damaged_files_are_refused(self):
        sound = digits.small_model().read_bytes()
        for name, damage, inspect_code in BAD_FILES:
            with self.subTest(name):
                path = self.folder / name.replace(" ", "-")
                path.write_bytes(damage(sound))
                self.refuse(path, inspect_code=inspect_code)

    def test_sound_files_with_wrong_content_are_refused(self):
        for name, change, says in BAD_PARTS:
            with self.subTest(name):
                path = self.folder / name.replace(" ", "-")
                write_model(path, *change(*read_model(digits.small_model())))
                self.refuse(path, says)

    def test_a_model_rewritten_by_others_is_accepted(self):
        path = self.folder / "rewritten"
        header, data = read_model(digits.small_model())
        write_model(path, json.loads(json.dumps(header)), data)
        self.assertEqual(self.eval("--no-errors", "--json", model=path).json()["accuracy"],
                         self.eval("--no-errors", "--json").json()["accuracy"])

    def test_a_missing_model_is_answered_with_how_to_make_one(self):
        with self.unchanged():
            result = self.digits("eval", "--data", digits.small_data(), code=BAD_MODEL)
        self.assertIn("model.safetensors", result.err)
        self.assertIn("digits train", result.err)

    def test_class_names_from_a_strangers_file_cannot_lead_out_of_the_folder(self):
        path = self.folder / "stranger"
        names = "../../x a\x1b[31m 2 three 4 5 6 7 8 9"
        write_model(path, *with_metadata(classes=names)(*read_model(digits.small_model())))
        result = self.eval(model=path)
        self.assertNotIn("\x1b", result.out)
        self.assertNotIn("..", result.out.replace(" ..", ""))
        self.assertTrue(all(re.match(r"\d{5}-is-(three|\d)-read-as-(three|\d)-at-", name)
                            for name in self.names() if name.endswith("png") and name[0] != "c"))


if __name__ == "__main__":
    unittest.main()
