#!/usr/bin/env python3
"""`digits train --checkpoint` and `--resume`: a training that was stopped, once or often, ends in
the same files as one that was not, and nothing else is taken for its checkpoint."""

import functools
import json
import os
import random
import signal
import subprocess
import time
import unittest

import digits
from digits import BAD_DATA, BAD_MODEL, DONE, FAILED, INTERRUPTED, USAGE, CliTest

# Long enough to be stopped several times.
LONG = ("--epochs", 25, "--hidden", 100)

RECIPES = [
    (),
    ("--activation", "relu", "--lr", 0.05, "--batch", 7, "--dropout", 0.3, "--input-dropout", 0.1),
    ("--activation", "tanh", "--dropout", 0.3, "--dropout-mask", "epoch", "--validation", 0),
    ("--activation", "leaky-relu", "--batch", 100, "--lr", 0.1, "--patience", 40, "--decay", 0),
    ("--hidden", "60,30", "--batch", 1, "--epochs", 6, "--momentum", 0, "--lr", 0.02),
    ("--batch", 1000, "--epochs", 100, "--input-dropout", 0.2, "--dropout-mask", "epoch"),
]


@functools.lru_cache(maxsize=None)
def whole_model(arguments):
    """The bytes of the model of a training that nobody stops."""
    name = f"whole-{len(os.listdir(digits.shared()))}"
    digits.run_checked("train", "--data", digits.small_data(), "--out", name, *arguments)
    return (digits.shared() / name).read_bytes()


class ResumeTest(CliTest):
    def train(self, *arguments, **options):
        return self.digits("train", "--data", options.pop("data", digits.small_data()), "--quiet",
                           *arguments, **options)

    def path(self, name):
        return self.folder / name

    def start(self, *arguments):
        return subprocess.Popen(
            [str(digits.PROGRAM), "train", "--data", str(digits.small_data()),
             *map(str, arguments)], cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=digits.environment(self.folder))

    def stop_often(self, *arguments, seed):
        """Trains with a checkpoint, stopped by Ctrl-C at random instants and resumed until it is
        done. Returns how often it was stopped with something to go on from."""
        chance = random.Random(seed)
        stops = 0
        self.path("point").unlink(missing_ok=True)
        for patience in range(1, 300):
            resume = ("--resume", "point") if self.path("point").exists() else ()
            process = self.start("--checkpoint", "point", *resume, *arguments)
            try:
                process.wait(chance.uniform(0, 0.05 + 0.005 * patience))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
            err = process.communicate(timeout=300)[1].decode()
            if process.returncode == DONE:
                return stops
            # Before training begins, Ctrl-C simply ends the program.
            self.assertIn(process.returncode, (INTERRUPTED, -signal.SIGINT), err)
            if process.returncode == INTERRUPTED:
                stops += 1
                self.assertIn("--resume point goes on", err)
        self.fail("it never came to its end")


