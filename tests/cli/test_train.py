#!/usr/bin/env python3
"""`digits train`: options are checked before any work, the same seed gives the same bytes, and
whatever happens no model is lost."""

import gzip
import hashlib
import json
import os
import re
import signal
import subprocess
import time
import unittest

import digits
from digits import (BAD_DATA, DIVERGED, FAILED, INTERRUPTED, N_TRAIN, NAMES, TRAIN_IMAGES,
                    TRAIN_LABELS, USAGE, CliTest, idx, needs_mnist, read_idx, read_model)

SHARE = "at least 0 and less than 1"
SIZE = "a whole number from 1 to 1,000,000"
SIZES = "'none' or whole numbers from 1 to 1,048,576 with commas between"
SEED = "a whole number from 0 to 2^64 - 1"

# option, value, what the message says that it must be
BAD_VALUES = [
    *(("epochs", value, SIZE) for value in (
        "0", "-1", "1.5", "1e3", "x", "", " 5", "5 ", "+5", "0x10", "1000001", "9" * 20)),
    ("batch", "0", SIZE),
    ("threads", "0", "a whole number from 1 to 1,024"),
    ("patience", "-1", "a whole number from 0 to 1,000,000"),
    ("validation", "1000000001", "a whole number from 0 to 1,000,000,000"),
    *(("lr", value, "more than 0 and at most 1000") for value in (
        "0", "-0.1", "nan", "inf", "-inf", "1e999", "1001", "0.1x", "0,1", "", " 1", "0x1p3", ".",
        "e5", "1e-999")),
    *(("momentum", value, SHARE) for value in ("1", "-0.1", "1.0000001", "NAN")),
    *(("dropout", value, SHARE) for value in ("1", "1.5", "-0.5", "half")),
    ("input-dropout", "1", SHARE),
    ("decay", "-1", "at least 0 and at most 1000"),
    ("l2", "2", "at least 0 and at most 1"),
    ("seed", "-1", SEED),
    ("seed", "18446744073709551616", SEED),
    ("seed", "one", SEED),
    ("activation", "softmax", "sigmoid, tanh, relu, leaky-relu or identity"),
    ("activation", "Sigmoid", "sigmoid, tanh, relu, leaky-relu or identity"),
    ("init", "", "glorot, lecun, he, normal or zero"),
    ("dropout-mask", "batch", "sample or epoch"),
    *(("hidden", value, SIZES) for value in (
        "0", "", ",", "15,", ",15", "15,,15", "15;15", "1048577", "a", "15, 15", "5," * 32 + "5")),
    ("out", "", "a name"),
    ("data", "", "a name"),
]


def tensors(path):
    return read_model(path)[1]


def metadata(path):
    return read_model(path)[0]["__metadata__"]


class TrainTest(CliTest):
    def train(self, *arguments, **options):
        """Trains shortly on the small data."""
        if "--epochs" not in arguments:
            arguments += ("--epochs", 2)
        return self.digits("train", "--data", options.pop("data", digits.small_data()), *arguments,
                           **options)

    def model(self, name="model.safetensors"):
        return self.folder / name


class Options(TrainTest):
    def test_each_bad_value_is_refused_before_any_work(self):
        for option, value, expected in BAD_VALUES:
            with self.subTest(option=option, value=value), self.unchanged():
                result = self.digits("train", "--data", "nowhere", f"--{option}={value}",
                                     code=USAGE)
                self.assertEqual(result.out, "")
                self.assertEqual(result.err.splitlines()[0],
                                 f"digits train: --{option} must be {expected}, not '{value}'")

    def test_values_that_do_not_go_together_are_refused(self):
        for arguments, message in [
            (["--validation", 600], "--validation must leave some of the 600 images"),
            (["--patience", 3, "--validation", 0], "--patience needs validation images"),
            (["--out", "x", "--log", "x"], "--log and --out are the same file"),
        ]:
            with self.subTest(arguments=arguments), self.unchanged():
                self.assertIn(message, self.train(*arguments, code=USAGE).err)

    def test_the_last_of_several_values_counts(self):
        self.train("--epochs", 7, "--epochs", 1)
        self.assertEqual(metadata(self.model())["epochs"], "1")


