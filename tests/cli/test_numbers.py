#!/usr/bin/env python3
"""Numbers at the ends: blank and full pictures, one image, one class, batches larger than the data, a
million epochs, rates that blow up or vanish. The result is right, or refused with a reason."""

import json
import math
import os
import signal
import subprocess
import time
import unittest

import digits
from digits import (DIVERGED, INTERRUPTED, NAMES, USAGE, CliTest, environment, idx, read_model)


def write_data(folder, n, pixel, label):
    """A data set of n training images and as many test images."""
    folder.mkdir()
    for name in NAMES:
        if "images" in name:
            data = idx((n, 28, 28), bytes(pixel(k, i) for k in range(n) for i in range(784)))
        else:
            data = idx((n,), bytes(label(k) for k in range(n)))
        (folder / name).write_bytes(data)
    return folder


class NumbersTest(CliTest):
    def train(self, *arguments, data=None, **options):
        return self.digits("train", "--data", data or digits.small_data(), "--json", *arguments,
                           **options)

    def eval(self, data):
        return self.digits("eval", "--data", data, "--model", "model.safetensors", "--json").json()


class Data(NumbersTest):
    def test_pictures_that_say_nothing_teach_how_common_the_classes_are(self):
        for ink in (0, 255):
            with self.subTest(ink=ink):
                data = write_data(self.folder / f"ink{ink}", 40, lambda k, i: ink,
                                  lambda k: 3 if k % 4 else 8)
                self.train("--epochs", 60, "--lr", 0.1, "--validation", 0, "--dropout", 0,
                           data=data)
                report = self.eval(data)
                self.assertEqual((report["correct"], report["total"]), (30, 40))  # all read as 3
                entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))  # the least loss
                self.assertAlmostEqual(report["loss"], entropy, delta=0.02)

    def test_one_image_is_enough(self):
        data = write_data(self.folder / "one", 1, lambda k, i: i % 256, lambda k: 7)
        result = self.train("--epochs", 5, data=data).json()
        self.assertEqual((result["data"]["training"], result["data"]["validation"]), (1, 0))
        report = self.eval(data)
        self.assertEqual((report["correct"], report["total"]), (1, 1))
        self.assertTrue(0 < report["ci95"][0] < 1 and report["ci95"][1] == 1)
        self.assertEqual(report["per_class"][7]["recall"], 1)
        self.assertEqual(report["per_class"][0], {"class": "0", "images": 0, "precision": 0,
                                                  "recall": 0, "f1": 0})

    def test_one_of_a_thing_is_not_several(self):
        data = write_data(self.folder / "one", 1, lambda k, i: i % 256, lambda k: 7)
        out = self.digits("train", "--data", data, "--epochs", 1, "--hidden", 1).out
        self.assertIn("            1 image to learn from, 0 for validation\n", out)
        self.assertIn("training    1 epoch of 1 batch of 32, seed 1\n", out)
        self.assertIn("784*1 = 784 weights + 1 bias\n", out)
        self.assertIn("finished after 1 of 1 epoch in 0:00\n", out)
        out = self.digits("eval", "--data", data).out
        self.assertIn("1 epoch, seed 1\n", out)
        self.assertIn(", 1 test image from ", out)
        self.assertRegex(out, r"correct     (1 of 1, 0 mistakes|0 of 1, 1 mistake)\n")

    def test_one_class_is_learned(self):
        data = write_data(self.folder / "class", 30, lambda k, i: (i * 7 + k) % 256, lambda k: 3)
        self.train("--epochs", 5, data=data)
        report = self.eval(data)
        self.assertEqual(report["accuracy"], 1)
        self.assertEqual(report["errors"], "errors")
        self.assertEqual(os.listdir(self.folder / "errors"), ["errors.csv"])
        text = self.digits("eval", "--data", data, "--model", "model.safetensors").out
        self.assertIn("0 mistakes", text)
        self.assertNotIn("commonest", text)
        self.assertNotRegex(text, r"nan|inf\b")

    def test_a_batch_larger_than_the_data_is_all_of_it(self):
        self.train("--epochs", 2, "--batch", 550, "--out", "all")
        self.train("--epochs", 2, "--batch", 1000000, "--out", "more")
        (_, all_tensors), (_, more) = read_model(self.folder / "all"), read_model(
            self.folder / "more")
        self.assertEqual(all_tensors, more)


