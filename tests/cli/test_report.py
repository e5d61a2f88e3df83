#!/usr/bin/env python3
"""`digits report`: one file that needs nothing else, whose figures are those of `digits eval`, and
that nobody's names can break. What the page does in a browser is test_page.py's."""

import base64
import html.parser
import json
import math
import shlex
import struct
import unittest
import zlib

import digits
from digits import (BAD_DATA, BAD_MODEL, FAILED, N_TEST, N_TRAIN, TEST_IMAGES, TEST_LABELS, USAGE,
                    CliTest, needs_mnist, read_idx, read_model, write_model)


class Page(html.parser.HTMLParser):
    """What a browser would find in a page: elements, what they refer to, scripts and data."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.references, self.scripts, self.open = [], [], [], None
        self.title = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open = tag
        for name, value in attrs:
            if name in ("src", "href", "action", "srcset", "data", "poster", "background", "style"):
                self.references.append(value)
            assert not name.startswith("on"), (tag, name)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.open = None

    def handle_data(self, data):
        if self.open == "script":
            self.scripts[-1] += data
        if self.open == "title":
            self.title += data

    @property
    def data(self):
        return json.loads(self.scripts[0])


def floats(text):
    raw = base64.b64decode(text, validate=True)
    return struct.unpack(f"<{len(raw) // 4}f", raw)


class ReportTest(CliTest):
    def report(self, *arguments, **options):
        model = options.pop("model", digits.small_model())
        data = options.pop("data", digits.small_data())
        return self.digits("report", "--model", model, "--data", data, *arguments, **options)

    def page(self, name="report.html"):
        return Page((self.folder / name).read_text(encoding="utf-8"))

    def train(self, *arguments):
        self.digits("train", "--data", digits.small_data(), "--epochs", 2, "--out",
                    "own.safetensors", "--log", "own.jsonl", *arguments)
        return self.folder / "own.safetensors"


class OneFile(ReportTest):
    def setUp(self):
        super().setUp()
        self.out = self.report().out
        self.text = (self.folder / "report.html").read_text(encoding="utf-8")

    def test_it_is_the_only_file_and_small(self):
        self.assertEqual([path.name for path in self.folder.iterdir()], ["report.html"])
        self.assertLess((self.folder / "report.html").stat().st_size, 500_000)

    def test_it_refers_to_nothing_outside(self):
        page = Page(self.text)
        for reference in page.references:
            self.assertRegex(reference, r"\A(#\w+|data:,)\Z")
        for word in ("http:", "https:", "//", "url(", "@import", "import(", "fetch(",
                     "XMLHttpRequest", "WebSocket", "innerHTML", "eval("):
            rest = self.text.replace("http://www.w3.org/2000/svg", "")
            self.assertNotIn(word, rest.replace(page.scripts[0], ""), word)
        self.assertIn("default-src 'none'", self.text)

    def test_it_is_well_formed_and_says_what_it_is_without_scripts(self):
        page = Page(self.text)
        self.assertTrue(self.text.startswith("<!DOCTYPE html>\n<!-- digits report"))
        self.assertRegex(page.title, r"^\d+\.\d\d % of generated digits \(digits synth\), test set$")
        self.assertEqual(page.tags.count("script"), 2)
        self.assertIn("noscript", page.tags)
        self.assertNotIn("{{", self.text)
        for tag in ("section", "table", "script", "style", "main", "dialog", "nav"):
            self.assertEqual(self.text.count(f"<{tag}"), self.text.count(f"</{tag}>"), tag)

    def test_the_same_run_gives_the_same_bytes(self):
        before = (self.folder / "report.html").read_bytes()
        self.report()
        self.assertEqual((self.folder / "report.html").read_bytes(), before)

    def test_the_terminal_is_told_what_was_made(self):
        self.assertRegex(self.out, r"accuracy    \d+\.\d\d %, \d+ of 200 test images")
        self.assertRegex(self.out, r"report      report\.html, \d+ kB")
        self.assertEqual(self.report("--quiet").out, "")


class Figures(ReportTest):
    def setUp(self):
        super().setUp()
        self.report()
        self.data = self.page().data
        images = digits.small_data() / (TEST_IMAGES + ".gz")
        self.pixels = read_idx(images)[1]
        self.labels = read_idx(digits.small_data() / (TEST_LABELS + ".gz"))[1]
        self.predictions = self.digits("predict", "--model", digits.small_model(), "--json",
                                       images).json()["predictions"]

    def test_they_are_those_of_eval(self):
        expected = self.digits("eval", "--model", digits.small_model(), "--data",
                               digits.small_data(), "--no-errors", "--json").json()
        for key in ("accuracy", "ci95", "correct", "total", "loss", "confusion", "per_class",
                    "confused"):
            self.assertEqual(self.data[key], expected[key], key)
        self.assertEqual(self.data["model"]["network"], expected["network"])
        self.assertEqual(self.data["data"]["images_sha256"], expected["data"]["images_sha256"])

    def test_calibration_follows_from_the_predictions(self):
        bins = [[] for _ in range(10)]
        for prediction, label in zip(self.predictions, self.labels):
            p = prediction["probability"]
            bins[min(9, int(10 * p))].append((p, prediction["digit"] == label))
        error = sum(abs(sum(p for p, _ in b) - sum(right for _, right in b)) for b in bins) / N_TEST
        self.assertAlmostEqual(self.data["calibration"]["error"], error, places=9)
        for found, expected in zip(self.data["calibration"]["bins"], bins):
            self.assertEqual(found["images"], len(expected))
            self.assertEqual(found["correct"], sum(right for _, right in expected))
            if expected:
                self.assertAlmostEqual(found["confidence"],
                                       math.fsum(p for p, _ in expected) / len(expected))

    def test_digits_are_those_of_the_data_with_what_the_network_said(self):
        packed = self.data["digits"]
        pixels = zlib.decompress(base64.b64decode(packed["pixels"], validate=True))
        outputs = floats(packed["outputs"])
        self.assertEqual(packed["index"], list(range(N_TEST)))  # no cell holds more than 100
        self.assertEqual(pixels, self.pixels)
        self.assertEqual(packed["label"], list(self.labels))
        self.assertEqual(packed["read_as"], [p["digit"] for p in self.predictions])
        for i, prediction in enumerate(self.predictions):
            for own, expected in zip(outputs[10 * i:], prediction["probabilities"]):
                self.assertAlmostEqual(own, expected, places=7)

    def test_of_a_full_cell_an_even_selection_is_kept(self):
        self.report("--per-cell", 3)
        packed = self.page().data["digits"]
        cells = {}
        for index, label, guess in zip(packed["index"], packed["label"], packed["read_as"]):
            self.assertEqual((label, guess), (self.labels[index], self.predictions[index]["digit"]))
            cells.setdefault((label, guess), []).append(index)
        for truth, row in enumerate(self.data["confusion"]):
            for guess, n in enumerate(row):
                kept = cells.get((truth, guess), [])
                self.assertEqual(len(kept), min(n, 3))
                members = [i for i in range(N_TEST) if self.labels[i] == truth and
                           self.predictions[i]["digit"] == guess]
                if n > 6:  # one of each third
                    places = [3 * members.index(i) // n for i in kept]
                    self.assertEqual(places, [0, 1, 2])

    def test_the_network_is_in_it_to_the_last_bit(self):
        _, tensors = read_model(digits.small_model())
        packed = self.data["network"]
        self.assertEqual(base64.b64decode(packed["parameters"], validate=True), tensors)
        self.assertEqual(packed["layers"], [{"units": 15, "activation": "sigmoid"},
                                            {"units": 10, "activation": "softmax"}])

    def test_the_training_images_can_be_shown_as_well(self):
        self.report("--set", "train")
        data = self.page().data
        self.assertEqual((data["total"], data["data"]["set"]), (N_TRAIN, "train"))


class Origin(ReportTest):
    def test_the_command_in_it_makes_the_same_model(self):
        model = self.train("--hidden", "7,5", "--activation", "relu", "--seed", 18446744073709551615,
                           "--lr", 0.05, "--output", "sigmoid")
        self.report(model=model)
        data = self.page().data
        command = shlex.split(data["model"]["train_command"])
        self.assertEqual(command[0], "digits")
        self.digits(*command[1:], "--data", digits.small_data(), "--out", "again.safetensors")
        self.assertEqual((self.folder / "again.safetensors").read_bytes(), model.read_bytes())

    def test_metadata_and_digests_are_there(self):
        self.report()
        model = self.page().data["model"]
        header, _ = read_model(digits.small_model())
        facts = dict(model["facts"])
        self.assertEqual(facts["seed"], "1")
        for key, value in facts.items():
            self.assertEqual(header["__metadata__"][key], value)
        self.assertEqual(model["sha256"],
                         digits.hashlib.sha256(digits.small_model().read_bytes()).hexdigest())

    def test_a_model_that_does_not_say_how_it_was_trained_is_shown_all_the_same(self):
        header, tensors = read_model(digits.small_model())
        del header["__metadata__"]["momentum"]
        write_model(self.folder / "silent", header, tensors)
        self.report(model=self.folder / "silent")
        self.assertIsNone(self.page().data["model"]["train_command"])
        header["__metadata__"]["momentum"] = "0.9; rm -rf ~"
        write_model(self.folder / "liar", header, tensors)
        self.report(model=self.folder / "liar")
        self.assertIsNone(self.page().data["model"]["train_command"])


class Learning(ReportTest):
    def lines(self):
        return (self.folder / "own.jsonl").read_text().splitlines()

    def write_log(self, lines, end="\n"):
        (self.folder / "own.jsonl").write_text("\n".join(lines) + end)

    def test_the_curves_are_those_of_the_log(self):
        model = self.train()
        self.report("--log", "own.jsonl", model=model)
        history = self.page().data["history"]
        epochs = [json.loads(line) for line in self.lines()[1:-1]]
        self.assertEqual(history["epochs"], 2)
        for point, epoch in zip(history["points"], epochs):
            self.assertEqual(point, {key: epoch[key] for key in point})

    def test_without_a_log_it_says_so(self):
        out = self.report().out
        self.assertIn("without learning curves", out)
        self.assertIsNone(self.page().data["history"])

    def test_the_log_of_another_run_is_refused(self):
        self.train("--seed", 2)
        with self.unchanged():
            result = self.report("--log", "own.jsonl", code=BAD_DATA)
        self.assertIn("'own.jsonl' is the log of another training run: of other options",
                      result.err)
        self.assertEqual(result.out, "")

    def test_the_log_of_a_run_that_was_taken_up_again_is_the_models(self):
        model = self.train("--checkpoint", "own.checkpoint")
        self.train("--checkpoint", "own.checkpoint", "--resume", "own.checkpoint", "--epochs", 4)
        self.report("--log", "own.jsonl", model=model)
        self.assertEqual([p["epoch"] for p in self.page().data["history"]["points"]], [1, 2, 3, 4])

    def test_what_is_no_log_is_refused(self):
        model = self.train()
        lines = self.lines()
        for name, content, code in [
            ("empty", "", BAD_DATA), ("text", "hello\n", BAD_DATA), ("array", "[1]\n", BAD_DATA),
            ("no start", lines[1] + "\n", BAD_DATA), ("no epoch", lines[0] + "\n", BAD_DATA),
            ("a long line", lines[0] + "\n" + "x" * 100_000 + "\n", BAD_DATA),
            ("an epoch without number", lines[0] + '\n{"event":"epoch","epoch":"x"}\n', BAD_DATA),
            ("a zero byte", lines[0] + "\n\0\n", BAD_DATA),
        ]:
            with self.subTest(name):
                (self.folder / "own.jsonl").write_text(content)
                with self.unchanged():
                    result = self.report("--log", "own.jsonl", model=model, code=code)
                self.assertIn("own.jsonl", result.err)
                self.assert_one_line(result.err)
        with self.unchanged():
            self.report("--log", "missing.jsonl", model=model, code=BAD_DATA)
            self.report("--log", ".", model=model, code=BAD_DATA)

    def test_a_log_that_is_being_written_is_read_as_far_as_it_goes(self):
        model = self.train()
        self.write_log(self.lines()[:2] + [self.lines()[2][:20]], end="")
        self.report("--log", "own.jsonl", model=model)
        self.assertEqual(self.page().data["history"]["epochs"], 1)

    def test_an_epoch_that_comes_twice_counts_as_it_came_last(self):
        model = self.train()
        again = json.loads(self.lines()[2])
        again["loss"] = 0.125
        self.write_log(self.lines()[:3] + [json.dumps(again)])
        self.report("--log", "own.jsonl", model=model)
        points = self.page().data["history"]["points"]
        self.assertEqual([p["epoch"] for p in points], [1, 2])
        self.assertEqual(points[1]["loss"], 0.125)

    def test_of_very_many_epochs_an_even_selection_is_drawn(self):
        model = self.train()
        epoch = json.loads(self.lines()[1])
        many = [json.dumps({**epoch, "epoch": k}) for k in range(1, 2501)]
        self.write_log([self.lines()[0], *many])
        self.report("--log", "own.jsonl", model=model)
        history = self.page().data["history"]
        numbers = [p["epoch"] for p in history["points"]]
        self.assertEqual((history["epochs"], len(numbers), numbers[-1]), (2500, 1000, 2500))
        self.assertEqual(set(b - a for a, b in zip(numbers, numbers[1:])), {2, 3})


class OtherNetworks(ReportTest):
    def test_any_shape_is_shown(self):
        for options, layers in [
            (("--hidden", "none"), [(10, "softmax")]),
            (("--hidden", "30,20,10", "--activation", "tanh"),
             [(30, "tanh"), (20, "tanh"), (10, "tanh"), (10, "softmax")]),
            (("--hidden", 8, "--activation", "leaky-relu", "--output", "identity", "--lr", 0.001),
             [(8, "leaky-relu"), (10, "identity")]),
        ]:
            with self.subTest(options):
                self.report(model=self.train(*options))
                data = self.page().data
                self.assertEqual([(layer["units"], layer["activation"])
                                  for layer in data["network"]["layers"]], layers)
                self.assertEqual(data["calibration"] is None, layers[-1][1] == "identity")

    def test_a_network_too_large_for_a_page_is_left_out(self):
        header, _ = read_model(digits.small_model())
        network = json.loads(header["__metadata__"]["network"])
        network["layers"][0]["units"] = 5400
        tensors = bytes(4 * (5400 * 785 + 54010))
        header["__metadata__"].update(network=json.dumps(network), crc32=f"{zlib.crc32(tensors):08x}")
        at = 0
        for name, shape in (("fc1.weight", [5400, 784]), ("fc1.bias", [5400]),
                            ("fc2.weight", [10, 5400]), ("fc2.bias", [10])):
            size = 4 * math.prod(shape)
            header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
            at += size
        write_model(self.folder / "large", header, tensors)
        self.report(model=self.folder / "large")
        data = self.page().data
        self.assertEqual((data["network"], data["model"]["parameters"]), (None, len(tensors) // 4))
        self.assertLess((self.folder / "report.html").stat().st_size, 500_000)


# What strangers may call things. Bytes, because names need not be UTF-8.
HOSTILE = [
    b"</script><script>alert(1)</script>", b"<!--<script>", b"]]>", b"'\"><img src=x onerror=alert(1)>",
    "line\u2028separator\u2029".encode(), b"\xff\xfe broken \xc3", b"\xed\xa0\x80 \xf5\x80\x80\x80 \xc0\xaf",
    b"{{style}}{{script}}{{data}}", b"&lt;b&gt;&amp;", "\u202egnp.exe".encode(), b"\\u003c/script>",
]


class HostileNames(ReportTest):
    def setUp(self):
        super().setUp()
        self.report("--out", "plain.html")
        self.plain = self.page("plain.html")
        self.header, self.tensors = read_model(digits.small_model())

    def check(self, name="report.html"):
        """A browser finds the same elements, and the same script, as without hostile names."""
        raw = (self.folder / name).read_bytes()
        page = Page(raw.decode("utf-8"))  # strictly
        self.assertEqual(page.tags, self.plain.tags)
        self.assertEqual(page.scripts[1], self.plain.scripts[1])
        data_line = raw[raw.index(b'id="data">') + 10:]
        data_line = data_line[:data_line.index(b"</script>")]
        for byte in b"<>&":
            self.assertNotIn(byte, data_line)
        self.assertNotIn("\u2028", data_line.decode())
        return page.data

    def raw_model(self, **changes):
        """Writes a model whose metadata hold raw bytes, which JSON's writer would not pass."""
        header = json.loads(json.dumps(self.header))
        marks = {}
        for key, value in changes.items():
            mark = f"MARK{len(marks)}KRAM"
            header["__metadata__"][key] = mark
            marks[mark.encode()] = value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        raw = json.dumps(header, separators=(",", ":")).encode()
        for mark, value in marks.items():
            raw = raw.replace(mark, value)
        raw += b" " * (-len(raw) % 8)
        path = self.folder / "hostile.safetensors"
        path.write_bytes(struct.pack("<Q", len(raw)) + raw + self.tensors)
        return path

    def test_metadata_cannot_break_out(self):
        for value in HOSTILE:
            with self.subTest(value):
                model = self.raw_model(note=value, data=value)
                try:
                    expected = value.decode()
                except UnicodeDecodeError:  # such a model is none
                    self.report(model=model, code=BAD_MODEL)
                    continue
                self.report(model=model)
                self.assertEqual(dict(self.check()["model"]["facts"])["note"], expected)

    def test_class_names_cannot_break_out(self):
        names = b"</script> <!-- \xc3\xa9 \xe2\x80\xa8 <b> & ' \\\" x"
        model = self.raw_model(classes=b" ".join(names.split(b" ")[:10]))
        self.report(model=model)
        data = self.check()
        for name in data["classes"]:
            self.assertRegex(name, r"\A[\w-]{1,15}\Z")

    def test_file_names_cannot_break_out(self):
        for k, value in enumerate(HOSTILE):
            with self.subTest(value):
                name = value.replace(b"/", b"_")
                path = bytes(self.folder) + b"/" + name
                with open(path, "wb") as file:
                    file.write(digits.small_model().read_bytes())
                self.digits("report", "--model", name.decode("utf-8", "surrogateescape"), "--data",
                            digits.small_data(), "--out", f"{k}.html")
                data = self.check(f"{k}.html")
                self.assertEqual(data["model"]["file"].count("_"), name.count(b"_"))