class GoingOn(ResumeTest):
    def test_stopped_by_ctrl_c_now_and_then_it_ends_in_the_same_bytes(self):
        for seed, recipe in enumerate(RECIPES):
            with self.subTest(recipe=recipe):
                for attempt in range(5):  # a busy machine may let it end before it is stopped
                    stops = self.stop_often(*LONG, *recipe, seed=100 * attempt + seed)
                    self.assertEqual(self.path("model.safetensors").read_bytes(),
                                     whole_model((*LONG, *recipe)))
                    if stops > 1:
                        break
                self.assertGreater(stops, 1)

    def test_a_finished_training_is_at_its_end_at_once(self):
        self.train("--epochs", 3, "--checkpoint", "point")
        model, point = self.path("model.safetensors"), self.path("point").read_bytes()
        before = model.read_bytes()
        model.unlink()
        self.train("--epochs", 3, "--checkpoint", "point", "--resume", "point")
        self.assertEqual((model.read_bytes(), self.path("point").read_bytes()), (before, point))

    def test_a_finished_training_goes_on_when_more_epochs_are_asked_for(self):
        for arguments in ((), ("--patience", 2), ("--dropout-mask", "epoch", "--dropout", 0.3)):
            with self.subTest(arguments=arguments):
                self.train("--epochs", 3, "--checkpoint", "point", *arguments)
                self.train("--epochs", 7, "--resume", "point", *arguments)
                self.assertEqual(self.path("model.safetensors").read_bytes(),
                                 whole_model(("--epochs", 7, *arguments)))

    def test_checkpoints_change_nothing_in_the_model(self):
        for every in (1, 7, 1000000):
            with self.subTest(every=every):
                self.train("--epochs", 3, "--checkpoint", "point", "--every", every)
                self.assertEqual(self.path("model.safetensors").read_bytes(),
                                 whole_model(("--epochs", 3)))

    def test_a_checkpoint_is_read_only_when_it_is_resumed(self):
        self.train("--epochs", 3, "--checkpoint", "point")
        before = self.path("point").read_bytes()
        self.train("--epochs", 4, "--resume", "point")
        self.assertEqual(self.path("point").read_bytes(), before)

    def test_a_resumed_model_can_be_reproduced(self):
        self.train("--epochs", 2, "--checkpoint", "point")
        self.train("--epochs", 4, "--resume", "point")
        self.digits("reproduce", "--data", digits.small_data(), "model.safetensors")

    def test_the_plan_tells_where_it_goes_on(self):
        self.train("--epochs", 2, "--checkpoint", "point")
        out = self.digits("train", "--data", digits.small_data(), "--epochs", 3, "--resume",
                          "point").out
        self.assertIn("resumed     'point': 2 epochs and 0 images are done\n", out)


class Refused(ResumeTest):
    def setUp(self):
        super().setUp()
        self.train("--epochs", 2, "--checkpoint", "point")

    def refused(self, code, *arguments, **options):
        with self.unchanged():
            return self.train("--resume", "point", *arguments, code=code, **options).err

    def test_other_options_are_named(self):
        for arguments, difference in [
            (("--batch", 31), "batch 32, not 31"),
            (("--lr", 0.31), "learning rate 0.3, not 0.31"),
            (("--momentum", 0), "momentum 0.9, not 0"),
            (("--decay", 0), "decay 0.15, not 0"),
            (("--l2", 0), "l2 0.0001, not 0"),
            (("--seed", 2), "seed 1, not 2"),
            (("--patience", 3), "patience 0, not 3"),
            (("--dropout-mask", "epoch"), "mask sample, not epoch"),
            (("--dropout", 0.5), "layer 1 dropout 0.01, not 0.5"),
            (("--input-dropout", 0.5), "input_dropout 0, not 0.5"),
            (("--hidden", 16), "layer 1 units 15, not 16"),
            (("--hidden", "none"), "layers"),
            (("--activation", "tanh"), "layer 1 activation sigmoid, not tanh"),
            (("--init", "he"), "initialiser glorot, not he"),
            (("--output", "sigmoid", "--loss", "squared-error"),
             "layer 2 activation softmax, not sigmoid; loss cross-entropy, not squared-error"),
        ]:
            with self.subTest(arguments=arguments):
                err = self.refused(USAGE, "--epochs", 2, *arguments)
                self.assertIn(f"'point' is a checkpoint of another training: {difference}", err)

    def test_fewer_epochs_than_are_done_are_refused(self):
        err = self.refused(USAGE, "--epochs", 1)
        self.assertIn("has been through 2 epochs already, more than the 1 asked for", err)

    def test_other_data_are_refused(self):
        self.digits("synth", "--out", "other", "--train", 600, "--test", 10, "--seed", 2)
        err = self.refused(BAD_DATA, "--epochs", 2, data="other")
        self.assertIn("on other data: training-crc32 ", err)
        err = self.refused(BAD_DATA, "--epochs", 2, "--validation", 10)
        self.assertIn("on other data: training 550, not 590; ", err)

    def test_a_file_that_is_none_or_damaged_is_a_bad_model(self):
        point = self.path("point")
        content = point.read_bytes()
        flipped = bytearray(content)
        flipped[-1] ^= 1
        for damaged, why in [
            (content[:-1], "the tensor 'order' is missing"),
            (content[:100], "its first 8 bytes are not"),
            (b"", "it is too short"),
            (bytes(flipped), "is damaged: the CRC-32"),
            (self.path("model.safetensors").read_bytes(), "it is a model"),
        ]:
            with self.subTest(why=why):
                point.write_bytes(damaged)
                self.assertIn(why, self.refused(BAD_MODEL, "--epochs", 2))

    def test_a_missing_checkpoint_is_named(self):
        self.path("point").unlink()
        err = self.refused(BAD_MODEL, "--epochs", 2)
        self.assertIn("cannot open 'point': No such file", err)
        self.assertIn("digits train --checkpoint point", err)

    def test_a_checkpoint_is_no_model(self):
        for command in (("eval", "--model"), ("inspect",), ("reproduce",)):
            with self.subTest(command=command):
                err = self.digits(*command, "point", code=BAD_MODEL).err
                self.assertIn("it is a checkpoint of a training", err)


