"use strict";
/* One digit, looked at closely: picture, outputs, and the way to its neighbours in a list. */

const digitView = { report: null, bars: null, list: [], at: 0 };

function digitTitle(report, digit) {
    return `Image ${countText(digit.index)} of the ${setText(report)}`;
}

/* "a 5, read as 6 with 96 %" */
function digitText(report, digit) {
    const sure = sureText(report, digit.confidence);
    return `${report.classes[digit.label]}, read as ${report.classes[digit.guess]} with ${sure}`;
}

function showDigit(at) {
    const view = digitView;
    const { report, bars } = view;
    const digit = view.list[at];
    const name = k => report.classes[k];
    view.at = at;
    document.getElementById("digit-title").textContent = digitTitle(report, digit);
    document.getElementById("digit-previous").disabled = at === 0;
    document.getElementById("digit-next").disabled = at === view.list.length - 1;
    bars.show(digit.outputs, digit.label);
    fill(
        "digit-body",
        element(
            "div",
            { class: "digit-columns" },
            element(
                "div",
                {},
                digitPicture(report, digit, `The picture of a ${name(digit.label)}`),
                element(
                    "p",
                    { class: "digit-words", role: "status" },
                    "It is ",
                    element("b", { class: "truth" }, name(digit.label)),
                    ", read as ",
                    element("b", { class: digit.right ? "truth" : "guess" }, name(digit.guess)),
                    ` (${sureText(report, digit.confidence)}).`,
                ),
            ),
            bars.node,
        ),
    );
}

/* Opens the digit at list[at]. */
function openDigit(list, at) {
    digitView.list = list;
    showDigit(at);
    document.getElementById("digit").showModal();
}

function moveDigit(step) {
    const to = digitView.at + step;
    if (to >= 0 && to < digitView.list.length) {
        showDigit(to);
        if (document.activeElement.disabled !== false) {
            document
                .getElementById("digit-close")
                .focus(); /* the first and the last have one way to go */
        }
    }
}

function prepareDigitView(report, onUnits) {
    const dialog = document.getElementById("digit");
    const on = (id, does) => document.getElementById(id).addEventListener("click", does);
    digitView.report = report;
    digitView.bars = outputBars(report);
    on("digit-close", () => dialog.close());
    on("digit-previous", () => moveDigit(-1));
    on("digit-next", () => moveDigit(1));
    on("digit-units", () => {
        dialog.close();
        onUnits(digitView.list[digitView.at]);
    });
    document.getElementById("digit-units").hidden = !report.network;
    dialog.addEventListener("click", event => {
        if (event.target === dialog) {
            dialog.close(); /* beside its content */
        }
    });
    dialog.addEventListener("keydown", event => {
        if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
            moveDigit(event.key === "ArrowLeft" ? -1 : 1);
        }
    });
}

/* A list of digits as buttons, `room` of them at first, the others when asked for. caption(digit)
 * is what stands under a picture. */
function digitList(report, digits, room, caption) {
    const list = element("ul", { class: "digits" });
    const box = element("div", {}, list);
    const item = (digit, at) =>
        element(
            "li",
            {},
            button("", () => openDigit(digits, at), { "aria-label": digitText(report, digit) }),
        );
    const addFrom = (from, to) => {
        for (let at = from; at < Math.min(to, digits.length); at++) {
            const entry = item(digits[at], at);
            entry.firstChild.append(digitPicture(report, digits[at]), ...caption(digits[at]));
            list.append(entry);
        }
    };
    addFrom(0, room);
    const reset = rove(list);
    if (digits.length > room) {
        const printed = element(
            "p",
            { class: "note paper-only" },
            `The first ${countText(room)} of them.`,
        );
        const more = button(
            `Show all ${countText(digits.length)}`,
            () => {
                addFrom(room, digits.length);
                reset();
                more.remove();
                printed.remove();
                list.children[room].firstChild.focus();
            },
            { class: "more screen-only" },
        );
        box.append(more, printed);
    }
    return box;
}
