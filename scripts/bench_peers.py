#!/usr/bin/env python3
"""The same work in NumPy and PyTorch as in bench.c, in the same run and on the same core.

usage: bench_peers.py --bench PROGRAM --digits PROGRAM --data DIR [--only SECTION] [--repeats N]
                      [--json]

scripts/bench.sh --peers runs this. Both peers are given what a good programmer would give them:
pixels that are numbers before the clock starts, one BLAS thread that knows the processor, arrays
made once, no measuring of the loss. nnlib starts from bytes and computes loss and accuracy of
every batch.

One trap costs any of them more than all the rest: velocities of pixels that are seldom inked decay
into subnormal numbers, each operation on which takes over a hundred cycles. The loops named
"flushed" set such velocities to 0 in time; the others show what happens without.
"""
import argparse
import ctypes
import gzip
import json
import os
import resource
import statistics
import subprocess
import sys
import time

INPUTS, HIDDEN, CLASSES = 784, 15, 10
BATCHES = (10, 32, 100, 1000)
RATE, MOMENTUM = 0.02, 0.9
FLUSH_EVERY, FLUSH_BELOW = 256, 1e-20  # 0.9 ** 256 * 1e-20 is not yet subnormal
AVX512_CORES = ("skylakex", "cooperlake", "sapphirerapids", "zen4", "zen5")


# ---- the machine -------------------------------------------------------------------------------


def stay_on_one_core():
    """As bench.c does: the last of those allowed."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def blas_core():
    """What OpenBLAS takes this processor for, in lower case; asked in a process of its own,
    because the answer is settled when the library is loaded."""
    code = ("import ctypes; f = ctypes.CDLL('libblas.so.3').openblas_get_corename;"
            "f.restype = ctypes.c_char_p; print(f().decode())")
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return asked.stdout.strip().lower()


def prepare_blas():
    """Must come before NumPy is imported. Returns what OpenBLAS works as."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    core = blas_core()
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:
            flags = next((row for row in info if row.startswith("flags")), "")
    except OSError:
        flags = ""
    if " avx512vl" in flags and core and core not in AVX512_CORES:
        os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")
        core = blas_core() + ", told so"
    return core or "not OpenBLAS"


def seconds():
    return time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID)


def median_time(work, repeats, least=0.02):
    """Median CPU time of work(), each time repeated until `least` seconds have passed."""
    start = seconds()
    work()
    times = max(1, int(least / (seconds() - start + 1e-7)))
    samples = []
    for _ in range(repeats):
        start = seconds()
        for _ in range(times):
            work()
        samples.append((seconds() - start) / times)
    return statistics.median(samples)