class Targets(ResumeTest):
    def test_a_checkpoint_that_cannot_be_written_is_told_before_training(self):
        os.mkdir(self.path("folder"))
        os.mkfifo(self.path("fifo"))
        self.path("notes.txt").write_text("do not lose me")
        for name, why in [("nowhere/point", "No such file or directory"),
                          ("folder", "it is a folder"), ("fifo", "it is a FIFO"),
                          ("notes.txt", "holds something else; --force overwrites it"),
                          ("x" * 300, "File name too long")]:
            with self.subTest(name=name), self.unchanged():
                err = self.train("--epochs", 1000000, "--checkpoint", name, code=FAILED).err
                self.assert_one_line(err)
                self.assertIn(why, err)

    @unittest.skipIf(os.geteuid() == 0, "root may write everything")
    def test_a_write_protected_checkpoint_is_told_before_training(self):
        self.train("--epochs", 1, "--checkpoint", "point")
        self.path("point").chmod(0o444)
        with self.unchanged():
            self.train("--epochs", 1000000, "--checkpoint", "point", code=FAILED)

    def test_a_model_is_not_overwritten_by_a_checkpoint_nor_the_other_way(self):
        self.train("--epochs", 1, "--out", "model", "--checkpoint", "point")
        with self.unchanged():
            self.train("--epochs", 1, "--checkpoint", "model", code=FAILED)
            self.train("--epochs", 1, "--out", "point", code=FAILED)
        self.train("--epochs", 1, "--checkpoint", "model", "--force")

    def test_one_file_cannot_be_two_things(self):
        os.mkdir(self.path("folder"))
        self.path("log").touch()
        os.link(self.path("log"), self.path("link"))
        for one, other in [("--checkpoint x --out x", "--checkpoint and --out"),
                           ("--checkpoint x --out ./x", "--checkpoint and --out"),
                           ("--checkpoint folder/../x --log x", "--log and --checkpoint"),
                           ("--log log --out link", "--log and --out"),
                           ("--resume x --out x", "--resume and --out"),
                           ("--log x --resume x", "--log and --resume")]:
            with self.subTest(one=one), self.unchanged():
                err = self.train(*one.split(), code=USAGE).err
                self.assertIn(f"{other} are the same file", err)
        self.train("--epochs", 1, "--checkpoint", "x", "--out", "folder/x")

    def test_every_needs_a_checkpoint(self):
        self.assertIn("--every needs --checkpoint", self.train("--every", 5, code=USAGE).err)

    def test_a_checkpoint_that_can_no_longer_be_written_is_told_once_and_training_goes_on(self):
        folder = self.path("folder")
        os.mkdir(folder)
        process = self.start("--quiet", "--epochs", 30, "--checkpoint", "folder/point", "--every",
                             1)
        while not (folder / "point").exists() and process.poll() is None:
            time.sleep(0.001)
        os.rename(folder, self.path("gone"))
        err = process.communicate(timeout=300)[1].decode()
        self.assertEqual(process.returncode, FAILED, err)
        self.assert_one_line(err)
        self.assertIn("cannot open the folder of 'folder/point'", err)
        self.assertEqual(self.path("model.safetensors").read_bytes(),
                         whole_model(("--epochs", 30)))

    def test_of_two_runs_that_write_one_model_the_last_one_wins(self):
        wholes = {whole_model(("--epochs", 2, "--seed", seed)) for seed in (1, 2)}
        for _ in range(10):
            runs = [self.start("--epochs", 2, "--seed", seed) for seed in (1, 2)]
            for process in runs:
                err = process.communicate(timeout=300)[1].decode()
                self.assertEqual(process.returncode, DONE, err)
            self.assertIn(self.path("model.safetensors").read_bytes(), wholes)
            self.assertEqual(os.listdir(self.folder), ["model.safetensors"])


