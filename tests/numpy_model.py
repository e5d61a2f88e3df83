#!/usr/bin/env python3
"""Reads a model and pictures with NumPy alone and prints the digit read in each, one a line.

usage: numpy_model.py MODEL.safetensors IMAGES-idx3-ubyte[.gz]
"""
import gzip, json, sys
import numpy as np

ACTIVATIONS = {"sigmoid": lambda a: 1 / (1 + np.exp(-a)), "tanh": np.tanh,
               "relu": lambda a: np.maximum(a, 0), "leaky-relu": lambda a: np.maximum(a, a / 100),
               "identity": lambda a: a, "softmax": lambda a: a}  # softmax keeps the order
model, images = (open(path, "rb").read() for path in sys.argv[1:3])
images = gzip.decompress(images) if images[:2] == b"\x1f\x8b" else images
n, rows, columns = np.frombuffer(images, ">u4", 3, offset=4)
z = np.frombuffer(images, np.uint8, offset=16).reshape(n, rows * columns).astype(np.float32) / 255
length = int.from_bytes(model[:8], "little")
header = json.loads(model[8:8 + length])

def tensor(name):
    (start, end), shape = header[name]["data_offsets"], header[name]["shape"]
    return np.frombuffer(model[8 + length:][start:end], "<f4").reshape(shape)

for k, layer in enumerate(json.loads(header["__metadata__"]["network"])["layers"], start=1):
    z = ACTIVATIONS[layer["activation"]](z @ tensor(f"fc{k}.weight").T + tensor(f"fc{k}.bias"))
print("\n".join(map(str, z.argmax(axis=1))))
