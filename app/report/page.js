"use strict";
/* What all parts of the page share: its data, elements, numbers in words, pictures, the keyboard. */

/* ---- data ------------------------------------------------------------------------------------ */

function bytesOf(base64) {
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) {
        bytes[i] = text.charCodeAt(i);
    }
    return bytes;
}

function floatsOf(base64) {
    const view = new DataView(bytesOf(base64).buffer);
    const floats = new Float32Array(view.byteLength / 4);
    for (let i = 0; i < floats.length; i++) {
        floats[i] = view.getFloat32(4 * i, true);
    }
    return floats;
}

async function inflate(base64) {
    const stream = new Blob([bytesOf(base64)]).stream();
    const inflated = stream.pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(inflated).arrayBuffer());
}

/* Makes objects of the lists that the file holds: {index, label, guess, right, confidence, outputs,
 * pixels}. */
async function unpackDigits(packed, inputs, classes) {
    const pixels = await inflate(packed.pixels);
    const outputs = floatsOf(packed.outputs);
    return packed.index.map((index, k) => {
        const own = outputs.subarray(k * classes, (k + 1) * classes);
        const guess = packed.read_as[k];
        return {
            index,
            label: packed.label[k],
            guess,
            right: packed.label[k] === guess,
            confidence: own[guess],
            outputs: own,
            pixels: pixels.subarray(k * inputs, (k + 1) * inputs),
        };
    });
}

/* Reads what `digits report` put into the page. */
async function readReport() {
    const report = JSON.parse(document.getElementById("data").textContent);
    const inputs = report.data.rows * report.data.columns;
    report.perCell = report.digits.per_cell;
    report.digits = await unpackDigits(report.digits, inputs, report.classes.length);
    if (report.network) {
        const { layers, parameters } = report.network;
        report.network = makeNetwork(inputs, layers, floatsOf(parameters));
    }
    report.probabilities = report.calibration !== null;
    return report;
}

/* ---- elements -------------------------------------------------------------------------------- */

function setAttributes(node, attributes) {
    for (const [name, value] of Object.entries(attributes)) {
        if (typeof value === "function") {
            node.addEventListener(name, value);
        } else if (value === true) {
            node.setAttribute(name, "");
        } else if (value !== false && value !== null && value !== undefined) {
            node.setAttribute(name, value);
        }
    }
}

/* Makes an element. Attributes that are functions are listeners; children are nodes or texts, which
 * are never taken for HTML. */
function element(name, attributes = {}, ...children) {
    const node = document.createElement(name);
    setAttributes(node, attributes);
    node.append(...children.flat());
    return node;
}

function svg(name, attributes = {}, ...children) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    setAttributes(node, attributes);
    node.append(...children.flat());
    return node;
}

function fill(id, ...children) {
    document.getElementById(id).replaceChildren(...children.flat());
}

function button(text, onClick, attributes = {}) {
    return element("button", { type: "button", click: onClick, ...attributes }, text);
}

/* A list of choices [[value, text]] with its label. */
function chooser(label, choices, onChange) {
    const select = element(
        "select",
        { change: () => onChange(select.value) },
        choices.map(([value, text]) => element("option", { value }, text)),
    );
    return element("label", { class: "chooser" }, `${label} `, select);
}

/* A table that may be wider than the window, and then moves within a frame of its own. */
function scrollable(label, table) {
    return element(
        "div",
        { class: "scroll", role: "region", tabindex: 0, "aria-label": label },
        table,
    );
}

/* ---- numbers in words ------------------------------------------------------------------------ */

function total(values) {
    return values.reduce((sum, value) => sum + value, 0);
}

function countText(n) {
    return n.toLocaleString("en-US");
}

function plural(n, one, many) {
    return `${countText(n)} ${n === 1 ? one : many}`;
}

function percentText(share, places = 1) {
    return `${(100 * share).toFixed(places)} %`;
}

/* A minus sign, not a hyphen. */
function signedText(value, places = 1) {
    const text = Math.abs(value).toFixed(places);
    return value < 0 && Number(text) !== 0 ? `−${text}` : text;
}

/* How sure an output is, as people read it: probabilities in percent, other outputs as they are.
 * Nearly certain is not certain. */
function sureText(report, value) {
    if (!report.probabilities) {
        return signedText(value, 2);
    }
    return value > 0.995 && value < 0.9995 ? percentText(value, 1) : percentText(value, 0);
}

function hasLongNames(report) {
    return report.classes.some(name => name.length > 3);
}

function setText(report) {
    return report.data.set === "test" ? "test set" : "training set";
}

/* ---- pictures -------------------------------------------------------------------------------- */

