"use strict";
/* The network, as nnlib computes it: a(l) = W(l) z(l-1) + b(l), z(l) = h(a(l)). Sums are taken in
 * double precision here and in single there, so the last digits may differ. */

const ACTIVATIONS = {
    sigmoid: a => a.map(x => 1 / (1 + Math.exp(-x))),
    tanh: a => a.map(Math.tanh),
    relu: a => a.map(x => Math.max(0, x)),
    "leaky-relu": a => a.map(x => (x > 0 ? x : 0.01 * x)),
    identity: a => a,
    softmax: a => {
        const most = Math.max(...a);
        const powers = a.map(x => Math.exp(x - most));
        const sum = powers.reduce((total, x) => total + x, 0);
        return powers.map(x => x / sum);
    },
};

/* Makes a network of its layers [{units, activation}] and its parameters, in the order of a model
 * file: W(0) row by row, b(0), W(1), b(1), ... */
function makeNetwork(inputs, layers, parameters) {
    let at = 0;
    let width = inputs;
    const made = layers.map(({ units, activation }) => {
        const weights = parameters.subarray(at, at + units * width);
        const biases = parameters.subarray(at + units * width, at + units * (width + 1));
        const layer = { inputs: width, units, activation, weights, biases };
        at += units * (width + 1);
        width = units;
        return layer;
    });
    return { inputs, layers: made };
}

/* Returns a picture's pixels, bytes, as the network sees them: byte / 255. */
function networkInput(pixels) {
    return Float64Array.from(pixels, byte => Math.fround(byte / 255));
}

/* Returns the sums W z + b of a layer. */
function layerSums(layer, z) {
    const sums = new Float64Array(layer.units);
    for (let j = 0; j < layer.units; j++) {
        let sum = layer.biases[j];
        const row = j * layer.inputs;
        for (let i = 0; i < layer.inputs; i++) {
            sum += layer.weights[row + i] * z[i];
        }
        sums[j] = sum;
    }
    return sums;
}

/* Reads a picture: {z, sums, outputs}, where z[l] is what goes into layer l (z[0] is the picture),
 * and sums are those of the last layer. */
function runNetwork(network, pixels) {
    const z = [networkInput(pixels)];
    let sums;
    for (const layer of network.layers) {
        sums = layerSums(layer, z[z.length - 1]);
        z.push(ACTIVATIONS[layer.activation](sums));
    }
    return { z, sums, outputs: z.pop() };
}

/* Returns what unit i, one of those that feed the last layer, adds to each of its sums. */
function contributions(network, run, i) {
    const last = network.layers[network.layers.length - 1];
    const z = run.z[run.z.length - 1];
    return Array.from({ length: last.units }, (_, o) => last.weights[o * last.inputs + i] * z[i]);
}

/* Returns the index of the largest value, the first of equals. */
function argmax(values) {
    let best = 0;
    for (let k = 1; k < values.length; k++) {
        if (values[k] > values[best]) {
            best = k;
        }
    }
    return best;
}
