#!/usr/bin/env python3
"""The page in a report prepares pictures as the program does: app/report/prepare.js and
app/picture/prepare.c find the same digits in 200 drawings and pictures, and make the same bytes of
them."""

import base64
import json
import random
import shutil
import subprocess
import unittest
from pathlib import Path

import digits
from digits import TEST_IMAGES, CliTest, png, read_idx

PREPARE = digits.TOP / "app" / "report" / "prepare.js"
DRIVER = Path(__file__).with_name("prepare.js")

N_PICTURES = 200


class Page:
    """Ink on paper, 0 to 255."""

    def __init__(self, width, height):
        self.width, self.height = width, height
        self.ink = bytearray(width * height)

    def put(self, x, y, ink):
        if 0 <= x < self.width and 0 <= y < self.height:
            self.ink[y * self.width + x] = max(self.ink[y * self.width + x], ink)

    def digit(self, pixels, left, top, scale):
        """A digit of 28 x 28 pixels, enlarged in blocks, perhaps not by a whole number."""
        side = int(28 * scale)
        for y in range(side):
            for x in range(side):
                self.put(left + x, top + y, pixels[int(y / scale) * 28 + int(x / scale)])

    def stroke(self, a, b, radius):
        steps = max(abs(a[0] - b[0]), abs(a[1] - b[1]), 1)
        for i in range(0, steps + 1, 2):
            x, y = a[0] + (b[0] - a[0]) * i // steps, a[1] + (b[1] - a[1]) * i // steps
            for dy in range(-radius, radius + 1):
                for dx in range(-radius, radius + 1):
                    if dx * dx + dy * dy <= radius * radius:
                        self.put(x + dx, y + dy, 255)

    def blur(self):
        """The mean of three pixels across, then down."""
        for step, n in ((1, len(self.ink)), (self.width, len(self.ink))):
            old = bytes(self.ink)
            for i in range(step, n - step):
                self.ink[i] = (old[i - step] + old[i] + old[i + step]) // 3


class Prepare(CliTest):
    def setUp(self):
        super().setUp()
        self.random = random.Random(1)
        self.shapes = read_idx(digits.small_data() / (TEST_IMAGES + ".gz"))[1]

    def any_digit(self):
        k = self.random.randrange(digits.N_TEST)
        return self.shapes[784 * k:784 * (k + 1)]

    # ---- what is on a page ----------------------------------------------------------------

    def one_digit(self, page):
        scale = self.random.uniform(0.5, min(page.width, page.height) / 30)
        page.digit(self.any_digit(), self.random.randrange(-5, page.width // 2),
                   self.random.randrange(-5, page.height // 2), scale)

    def several_digits(self, page):
        scale = self.random.uniform(0.8, 2)
        for k in range(self.random.randrange(2, 8)):
            page.digit(self.any_digit(), int(30 * scale * (k % 4)) + self.random.randrange(5),
                       int(32 * scale * (k // 4)) + self.random.randrange(8), scale)

    def scribble(self, page):
        spot = lambda: (self.random.randrange(page.width), self.random.randrange(page.height))
        at, radius = spot(), self.random.randrange(1, 8)
        for _ in range(self.random.randrange(1, 15)):
            to = spot()
            page.stroke(at, to, radius)
            at = to

    def blank(self, page):
        pass

    # ---- what it looks like ---------------------------------------------------------------

    def bytes_of(self, page, channels):
        """Paper and ink of any colours, light from one side, noise."""
        pick = lambda: [self.random.randrange(256) for _ in range(3)]
        paper, ink = (255,) * 3, (0,) * 3
        if self.random.random() < 0.3:
            paper, ink = ink, paper
        elif self.random.random() < 0.6:
            paper, ink = pick(), pick()
        fade = self.random.choice([0, 0, 40, 60])
        noise = self.random.choice([0, 0, 6, 25])
        out = bytearray()
        for i, share in enumerate(page.ink):
            light = 100 - fade * (i % page.width) // page.width
            for c in range(min(channels, 3)):
                value = (paper[c] + (ink[c] - paper[c]) * share // 255) * light // 100
                value += self.random.randrange(-noise, noise + 1) if noise else 0
                out.append(min(max(value, 0), 255))
            if channels == 4:
                out.append(255 if i % 7 else self.random.randrange(256))
        return bytes(out)

    def picture(self, k):
        """Picture k: (width, height, channels, bytes)."""
        width, height = self.random.randrange(30, 200), self.random.randrange(30, 160)
        if k % 40 == 39:
            width, height = 1300, 40 # larger than what is looked at
        page = Page(width, height)
        kinds = [self.one_digit, self.one_digit, self.one_digit, self.several_digits,
                 self.scribble, self.blank]
        kinds[k % len(kinds)](page)
        if self.random.random() < 0.4:
            page.blur()
        channels = (1, 3, 4)[k % 7 % 3]
        return width, height, channels, self.bytes_of(page, channels)

    # ---- both -----------------------------------------------------------------------------

    def from_c(self, pictures):
        paths = []
        for k, (width, height, channels, data) in enumerate(pictures):
            colour = {1: 0, 3: 2, 4: 6}[channels]
            paths.append(self.folder / f"{k}.png")
            paths[-1].write_bytes(png(data, width, height, colour=colour))
        found = self.digits("predict", "--model", digits.small_model(), "--json", "--pixels",
                            "--prepare", "always", *paths).json()["predictions"]
        by_file = {str(path): [] for path in paths}
        for prediction in found:
            if "box" in prediction:
                box = prediction["box"]
                by_file[prediction["file"]].append({
                    "box": {"left": box["left"], "top": box["top"],
                            "right": box["left"] + box["width"],
                            "bottom": box["top"] + box["height"]},
                    "pixels": prediction["pixels"],
                    "isDigit": prediction["verdict"] != "no digit"})
        return [by_file[str(path)] for path in paths]

    def from_javascript(self, pictures):
        node = shutil.which("node") or shutil.which("nodejs")
        if not node:
            self.skipTest("needs node (Debian: nodejs)")
        lines = "".join(json.dumps({"width": width, "height": height, "channels": channels,
                                    "pixels": base64.b64encode(data).decode()}) + "\n"
                        for width, height, channels, data in pictures)
        done = subprocess.run([node, DRIVER, PREPARE], input=lines, capture_output=True,
                              text=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_c_and_javascript_make_the_same_bytes(self):
        pictures = [self.picture(k) for k in range(N_PICTURES)]
        one, other = self.from_c(pictures), self.from_javascript(pictures)
        self.assertEqual(len(one), len(other))
        for k, (mine, theirs) in enumerate(zip(one, other)):
            with self.subTest(k):
                self.assertEqual(mine, theirs)
        counts = [len(found) for found in one]
        self.assertGreater(sum(count == 0 for count in counts), N_PICTURES // 10)
        self.assertGreater(sum(count == 1 for count in counts), N_PICTURES // 4)
        self.assertGreater(sum(count > 1 for count in counts), N_PICTURES // 20)
        self.assertIn(False, [digit["isDigit"] for found in one for digit in found])


if __name__ == "__main__":
    unittest.main()