class OtherPeoplesFiles(ReportTest):
    def test_a_report_is_replaced_and_nothing_else_without_force(self):
        target = self.folder / "report.html"
        target.write_text("<!DOCTYPE html>\n<p>my homepage\n")
        with self.unchanged():
            result = self.report(code=FAILED)
        self.assertIn("'report.html' holds something else; --force overwrites it", result.err)
        self.report("--force")
        self.report()
        self.assertEqual(self.page().data["total"], N_TEST)

    def test_what_cannot_be_written_is_said_before_any_work(self):
        with self.unchanged():
            result = self.report("--out", "no/such/folder.html", "--model", "missing", code=FAILED)
        self.assertIn("no/such/folder.html", result.err)

    def test_bad_models_and_data_leave_no_page(self):
        (self.folder / "bad").write_bytes(digits.small_model().read_bytes()[:-1])
        with self.unchanged():
            self.report(model=self.folder / "bad", code=BAD_MODEL)
            self.report(data=self.folder, code=BAD_DATA)
            self.report("--per-cell", 0, code=USAGE)


@needs_mnist
class Mnist(ReportTest):
    def test_it_is_under_three_megabytes(self):
        self.digits("train", "--data", digits.mnist(), "--epochs", 1, "--out", "m.safetensors",
                    "--log", "m.jsonl")
        self.report("--log", "m.jsonl", model=self.folder / "m.safetensors", data=digits.mnist())
        self.assertLess((self.folder / "report.html").stat().st_size, 3_000_000)
        data = self.page().data
        wrong = sum(a != b for a, b in zip(data["digits"]["label"], data["digits"]["read_as"]))
        self.assertEqual((data["total"], data["total"] - data["correct"]), (10_000, wrong))


if __name__ == "__main__":
    unittest.main()