class Report(TrainTest):
    def test_the_architecture_and_its_11935_parameters_are_printed(self):
        out = self.train().out
        self.assertRegex(out, r"784 -> 15 sigmoid \(dropout 0\.\d+\) -> 10 softmax\n")
        self.assertRegex(out, r"parameters +11,935\n")
        self.assertIn("784*15 = 11,760 weights + 15 biases\n", out)
        self.assertIn("15*10 = 150 weights + 10 biases\n", out)

    def test_any_other_network_is_described_likewise(self):
        out = self.train("--hidden", "30,20", "--activation", "tanh", "--dropout", 0,
                         "--input-dropout", 0.1).out
        self.assertIn("784 (dropout 0.1) -> 30 tanh -> 20 tanh -> 10 softmax\n", out)
        self.assertIn("24,380", out)  # 785*30 + 31*20 + 21*10
        self.assertIn("784 -> 10 softmax", self.train("--hidden", "none").out)

    def test_there_is_one_plain_line_an_epoch_and_it_adds_up(self):
        err = self.train("--epochs", 3, "--lr", 0.1, "--decay", 0.1).err
        self.assertNotRegex(err, r"[\r\033]")
        lines = err.splitlines()
        self.assertEqual(len(lines), 4)
        for k, line in enumerate(lines[1:], start=1):
            self.assertRegex(line, rf"^  {k}/3 +\d+\.\d{{4}} +\d+\.\d\d % +\d+\.\d\d % +0\.\d{{6}} "
                                   r"+[\d,]+ +\d+:\d\d$")
        rates = [float(line.split()[6]) for line in lines[1:]]
        for k, rate in enumerate(rates):  # mu(k+1) = mu(k) / (1 + decay)
            self.assertAlmostEqual(rate, 0.1 / 1.1 ** k, places=6)

    def test_the_end_says_what_to_run_next(self):
        out = self.train("--out", "my.safetensors").out
        command = re.search(r"next +\./digits (eval .*)\n", out).group(1)
        self.digits(*command.split(), "--no-errors")

    def test_quiet_leaves_the_result_alone(self):
        result = self.train("--quiet")
        self.assertEqual(result.err, "")
        self.assertIn("model.safetensors", result.out)
        self.assertNotIn("11,935", result.out)

    def test_generated_digits_are_never_called_mnist(self):
        self.assertNotIn("MNIST", self.train().out)
        self.assertIn("generated digits (digits synth)", self.train().out)
        self.assertEqual(metadata(self.model())["data"], "generated digits (digits synth)")

    def test_json_is_all_that_stdout_holds(self):
        result = self.train("--json")
        report = result.json()
        self.assertEqual(report["parameters"], 11935)
        self.assertEqual(report["outcome"], "finished")
        self.assertEqual(report["epochs"], 2)
        self.assertEqual(report["options"]["hidden"], [15])
        self.assertEqual(report["data"]["training"], N_TRAIN - N_TRAIN // 12)
        self.assertEqual(report["validation"]["total"], N_TRAIN // 12)
        self.assertEqual(report["validation"]["accuracy"],
                         report["validation"]["correct"] / report["validation"]["total"])
        self.assertEqual(report["model"], "model.safetensors")

    def test_a_large_seed_is_kept_to_the_last_digit(self):
        seed = 2 ** 64 - 1
        report = self.train("--seed", seed, "--json").json()
        self.assertEqual(report["options"]["seed"], seed)
        self.assertEqual(metadata(self.model())["seed"], str(seed))


class ModelFile(TrainTest):
    def test_tensors_have_the_names_and_shapes_that_pytorch_expects(self):
        self.train("--hidden", "7,5")
        header, data = read_model(self.model())
        del header["__metadata__"]
        shapes = {name: tensor["shape"] for name, tensor in header.items()}
        self.assertEqual(shapes, {"fc1.weight": [7, 784], "fc1.bias": [7], "fc2.weight": [5, 7],
                                  "fc2.bias": [5], "fc3.weight": [10, 5], "fc3.bias": [10]})
        self.assertEqual(len(data), 4 * (785 * 7 + 8 * 5 + 6 * 10))

    def test_the_metadata_tell_everything_about_the_run(self):
        self.train("--seed", 42, "--lr", "0.05", "--hidden", "20,10", "--l2", 0, "--batch", 32)
        facts = metadata(self.model())
        for key, value in {"seed": "42", "lr": "0.05", "hidden": "20,10", "l2": "0", "epochs": "2",
                           "batch": "32", "validation": "50", "activation": "sigmoid",
                           "dropout-mask": "sample", "patience": "0", "outcome": "finished",
                           "epochs-done": "2", "best-epoch": "2", "picture": "28x28",
                           "classes": "0 1 2 3 4 5 6 7 8 9"}.items():
            self.assertEqual(facts[key], value, key)
        self.assertRegex(facts["program"], r"^digits \d")
        for key, name in (("images-sha256", TRAIN_IMAGES), ("labels-sha256", TRAIN_LABELS)):
            payload = gzip.decompress((digits.small_data() / (name + ".gz")).read_bytes())
            self.assertEqual(facts[key], hashlib.sha256(payload).hexdigest())

    def test_the_same_seed_gives_the_same_bytes_whenever_and_wherever(self):
        self.train("--out", "a")
        self.train("--out", "b", "--quiet", env={"TZ": "Asia/Seoul", "LC_ALL": "C", "HOME": "/"})
        self.train("--out", "c", "--log", "log")
        self.train("--out", "d", env={"NN_KERNEL": "ref"})
        self.assertEqual(len({self.model(name).read_bytes() for name in "abcd"}), 1)

    def test_any_number_of_threads_gives_the_same_bytes(self):
        models = []
        for threads in (1, 2, 3, 7):
            out = self.model(f"{threads}.safetensors")
            self.train("--hidden", "300,100", "--batch", 100, "--threads", threads, "--out", out)
            models.append(out.read_bytes())
        self.assertEqual(len(set(models)), 1)

    def test_seed_and_options_matter(self):
        variants = [[], ["--seed", 2], ["--lr", 0.01], ["--batch", 10], ["--momentum", 0],
                    ["--decay", 0], ["--l2", 0.01], ["--dropout", 0], ["--dropout", 0.5],
                    ["--dropout", 0.5, "--dropout-mask", "epoch"], ["--input-dropout", 0.2],
                    ["--init", "he"], ["--activation", "tanh"], ["--validation", 0],
                    ["--epochs", 3]]
        seen = set()
        for variant in variants:
            self.train(*variant)
            seen.add(tensors(self.model()))
        self.assertEqual(len(seen), len(variants))

    def test_validation_images_are_the_last_and_nothing_is_learned_from_them(self):
        self.train("--validation", 100, "--out", "a")
        folder = self.folder / "first"
        folder.mkdir()
        for name in NAMES[:2]:
            dims, data = read_idx(digits.small_data() / (name + ".gz"))
            n = N_TRAIN - 100
            (folder / name).write_bytes(idx((n, *dims[1:]), data[:len(data) * n // N_TRAIN]))
        self.train("--validation", 0, "--out", "b", data=folder)
        self.assertEqual(tensors(self.model("a")), tensors(self.model("b")))

    def test_zero_weights_stay_alike(self):
        """A figure from outside: with all weights 0 every hidden unit learns the same."""
        self.train("--init", "zero", "--dropout", 0, "--hidden", 3)
        data = tensors(self.model())
        rows = {data[4 * 784 * k:4 * 784 * (k + 1)] for k in range(3)}
        self.assertEqual(len(rows), 1)


class Stopping(TrainTest):
    def test_patience_takes_the_best_epoch(self):
        report = self.train("--epochs", 200, "--patience", 2, "--lr", 0.5, "--out", "best",
                            "--log", "log", "--json").json()
        self.assertEqual(report["outcome"], "stopped early")
        events = [json.loads(line) for line in self.model("log").read_text().splitlines()]
        losses = [event["validation_loss"] for event in events if event["event"] == "epoch"]
        best = losses.index(min(losses)) + 1
        self.assertEqual(report["best_epoch"], best)
        self.assertEqual(report["epochs"], best + 2)
        self.assertEqual(len(losses), best + 2)
        self.assertAlmostEqual(report["validation"]["loss"], min(losses), places=5)
        self.train("--epochs", best, "--lr", 0.5, "--out", "same")
        self.assertEqual(tensors(self.model("best")), tensors(self.model("same")))

    def interrupt(self, number):
        """Starts a long run, sends a signal in its second epoch, returns code, stdout, stderr."""
        command = [str(digits.PROGRAM), "train", "--data", str(digits.small_data()), "--epochs",
                   "1000000", "--log", "log"]
        self.model("log").unlink(missing_ok=True)
        process = subprocess.Popen(command, cwd=self.folder, env=digits.environment(self.folder),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 60
        while self.lines("log") < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        return process.returncode, out.decode(), err.decode()

    def lines(self, name):
        path = self.model(name)
        return path.read_text().count("\n") if path.exists() else 0

    def test_ctrl_c_saves_what_was_learned(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                code, out, err = self.interrupt(number)
                self.assertEqual(code, INTERRUPTED, err)
                self.assertIn("interrupted; what was learned so far is saved in", err)
                self.assertIn("interrupted after", out)
                facts = metadata(self.model())
                self.assertEqual(facts["outcome"], "interrupted")
                self.assertGreaterEqual(int(facts["epochs-done"]), 2)
                last = json.loads(self.model("log").read_text().splitlines()[-1])
                self.assertEqual((last["event"], last["outcome"]), ("end", "interrupted"))
                self.digits("eval", "--data", digits.small_data(), "--no-errors")

    def test_a_blown_up_run_keeps_the_last_good_epoch(self):
        # One step an epoch, and each multiplies the weights by about 1 - lr * l2 = -1.5.
        blow = ["--lr", 2.5, "--l2", 1, "--momentum", 0, "--decay", 0, "--batch", N_TRAIN]
        result = self.train(*blow, "--epochs", 50, "--log", "log", "--out", "blown", code=DIVERGED)
        self.assertRegex(result.err, r"digits train: training diverged in epoch (\d+): the loss is")
        facts = metadata(self.model("blown"))
        good = int(facts["epochs-done"])
        self.assertGreater(good, 0)
        self.assertIn(f"the parameters after epoch {good} are saved in 'blown'", result.err)
        self.assertEqual(facts["outcome"], "diverged")
        self.train(*blow, "--epochs", good, "--out", "good")
        self.assertEqual(tensors(self.model("blown")), tensors(self.model("good")))
        last = json.loads(self.model("log").read_text().splitlines()[-1])
        self.assertEqual(last["outcome"], "diverged")

    def test_a_run_without_a_good_epoch_leaves_the_old_model(self):
        self.train()
        with self.unchanged():
            result = self.train("--activation", "relu", "--hidden", "50,50,50", "--lr", 1000,
                                "--batch", 1, code=DIVERGED)
        self.assertIn("'model.safetensors' is left as it was", result.err)


class Files(TrainTest):
    def test_a_model_is_replaced_but_no_other_file(self):
        self.train()
        self.train("--seed", 2)
        notes = self.model("notes.txt")
        notes.write_text("do not lose me")
        with self.unchanged():
            result = self.train("--out", "notes.txt", code=FAILED)
        self.assertIn("'notes.txt' holds something else; --force overwrites it", result.err)
        self.train("--out", "notes.txt", "--force")
        self.assertEqual(metadata(notes)["seed"], "1")

    def test_where_nothing_can_be_written_nothing_is_trained(self):
        self.model("folder").mkdir()
        self.model("file").write_text("")
        for out in ("missing/model", "folder", "file/model", "/dev/null", "x" * 300):
            for option in ("--out", "--log"):
                if (option, out) == ("--log", "/dev/null"):
                    continue
                with self.subTest(option=option, out=out), self.unchanged():
                    result = self.train(option, out, "--epochs", 1000000, code=FAILED)
                    self.assertEqual(result.out, "")
                    self.assert_one_line(result.err)

    def test_a_name_of_a_log_that_is_something_else_is_refused(self):
        self.model("notes.txt").write_text("do not lose me")
        with self.unchanged():
            self.train("--log", "notes.txt", code=FAILED)
        self.train("--log", "run.jsonl")
        self.train("--log", "run.jsonl")
        self.train("--log", "notes.txt", "--force")

    @unittest.skipUnless(os.path.exists("/dev/full"), "needs /dev/full")
    def test_a_log_that_cannot_be_written_is_reported_and_the_model_saved(self):
        result = self.train("--log", "/dev/full", code=FAILED)
        self.assertIn("cannot write all of '/dev/full'", result.err)
        self.assertTrue(self.model().exists())

    def test_the_log_tells_the_run_line_by_line(self):
        self.train("--epochs", 3, "--log", "run.jsonl", "--seed", 9)
        start, *epochs, end = map(json.loads, self.model("run.jsonl").read_text().splitlines())
        self.assertEqual(start["event"], "start")
        self.assertEqual(start["options"]["seed"], 9)
        self.assertEqual(start["options"]["validation"], 50)
        self.assertEqual(start["data"]["name"], "generated digits (digits synth)")
        self.assertEqual([event["epoch"] for event in epochs], [1, 2, 3])
        for event in epochs:
            self.assertEqual(event["images"], 550)
            self.assertTrue(0 <= event["accuracy"] <= 1 and 0 <= event["validation_accuracy"] <= 1)
            self.assertGreater(event["loss"], 0)
        self.assertEqual((end["event"], end["outcome"]), ("end", "finished"))
        self.assertLess(epochs[2]["loss"], epochs[0]["loss"])


class RealMnist(TrainTest):
    @needs_mnist
    def test_seed_1_ends_above_95_percent_on_the_test_set(self):
        out = self.digits("train", "--seed", 1, "--data", digits.mnist()).out
        self.assertRegex(out, r"data +MNIST, ")
        self.assertRegex(out, r"parameters +11,935\n")
        report = self.digits("eval", "--data", digits.mnist(), "--json").json()
        self.assertEqual(report["data"]["name"], "MNIST")
        self.assertEqual(report["total"], 10000)
        self.assertGreater(report["accuracy"], 0.95)
        mistakes = [name for name in os.listdir(self.folder / "errors") if "-read-as-" in name]
        self.assertEqual(len(mistakes), 10000 - report["correct"])


if __name__ == "__main__":
    unittest.main()