class Epochs(NumbersTest):
    def start(self, *arguments):
        return subprocess.Popen(
            [str(digits.PROGRAM), "train", "--data", str(digits.small_data()), "--epochs",
             "1000000", *arguments], cwd=self.folder, env=environment(self.folder),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_a_million_epochs_take_neither_memory_nor_time_in_advance(self):
        with self.start("--log", "log") as process:
            while not (self.folder / "log").exists() or (
                    self.folder / "log").read_text().count("\n") < 50:
                self.assertIsNone(process.poll())
                time.sleep(0.01)
            with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
                resident = [int(line.split()[1]) for line in file if line.startswith("VmHWM")]
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
        self.assertEqual(process.returncode, INTERRUPTED)
        self.assertLess(resident[0], 64 * 1024)  # KiB; sanitizers have room in it
        end = json.loads((self.folder / "log").read_text().splitlines()[-1])
        self.assertEqual((end["event"], end["outcome"]), ("end", "interrupted"))
        self.assertEqual(read_model(self.folder / "model.safetensors")[0]["__metadata__"]["epochs"],
                         "1000000")

    def test_patience_ends_a_million_epochs(self):
        result = self.train("--epochs", 1000000, "--patience", 2).json()
        self.assertEqual(result["outcome"], "stopped early")
        self.assertEqual(result["epochs"], result["best_epoch"] + 2)

    def test_a_learning_rate_that_decays_to_nothing_does_no_harm(self):
        self.train("--epochs", 40, "--decay", 1000, "--out", "long")
        self.train("--epochs", 200, "--decay", 1000, "--out", "longer")  # 1000^-200 is 0
        self.assertEqual(read_model(self.folder / "long")[1], read_model(self.folder / "longer")[1])


class Rates(NumbersTest):
    def test_what_blows_up_is_told_and_the_old_model_stays(self):
        self.train("--epochs", 1)
        before = (self.folder / "model.safetensors").read_bytes()
        for arguments in (["--lr", 1000], ["--lr", 10, "--activation", "identity"],
                          ["--lr", 1000, "--output", "identity", "--loss", "squared-error"],
                          ["--lr", 1000, "--activation", "relu", "--hidden", "50,50"]):
            with self.subTest(arguments):
                result = self.digits("train", "--data", digits.small_data(), "--quiet", *arguments,
                                     code=DIVERGED)
                self.assertRegex(result.err, r"^digits train: training diverged in epoch 1: the loss "
                                             r"is (nan|inf|[\d.e+]+); try a smaller learning rate\n")
                self.assertIn("'model.safetensors' is left as it was\n", result.err)
                self.assertEqual((self.folder / "model.safetensors").read_bytes(), before)

    def test_what_rounds_to_the_end_of_a_range_is_beyond_it(self):
        # In float, in which networks compute, these are 1 and 0.
        for option, value in (("momentum", "0.99999999"), ("momentum", "0.99999999999999994"),
                              ("dropout", "0.99999999"), ("input-dropout", "0.99999999"),
                              ("lr", "1e-50"), ("lr", "1e-320")):
            with self.subTest(option=option, value=value):
                result = self.train(f"--{option}", value, code=USAGE)
                self.assertIn(f"--{option} must be", result.err)

    def test_the_largest_and_the_least_that_are_allowed_can_be_read_back(self):
        for option, value in (("dropout", "0.99999994"), ("input-dropout", "0.99999994"),
                              ("dropout", "1e-320"), ("dropout", "0.3333333333333333"),
                              ("lr", "1e-44"), ("l2", "1e-320"), ("decay", "1e-320"),
                              ("momentum", "0.9999999"), ("seed", str(2 ** 64 - 1))):
            with self.subTest(option=option, value=value):
                self.train("--epochs", 1, f"--{option}", value)
                facts = self.digits("inspect", "--json", "model.safetensors").json()["metadata"]
                self.assertEqual(float(facts[option]), float(value))
                self.assertIn("the same, byte for byte",
                              self.digits("reproduce", "model.safetensors", "--data",
                                          digits.small_data()).out)


if __name__ == "__main__":
    unittest.main()
