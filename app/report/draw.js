"use strict";
/* The field to draw on: strokes become a picture, prepare() finds the digits in it, the network
 * reads them. */

const FIELD_SIDE = 280; /* pixels of the picture that is read */
const PEN_WIDTH = 20;
const PEN_STEP = 7; /* a press of an arrow key */
const LONGEST_SIDE = 1200; /* of a picture from a file */
const LIGHTS_SHOWN = 256; /* units of a layer */

/* ---- strokes --------------------------------------------------------------------------------- */

function drawStrokes(context, strokes, colour) {
    context.lineCap = "round";
    context.lineJoin = "round";
    context.lineWidth = PEN_WIDTH;
    context.strokeStyle = colour;
    for (const stroke of strokes) {
        context.beginPath();
        context.moveTo(...stroke[0]);
        stroke.forEach(point => context.lineTo(...point));
        if (stroke.length === 1) {
            context.lineTo(stroke[0][0] + 0.01, stroke[0][1]); /* a dot */
        }
        context.stroke();
    }
}

function readableContext(width, height) {
    const canvas = element("canvas", { width, height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "white";
    context.fillRect(0, 0, width, height);
    return context;
}

/* Returns what is on a canvas in the form that prepare() takes. */
function pictureOf(context, width, height) {
    return { width, height, channels: 4, pixels: context.getImageData(0, 0, width, height).data };
}

/* Black ink on white paper, as it would be scanned. */
function strokesPicture(strokes) {
    const context = readableContext(FIELD_SIDE, FIELD_SIDE);
    drawStrokes(context, strokes, "black");
    return pictureOf(context, FIELD_SIDE, FIELD_SIDE);
}

/* ---- the units lighting up ------------------------------------------------------------------- */

/* How bright a unit is, -1..1: its output, as a share of what its kind can reach or of the
 * brightest one. */
function brightness(activation, z) {
    const most = activation === "sigmoid" || activation === "tanh" ? 1 : largest(z);
    return z.map(value => value / most);
}

function layerLights(report, l) {
    const { units, activation } = report.network.layers[l];
    const pictured = l === 0 && units <= UNITS_ROOM;
    const most = pictured ? fullWeight(report.network.layers[0].weights) : 1;
    const lights = Array.from({ length: Math.min(units, LIGHTS_SHOWN) }, (_, j) =>
        element(
            "span",
            { class: "light", title: `unit ${j + 1}` },
            pictured ? weightPicture(report, j, most) : "",
        ),
    );
    const node = element(
        "div",
        { class: pictured ? "lights pictured" : "lights", role: "img" },
        lights,
    );
    const more = units > LIGHTS_SHOWN ? `, the first ${LIGHTS_SHOWN} of ${countText(units)}` : "";
    const name = report.network.layers.length > 2 ? `Hidden layer ${l + 1}` : "Hidden units";

    function show(z) {
        const levels = z ? brightness(activation, Array.from(z)) : lights.map(() => 0);
        lights.forEach((light, j) => {
            light.style.setProperty("--level", Math.abs(levels[j]).toFixed(3));
            light.classList.toggle("negative", levels[j] < 0);
        });
        const lit = levels
            .map((level, j) => [level, j + 1])
            .sort((a, b) => b[0] - a[0])
            .slice(0, 3);
        node.setAttribute(
            "aria-label",
            z ? `Brightest: units ${lit.map(([, j]) => j).join(", ")}` : "All dark",
        );
    }
    return {
        node: element("div", {}, element("p", { class: "caption" }, `${name}${more}`), node),
        show,
    };
}

function unitLights(report) {
    const hidden = report.network.layers.slice(0, -1).map((_, l) => layerLights(report, l));
    const show = run => hidden.forEach((layer, l) => layer.show(run ? run.z[l + 1] : null));
    show(null);
    return {
        node: element(
            "div",
            { class: "hidden-layers" },
            hidden.map(layer => layer.node),
        ),
        show,
    };
}

/* ---- what is read ---------------------------------------------------------------------------- */

/* Reads the digits of a picture: [{box, pixels, isDigit, run, guess, sure}]. */
function readPicture(report, picture) {
    return prepare(picture).map(found => {
        const run = runNetwork(report.network, found.pixels);
        const guess = argmax(run.outputs);
        return { ...found, run, guess, sure: run.outputs[guess] };
    });
}

/* The answer in words: what is read, and how surely. */
function answerWords(report, reading) {
    const name = report.classes[reading.guess];
    const sure = sureText(report, reading.sure);
    return {
        "no digit": ["–", "not a digit"],
        unsure: [`${name}?`, `unsure: ${sure}`],
        sure: [name, sure],
    }[verdictOf(report, reading)];
}

/* How far an answer can be trusted, as `digits predict` says it. */
function verdictOf(report, { isDigit, sure }) {
    if (!isDigit) {
        return "no digit";
    }
    return report.probabilities && sure < report.sure_from ? "unsure" : "sure";
}

/* The panel beside the field: {node, show(readings, blank)}. */
function answerPanel(report, onUnits) {
    const large = element("p", { class: "huge", "aria-hidden": "true" });
    const small = element("p", { class: "note", "aria-hidden": "true" });
    const status = element("p", { class: "unseen", role: "status" });
    const choice = element("div", { class: "choice", role: "group", "aria-label": "Digits found" });
    const bars = outputBars(report);
    const lights = unitLights(report);
    const seen = pictureCanvas(
        report.data.rows,
        report.data.columns,
        "ink",
        "What the network sees",
    );
    const why = button("Why?", () => onUnits(state.readings[state.chosen].pixels), {
        "aria-label": "Why: how the units decide",
    });
    const state = { readings: [], chosen: 0 };

    function choose(chosen) {
        const reading = state.readings[chosen];
        state.chosen = chosen;
        const words = state.readings.map(one => answerWords(report, one));
        const gap = report.classes.every(name => name.length === 1) ? "" : " ";
        large.textContent = words.map(([name]) => name).join(gap) || "–";
        small.textContent = words.length > 0 ? words[chosen][1] : "not a digit";
        large.classList.toggle("unsure", !reading || verdictOf(report, reading) !== "sure");
        large.classList.toggle("many", words.length > 1);
        bars.show(reading ? reading.run.outputs : null);
        lights.show(reading ? reading.run : null);
        paintDigit(
            seen,
            report.data.rows,
            report.data.columns,
            reading ? reading.pixels : new Uint8Array(seen.width * seen.height),
        );
        why.disabled = !reading;
        [...choice.children].forEach((item, k) =>
            item.setAttribute("aria-pressed", String(k === chosen)),
        );
    }
    function show(readings, blank) {
        state.readings = readings;
        choice.hidden = readings.length < 2;
        choice.replaceChildren(
            ...(readings.length < 2
                ? []
                : readings.map(({ guess }, k) => button(report.classes[guess], () => choose(k)))),
        );
        choose(0);
        if (blank) {
            small.textContent = "not a digit yet";
        }
    }
    /* Said aloud when a stroke is done, not at each of its points. */
    function announce() {
        const text = state.readings
            .map(one => answerWords(report, one).join(", "))
            .join("; ");
        status.textContent = text || "not a digit";
    }
    show([], true);
    const node = element(
        "div",
        { class: "answer" },
        element("div", { class: "answer-words" }, large, small, status, choice),
        element(
            "div",
            { class: "answer-seen" },
            element("p", { class: "caption" }, "What the network sees"),
            seen,
            why,
        ),
        bars.node,
        lights.node,
    );
    return { node, show, announce };
}

/* Returns what is to be called when the field has changed: it draws the field in the next frame,
 * and reads it, but not so often that reading takes more than a third of the time. done: a stroke
 * is complete. */
function liveReading(report, field, answer) {
    let [frame, timer, took, announcing] = [null, null, 0, false];

    function read() {
        const start = performance.now();
        const blank = field.strokes.length === 0 && !field.picture;
        const picture = field.picture ? field.picture.content : strokesPicture(field.strokes);
        const readings = blank ? [] : readPicture(report, picture);
        field.boxes = readings.map(({ box }) => box);
        field.render();
        answer.show(readings, blank);
        if (announcing) {
            answer.announce();
        }
        [timer, took, announcing] = [null, performance.now() - start, false];
        answer.node.setAttribute("aria-busy", "false");
    }
    function render() {
        frame = null;
        field.render();
    }
    return done => {
        announcing ||= done;
        answer.node.setAttribute("aria-busy", "true");
        frame ??= requestAnimationFrame(render);
        timer ??= setTimeout(read, done ? 0 : 2 * took);
    };
}

/* ---- the field ------------------------------------------------------------------------------- */

/* Where digits were found. */
function drawBoxes(context, field) {
    const k = field.picture ? field.picture.scale : 1;
    context.strokeStyle = "#2b73c4";
    context.lineWidth = 1.5;
    for (const { left, top, right, bottom } of field.boxes) {
        context.strokeRect(
            left * k - 3,
            top * k - 3,
            (right - left) * k + 6,
            (bottom - top) * k + 6,
        );
    }
}

/* The pen of the keyboard: red when it is down. */
function drawPen(context, field) {
    context.strokeStyle = field.penDown ? "#cd522c" : "#2b73c4";
    context.lineWidth = 2;
    context.beginPath();
    context.arc(...field.pen, PEN_WIDTH / 2, 0, 7);
    context.stroke();
}

/* The strokes on the field and the pen that draws them. change(done) is called after each change;
 * done: a stroke is complete. */
function drawingField(change) {
    const scale = 2; /* the screen shows the field finer than it is read */
    const canvas = element("canvas", {
        width: scale * FIELD_SIDE,
        height: scale * FIELD_SIDE,
        class: "field",
        tabindex: 0,
        role: "application",
        "aria-label": "Drawing field",
        "aria-describedby": "field-help",
    });
    const field = { canvas, strokes: [], picture: null, boxes: [], pen: null, penDown: false };
    const context = canvas.getContext("2d");

    field.render = () => {
        context.setTransform(scale, 0, 0, scale, 0, 0);
        context.clearRect(0, 0, FIELD_SIDE, FIELD_SIDE);
        if (field.picture) {
            const { canvas: from, scale: k } = field.picture;
            context.drawImage(from, 0, 0, from.width * k, from.height * k);
        }
        drawStrokes(context, field.strokes, getComputedStyle(canvas).color);
        if (field.boxes.length > 1 || field.picture) {
            drawBoxes(context, field);
        }
        if (field.pen && document.activeElement === canvas) {
            drawPen(context, field);
        }
    };
    field.clear = () => {
        field.strokes = [];
        field.picture = null;
        field.penDown = false;
        change(true);
    };
    field.undo = () => {
        field.strokes.pop();
        field.picture = null;
        field.penDown = false;
        change(true);
    };
    field.begin = point => {
        field.picture = null;
        field.strokes.push([point]);
        change(false);
    };
    field.extend = point => {
        field.strokes[field.strokes.length - 1].push(point);
        change(false);
    };
    takePointer(field, change);
    takeKeys(field, change);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", field.render);
    return field;
}

/* Mouse, pen and finger. */
function takePointer(field, change) {
    const { canvas } = field;
    let drawing = null; /* the pointer that draws */
    const place = event => {
        const box = canvas.getBoundingClientRect();
        return [
            ((event.clientX - box.left) * FIELD_SIDE) / box.width,
            ((event.clientY - box.top) * FIELD_SIDE) / box.height,
        ];
    };
    canvas.addEventListener("pointerdown", event => {
        if (drawing !== null || event.button !== 0) {
            return;
        }
        drawing = event.pointerId;
        canvas.setPointerCapture(drawing);
        field.pen = null;
        field.begin(place(event));
    });
    canvas.addEventListener("pointermove", event => {
        if (event.pointerId === drawing) {
            const events = event.getCoalescedEvents?.() ?? [];
            (events.length > 0 ? events : [event]).forEach(one => field.extend(place(one)));
        }
    });
    const end = event => {
        if (event.pointerId === drawing) {
            drawing = null;
            change(true);
        }
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
}

/* Arrow keys move a pen, the space bar puts it down and lifts it. */
function takeKeys(field, change) {
    const { canvas } = field;
    const directions = {
        ArrowLeft: [-1, 0],
        ArrowRight: [1, 0],
        ArrowUp: [0, -1],
        ArrowDown: [0, 1],
    };
    const within = v => Math.min(FIELD_SIDE, Math.max(0, v));
    function move([dx, dy]) {
        field.pen = field.pen ?? [FIELD_SIDE / 2, FIELD_SIDE / 4];
        field.pen = [within(field.pen[0] + PEN_STEP * dx), within(field.pen[1] + PEN_STEP * dy)];
        if (field.penDown) {
            field.extend(field.pen);
        }
        field.render();
    }
    function press() {
        field.pen = field.pen ?? [FIELD_SIDE / 2, FIELD_SIDE / 4];
        field.penDown = !field.penDown;
        if (field.penDown) {
            field.begin(field.pen);
        } else {
            change(true);
        }
    }
    canvas.addEventListener("keydown", event => {
        const undo = event.key === "z" && (event.ctrlKey || event.metaKey);
        const does = directions[event.key]
            ? () => move(directions[event.key])
            : event.key === " "
              ? press
              : undo
                ? field.undo
                : event.key === "Delete" || event.key === "Backspace"
                  ? field.clear
                  : null;
        if (does) {
            event.preventDefault();
            does();
        }
    });
    canvas.addEventListener("focus", field.render);
    canvas.addEventListener("blur", field.render);
}

/* ---- pictures from files --------------------------------------------------------------------- */

/* Shows a picture from a file on the field, to be read. */
async function takeFile(field, file, change, fail) {
    let bitmap;
    try {
        bitmap = await createImageBitmap(file);
    } catch {
        fail(`“${file.name}” is no picture that this browser can open.`);
        return;
    }
    const shrink = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
    const width = Math.max(1, Math.round(bitmap.width * shrink));
    const height = Math.max(1, Math.round(bitmap.height * shrink));
    const context = readableContext(width, height);
    context.drawImage(bitmap, 0, 0, width, height);
    field.strokes = [];
    field.picture = {
        canvas: context.canvas,
        scale: FIELD_SIDE / Math.max(width, height),
        content: pictureOf(context, width, height),
    };
    change(true);
}

function fileChooser(take) {
    const input = element("input", {
        type: "file",
        accept: "image/*",
        class: "unseen",
        id: "picture-file",
        change: () => {
            if (input.files[0]) {
                take(input.files[0]);
                input.value = ""; /* the same file may be chosen again */
            }
        },
    });
    return [input, element("label", { for: "picture-file", class: "button" }, "Open a picture …")];
}

function takeDrops(node, take) {
    node.addEventListener("dragover", event => event.preventDefault());
    node.addEventListener("drop", event => {
        event.preventDefault();
        if (event.dataTransfer.files[0]) {
            take(event.dataTransfer.files[0]);
        }
    });
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Returns why this network cannot read drawings, or null. */
function whyNoDrawing(report) {
    if (!report.network) {
        return `With ${countText(report.model.parameters)} parameters, the network is too large to be put into this page.`;
    }
    if (report.data.rows !== 28 || report.data.columns !== 28) {
        return `Drawings are prepared as 28 × 28 pixels, but this network takes ${report.data.rows} × ${report.data.columns}.`;
    }
    return null;
}

function showDrawing(report) {
    const why = whyNoDrawing(report);
    if (why) {
        fill("draw-body", element("p", {}, why));
        return;
    }
    const answer = answerPanel(report, pixels =>
        visitDecision(() => showDecision(report, pixels, ["Your own drawing. "])),
    );
    const notice = element("p", { class: "note", role: "status" });
    const field = drawingField(done => live(done));
    const live = liveReading(report, field, answer);
    const take = file => {
        notice.textContent = "";
        takeFile(field, file, live, words => {
            notice.textContent = words;
        });
    };
    takeDrops(field.canvas, take);
    fill(
        "draw-body",
        element(
            "div",
            { class: "drawing" },
            element(
                "div",
                { class: "field-side" },
                field.canvas,
                element(
                    "div",
                    { class: "toolbar" },
                    button("Undo", field.undo),
                    button("Clear", field.clear),
                    fileChooser(take),
                ),
                element(
                    "p",
                    { class: "note", id: "field-help" },
                    "By keyboard: arrow keys move the pen, Space puts it down and lifts it, " +
                        "Ctrl+Z takes a stroke back, Delete clears. A picture may be dropped here, too; it stays in this page.",
                ),
                notice,
            ),
            answer.node,
        ),
    );
    field.render();
}