def child_seconds(command):
    """CPU time of a program from beginning to end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# ---- data --------------------------------------------------------------------------------------


def read_idx(folder, start, end):
    """Reads a data file by its usual name, with - or . before idx, with or without .gz."""
    for name in (f"{start}-{end}.gz", f"{start}-{end}", f"{start}.{end}.gz", f"{start}.{end}"):
        path = os.path.join(folder, name)
        if os.path.exists(path):
            with (gzip.open if name.endswith(".gz") else open)(path, "rb") as file:
                data = file.read()
            return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3])
    sys.exit(f"error: '{folder}' has no {start}-{end}")


def read_part(folder, name):
    images = read_idx(folder, f"{name}-images", "idx3-ubyte").reshape(-1, INPUTS)
    labels = read_idx(folder, f"{name}-labels", "idx1-ubyte").astype(np.int64)
    return (images / np.float32(255)).astype(np.float32), labels


# ---- NumPy -------------------------------------------------------------------------------------


class NumpyNet:
    """Layers of weights [units, inputs + 1], the last column being the biases: every layer's outputs
    have a column of ones, so that biases need no step of their own. All parameters lie in one
    block, and so do gradients and velocities: an update is three calls."""

    def __init__(self, sizes, activation):
        self.sizes, self.activation = sizes, activation
        shapes = [(b, a + 1) for a, b in zip(sizes, sizes[1:])]
        count = sum(a * b for a, b in shapes)
        rng = np.random.default_rng(1)
        self.block = np.zeros(count, np.float32)
        self.velocity = np.zeros(count, np.float32)
        self.gradient = np.zeros(count, np.float32)
        self.weights, self.gradients = [], []
        at = 0
        for a, b in shapes:
            w = self.block[at:at + a * b].reshape(a, b)
            w[:, :-1] = rng.uniform(-1, 1, (a, b - 1)) * np.sqrt(6 / (a + b - 1))
            self.weights.append(w)
            self.gradients.append(self.gradient[at:at + a * b].reshape(a, b))
            at += a * b
        self.steps = 0
        self.spaces = {}

    def space(self, n):
        """Work space for batches of n, made once."""
        if n not in self.spaces:
            self.spaces[n] = {
                "z": [np.ones((n, size + 1), np.float32) for size in self.sizes[:-1]],
                "a": [np.empty((n, size), np.float32) for size in self.sizes[1:]],
                "d": [np.empty((n, size), np.float32) for size in self.sizes[1:]],
                "t": np.arange(n),
            }
        return self.spaces[n]

    def activate(self, a, z):
        if self.activation == "relu":
            np.maximum(a, 0, out=z)
            return
        np.negative(a, out=a)
        np.exp(a, out=a)
        a += 1
        np.reciprocal(a, out=z)

    def forward(self, space):
        z, a = space["z"], space["a"]
        last = len(a) - 1
        for l, w in enumerate(self.weights):
            np.dot(z[l], w.T, out=a[l])
            if l < last:
                self.activate(a[l], z[l + 1][:, :-1])
        y = a[last]
        y -= y.max(axis=1, keepdims=True)
        np.exp(y, out=y)
        y /= y.sum(axis=1, keepdims=True)
        return y

    def times_slope(self, d, z, spare):
        if self.activation == "relu":
            np.multiply(d, z > 0, out=d)
            return
        np.subtract(1, z, out=spare)
        spare *= z
        d *= spare

    def train_batch(self, x, labels, index, flush):
        n = len(index)
        space = self.space(n)
        z, a, d = space["z"], space["a"], space["d"]
        # mode="clip" writes to out directly; the default makes a copy first
        np.take(x, index, axis=0, out=z[0], mode="clip")
        delta = self.forward(space)
        delta[space["t"], labels[index]] -= 1
        delta *= -RATE / n
        for l in reversed(range(len(self.weights))):
            np.dot(delta.T, z[l], out=self.gradients[l])
            if l > 0:
                np.dot(delta, self.weights[l][:, :-1], out=d[l - 1])
                self.times_slope(d[l - 1], z[l][:, :-1], a[l - 1])
                delta = d[l - 1]
        self.velocity *= MOMENTUM
        self.velocity += self.gradient
        self.block += self.velocity
        self.steps += 1
        if flush and self.steps % FLUSH_EVERY == 0:
            self.velocity[np.abs(self.velocity) < FLUSH_BELOW] = 0

    def epoch(self, x, labels, batch, flush=True):
        order = np.random.default_rng(self.steps).permutation(len(x))
        for first in range(0, len(x), batch):
            self.train_batch(x, labels, order[first:first + batch], flush)


def with_ones(x):
    return np.concatenate([x, np.ones((len(x), 1), np.float32)], axis=1)


def numpy_predictors(test):
    """Inference in one call and one by one, each as plainly as it gets."""
    net = NumpyNet((INPUTS, HIDDEN, CLASSES), "sigmoid")
    (w1, w2) = (np.ascontiguousarray(w[:, :-1].T) for w in net.weights)
    (b1, b2) = (np.ascontiguousarray(w[:, -1]) for w in net.weights)
    hidden = np.empty((len(test), HIDDEN), np.float32)
    out = np.empty((len(test), CLASSES), np.float32)
    one_hidden, one_out = np.empty(HIDDEN, np.float32), np.empty(CLASSES, np.float32)

    def forward(x, h, y):
        np.dot(x, w1, out=h)
        np.add(h, b1, out=h)
        np.negative(h, out=h)
        np.exp(h, out=h)
        np.add(h, 1, out=h)
        np.reciprocal(h, out=h)
        np.dot(h, w2, out=y)
        np.add(y, b2, out=y)

    def softmax():
        np.subtract(out, out.max(axis=1, keepdims=True), out=out)
        np.exp(out, out=out)
        np.divide(out, out.sum(axis=1, keepdims=True), out=out)

    def all_at_once():
        forward(test, hidden, out)
        softmax()

    def each():
        for x in test:
            forward(x, one_hidden, one_out)
            one_out.argmax()  # softmax would not change it

    return all_at_once, each


# ---- PyTorch -----------------------------------------------------------------------------------


class TorchEager:
    """As the tutorials write it."""

    def __init__(self, sizes, activation):
        kinds = {"relu": torch.nn.ReLU, "sigmoid": torch.nn.Sigmoid}
        layers = []
        for k, (a, b) in enumerate(zip(sizes, sizes[1:])):
            layers.append(torch.nn.Linear(a, b))
            if k < len(sizes) - 2:
                layers.append(kinds[activation]())
        self.net = torch.nn.Sequential(*layers)
        self.loss = torch.nn.CrossEntropyLoss()
        self.sgd = torch.optim.SGD(self.net.parameters(), lr=RATE, momentum=MOMENTUM)

    def epoch(self, x, labels, batch, flush=True):
        torch.set_flush_denormal(flush)
        order = torch.randperm(len(x))
        for first in range(0, len(x), batch):
            index = order[first:first + batch]
            self.sgd.zero_grad(set_to_none=True)
            self.loss(self.net(x[index]), labels[index]).backward()
            self.sgd.step()
        torch.set_flush_denormal(False)


class TorchByHand:
    """No graph: the gradients written out, into arrays made once, all parameters in one block."""

    def __init__(self, sizes, activation):
        self.sizes, self.activation = sizes, activation
        count = sum((a + 1) * b for a, b in zip(sizes, sizes[1:]))
        self.block = torch.zeros(count)
        self.gradient, self.velocity = torch.zeros(count), torch.zeros(count)
        self.layers = []
        at = 0
        for a, b in zip(sizes, sizes[1:]):
            views = []
            for block in (self.block, self.gradient):
                views += [block[at:at + a * b].view(a, b), block[at + a * b:at + (a + 1) * b]]
            views[0].uniform_(-1, 1).mul_((6 / (a + b)) ** 0.5)
            self.layers.append(views)
            at += (a + 1) * b
        self.spaces = {}

    def space(self, n):
        if n not in self.spaces:
            self.spaces[n] = (torch.empty(n, self.sizes[0]),
                              [torch.empty(n, size) for size in self.sizes[1:]],
                              [torch.empty(n, size) for size in self.sizes[1:]])
        return self.spaces[n]

    def train_batch(self, x, targets, index):
        n = len(index)
        x_batch, z, d = self.space(n)
        last = len(z) - 1
        torch.index_select(x, 0, index, out=x_batch)
        below = [x_batch] + z
        for l, (w, b, _, _) in enumerate(self.layers):
            torch.addmm(b, below[l], w, out=z[l])
            if l < last:
                z[l].relu_() if self.activation == "relu" else z[l].sigmoid_()
        delta = torch.softmax(z[last], 1)
        delta.sub_(targets.index_select(0, index)).mul_(-RATE / n)
        for l in reversed(range(last + 1)):
            w, _, gw, gb = self.layers[l]
            torch.mm(below[l].t(), delta, out=gw)
            torch.sum(delta, 0, out=gb)
            if l > 0:
                torch.mm(delta, w.t(), out=d[l - 1])
                delta = (torch.ops.aten.threshold_backward(d[l - 1], z[l - 1], 0)
                         if self.activation == "relu"
                         else torch.ops.aten.sigmoid_backward(d[l - 1], z[l - 1]))
        self.velocity.mul_(MOMENTUM).add_(self.gradient)
        self.block.add_(self.velocity)

    @staticmethod
    def one_hot(labels):
        return torch.nn.functional.one_hot(labels, CLASSES).float()

    def epoch(self, x, targets, batch, flush=True):
        torch.set_flush_denormal(flush)
        with torch.inference_mode():
            order = torch.randperm(len(x))
            for index in order.split(batch):
                self.train_batch(x, targets, index)
        torch.set_flush_denormal(False)


def torch_predictors(test):
    net = torch.nn.Sequential(torch.nn.Linear(INPUTS, HIDDEN), torch.nn.Sigmoid(),
                              torch.nn.Linear(HIDDEN, CLASSES), torch.nn.Softmax(-1))
    rows = list(test)
    with torch.inference_mode():
        traced = torch.jit.freeze(torch.jit.trace(net.eval(), test[:1]).eval())

    def all_at_once():
        with torch.inference_mode():
            net(test)

    def each():
        with torch.inference_mode():
            for x in rows:
                net(x)

    def each_traced():
        with torch.inference_mode():
            for x in rows:
                traced(x)

    return all_at_once, each, each_traced


# ---- comparisons -------------------------------------------------------------------------------


class Table:
    """Collects the rows and prints each as soon as it is there."""

    def __init__(self, args):
        self.args, self.rows, self.ours = args, [], {}

    def run_ours(self, section):
        """Runs bench for one section, on this core."""
        command = [self.args.bench, "--json", "--only", section, "--data", self.args.data,
                   "--digits", self.args.digits, "--repeats", str(self.args.repeats)]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        self.ours = json.loads(out)
        return self.ours[section]

    def heading(self, title):
        if not self.args.json:
            print(f"\n{title:46} {'CPU ms':>10} {'x nnlib':>8}", flush=True)

    def add(self, work, who, time_taken, ours=None):
        ratio = time_taken / ours if ours else None
        self.rows.append({"work": work, "who": who, "seconds": time_taken, "ratio": ratio})
        if not self.args.json:
            shown = f"{ratio:8.2f}" if ratio else ""
            print(f"{work + ': ' + who:46} {1e3 * time_taken:10.3f} {shown}", flush=True)


def epochs_of(net, data, batch, repeats, flush):
    """Median time of an epoch, the first (for velocities to settle) left out."""
    x, labels = data
    return median_time(lambda: net.epoch(x, labels, batch, flush), repeats, least=0)


def trainers(sizes, activation, train):
    """(name, network, its data, flush) for every way to train."""
    x, labels = train
    ones, tensors = with_ones(x), (torch.from_numpy(x), torch.from_numpy(labels))
    one_hot = (tensors[0], TorchByHand.one_hot(tensors[1]))
    yield "NumPy, flushed", NumpyNet(sizes, activation), (ones, labels), True
    yield "NumPy", NumpyNet(sizes, activation), (ones, labels), False
    yield "PyTorch eager, flushed", TorchEager(sizes, activation), tensors, True
    yield "PyTorch eager", TorchEager(sizes, activation), tensors, False
    yield "PyTorch by hand, flushed", TorchByHand(sizes, activation), one_hot, True


def compare_training(table, row, sizes, activation, train):
    """One network at one batch size."""
    work = f"{row['network']}, batch {row['batch']:.0f}"
    peers = []
    for name, net, data, flush in trainers(sizes, activation, train):
        peers.append((name, epochs_of(net, data, row["batch"], table.args.repeats, flush)))
    table.add(work, "nnlib", row["seconds"], row["seconds"])
    for name, taken in peers:
        table.add(work, name, taken, row["seconds"])


def compare_epochs(table, train, _test):
    table.heading("training, an epoch")
    for row in table.run_ours("epoch"):
        row["batch"] = int(row["batch"])
        compare_training(table, row, (INPUTS, HIDDEN, CLASSES), "sigmoid", train)


def compare_wide(table, train, _test):
    table.heading("training of wide networks, ReLU")
    for row in table.run_ours("wide"):
        row["batch"] = int(row["batch"])
        sizes = tuple(int(size) for size in row["network"].split("-"))
        n = round(row["images_per_second"] * row["seconds"])
        compare_training(table, row, sizes, "relu", (train[0][:n], train[1][:n]))


def compare_inference(table, _train, test):
    table.heading(f"inference, {len(test[0])} images")
    ours = [row["seconds"] for row in table.run_ours("predict")]
    x = test[0]
    numpy_all, numpy_each = numpy_predictors(x)
    torch_all, torch_each, torch_traced = torch_predictors(torch.from_numpy(x))
    works = ((0, "nnlib", None), (0, "NumPy", numpy_all), (0, "PyTorch", torch_all),
             (1, "nnlib", None), (1, "NumPy", numpy_each), (1, "PyTorch", torch_each),
             (1, "PyTorch, traced and frozen", torch_traced))
    for which, who, work in works:
        taken = median_time(work, table.args.repeats) if work else ours[which]
        table.add(("in one call", "one by one")[which], who, taken, ours[which])


def compare_program(table, train, _test):
    """`digits train` against importing PyTorch and training one epoch at the same batch."""
    table.heading("the whole program")
    ours = table.run_ours("train")[0]["seconds"]
    imports = statistics.median(child_seconds([sys.executable, "-c", "import torch"])
                                for _ in range(table.args.repeats))
    data = tuple(torch.from_numpy(part) for part in train)
    epoch = epochs_of(TorchEager((INPUTS, HIDDEN, CLASSES), "sigmoid"), data, 32,
                      table.args.repeats, False)
    table.add("digits train, 30 epochs", "nnlib", ours, ours)
    table.add("import torch", "PyTorch", imports, ours)
    table.add("one epoch, batch 32", "PyTorch eager", epoch, ours)
    table.add("both", "PyTorch", imports + epoch, ours)


SECTIONS = {"epoch": compare_epochs, "predict": compare_inference, "wide": compare_wide,
            "train": compare_program}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", required=True, help="the program that bench.c makes")
    parser.add_argument("--digits", required=True, help="the program itself")
    parser.add_argument("--data", required=True, help="the folder with the four files")
    parser.add_argument("--only", choices=sorted(SECTIONS), help="measure this alone")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one object, no table")
    args = parser.parse_args()
    torch.set_num_threads(1)
    train, test = read_part(args.data, "train"), read_part(args.data, "t10k")
    table = Table(args)
    if not args.json:
        print(f"NumPy {np.__version__}, PyTorch {torch.__version__}, BLAS core: {BLAS_CORE}")
    for name, compare in SECTIONS.items():
        if args.only in (None, name):
            compare(table, train, test)
    if args.json:
        print(json.dumps({"numpy": np.__version__, "torch": torch.__version__,
                          "blas_core": BLAS_CORE, "rows": table.rows}, indent=1))


if __name__ == "__main__":
    stay_on_one_core()
    BLAS_CORE = prepare_blas()
    import numpy as np
    import torch
    main()