/* Paints rows x columns pixels; colour(k) is [red, green, blue, alpha 0..255] of pixel k. */
function paint(canvas, rows, columns, colour) {
    const context = canvas.getContext("2d");
    const image = context.createImageData(columns, rows);
    for (let k = 0; k < rows * columns; k++) {
        image.data.set(colour(k), 4 * k);
    }
    context.putImageData(image, 0, 0);
}

/* A picture of bytes as ink on paper. The paper is the page, the ink turns white in the dark. */
function paintDigit(canvas, rows, columns, pixels) {
    paint(canvas, rows, columns, k => [0, 0, 0, pixels[k]]);
}

function pictureCanvas(rows, columns, kind, label) {
    const named = label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" };
    return element("canvas", { width: columns, height: rows, class: `picture ${kind}`, ...named });
}

function digitPicture(report, digit, label) {
    const { rows, columns } = report.data;
    const canvas = pictureCanvas(rows, columns, "ink", label);
    paintDigit(canvas, rows, columns, digit.pixels);
    return canvas;
}

/* Blue speaks for, red against; the stronger, the fuller. t is in -1..1. */
function divergingColour(t) {
    const alpha = Math.round(255 * Math.min(1, Math.abs(t)));
    return t >= 0 ? [43, 115, 196, alpha] : [205, 82, 44, alpha];
}

function divergingStyle(t) {
    const [red, green, blue, alpha] = divergingColour(t);
    return `rgb(${red} ${green} ${blue} / ${((alpha / 255) * 0.75).toFixed(3)})`;
}

/* ---- what was read --------------------------------------------------------------------------- */

/* The outputs as bars, one a class: {node, show(outputs, truth)}; outputs null: none. */
function outputBars(report) {
    const rows = report.classes.map(name => {
        const bar = element("span", { class: "bar" });
        const value = element("td", { class: "value" });
        const row = element(
            "tr",
            {},
            element("th", { scope: "row" }, name),
            element("td", { class: "track", "aria-hidden": "true" }, bar),
            value,
        );
        return { row, bar, value };
    });
    const node = element(
        "table",
        { class: "bars", "aria-label": report.probabilities ? "Probabilities" : "Outputs" },
        element(
            "tbody",
            {},
            rows.map(({ row }) => row),
        ),
    );

    function show(outputs, truth = null) {
        const best = outputs ? argmax(outputs) : -1;
        const scale =
            outputs && !report.probabilities ? Math.max(...outputs.map(Math.abs), 1e-9) : 1;
        rows.forEach(({ row, bar, value }, k) => {
            const output = outputs ? outputs[k] : 0;
            bar.style.width = `${100 * Math.min(1, Math.max(0, output / scale))}%`;
            value.textContent = outputs ? sureText(report, output) : "";
            row.classList.toggle("best", k === best);
            row.classList.toggle("wrong", k === best && truth !== null && k !== truth);
            row.classList.toggle("is-truth", k === truth);
        });
    }
    show(null);
    return { node, show };
}

/* ---- the keyboard ---------------------------------------------------------------------------- */

/* The item that lies nearest above (step -1) or below (step 1). */
function verticalNeighbour(items, from, step) {
    const centre = box => (box.left + box.right) / 2;
    const here = from.getBoundingClientRect();
    let best = null;
    let least = Infinity;
    for (const item of items) {
        const there = item.getBoundingClientRect();
        const down = step * (there.top - here.top);
        const distance = 100 * down + Math.abs(centre(there) - centre(here));
        if (down > here.height / 2 && distance < least) {
            [best, least] = [item, distance];
        }
    }
    return best;
}

/* Makes the buttons in a box one stop of the Tab key; arrow keys, Home and End move between them. */
function rove(box, selector = "button") {
    const items = () => [...box.querySelectorAll(selector)];
    const stop = chosen =>
        items().forEach(item => {
            item.tabIndex = item === chosen ? 0 : -1;
        });
    const moves = {
        ArrowLeft: (all, at) => all[at - 1],
        ArrowRight: (all, at) => all[at + 1],
        ArrowUp: (all, at) => verticalNeighbour(all, all[at], -1),
        ArrowDown: (all, at) => verticalNeighbour(all, all[at], 1),
        Home: all => all[0],
        End: all => all[all.length - 1],
    };
    box.addEventListener("focusin", event => stop(event.target.closest(selector)));
    box.addEventListener("keydown", event => {
        const all = items();
        const at = all.indexOf(document.activeElement);
        const next = at >= 0 && moves[event.key] && moves[event.key](all, at);
        if (next) {
            event.preventDefault();
            next.focus();
        }
    });
    const reset = () => stop(items()[0]);
    reset();
    return reset;
}