def told(log):
    """What a log tells, without what differs from run to run."""
    events = [json.loads(line) for line in log.read_text().splitlines()]
    for event in events:
        event.pop("seconds", None)
    return events


class Log(ResumeTest):
    def test_the_log_of_a_resumed_training_is_that_of_one_in_one_go(self):
        arguments = (*LONG, "--batch", 7)
        self.train(*arguments, "--log", "whole")
        self.stop_often(*arguments, "--log", "log", "--every", 100, seed=9)
        self.assertEqual(told(self.path("log")), told(self.path("whole")))

    def test_lines_behind_the_checkpoint_are_written_again(self):
        self.train("--epochs", 5, "--log", "whole")
        self.train("--epochs", 3, "--checkpoint", "point", "--log", "three")
        whole, three = self.path("whole").read_text(), self.path("three").read_text()
        start = "".join(three.splitlines(keepends=True)[:4])
        for end in ("", "\n", '{"event":"epoch","epoch":4,', '{"event":"epo',
                    "".join(whole.splitlines(keepends=True)[4:])):
            with self.subTest(end=end[:40]):
                self.path("log").write_text(start + end)
                self.train("--epochs", 5, "--resume", "point", "--log", "log")
                self.assertEqual(told(self.path("log"))[1:], told(self.path("whole"))[1:])

    def test_without_the_old_log_a_new_one_begins(self):
        self.train("--epochs", 3, "--checkpoint", "point")
        self.path("empty").touch()
        for name in ("new", "empty"):
            self.train("--epochs", 5, "--resume", "point", "--log", name)
            start, *epochs, end = told(self.path(name))
            self.assertEqual((start["event"], end["event"]), ("start", "end"))
            self.assertEqual([event["epoch"] for event in epochs], [4, 5])

    def test_the_log_of_another_training_is_refused(self):
        self.train("--epochs", 3, "--checkpoint", "point", "--log", "log")
        self.train("--epochs", 2, "--log", "short")
        self.train("--epochs", 3, "--seed", 2, "--log", "other")
        lines = self.path("log").read_text().splitlines(keepends=True)
        self.path("gap").write_text("".join(lines[:2] + lines[3:]))
        self.path("cut").write_text("".join(lines[:4])[:-1])
        for name in ("short", "other", "gap", "cut"):
            with self.subTest(name=name), self.unchanged():
                err = self.train("--epochs", 4, "--resume", "point", "--log", name,
                                 code=FAILED).err
                self.assert_one_line(err)
                self.assertIn(f"'{name}' does not tell of the 3 epochs that 'point' has been "
                              "through", err)
        self.train("--epochs", 4, "--resume", "point", "--log", "other", "--force")
        self.assertEqual([event["event"] for event in told(self.path("other"))],
                         ["start", "epoch", "end"])

    def test_a_refused_checkpoint_leaves_the_log_alone(self):
        self.train("--epochs", 3, "--checkpoint", "point", "--log", "log")
        with self.unchanged():
            self.train("--epochs", 3, "--resume", "point", "--log", "log", "--seed", 2, code=USAGE)


if __name__ == "__main__":
    unittest.main()
