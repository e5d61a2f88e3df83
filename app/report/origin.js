"use strict";
/* Options, seed, digests, and the commands that make it again. */

/* A command with a button that copies it. */
function commandBox(command) {
    const copy = button(
        "Copy",
        async () => {
            try {
                await navigator.clipboard.writeText(command);
                copy.textContent = "Copied";
            } catch {
                getSelection().selectAllChildren(code); /* to be copied by hand */
                copy.textContent = "Selected";
            }
            setTimeout(() => {
                copy.textContent = "Copy";
            }, 1500);
        },
        { class: "screen-only", "aria-label": `Copy: ${command}` },
    );
    /* Lines break before an option, not within. */
    const code = element(
        "code",
        {},
        command
            .split(" --")
            .map((part, i) =>
                i === 0 ? part : [" ", element("span", { class: "option" }, `--${part}`)],
            )
            .flat(),
    );
    return element("div", { class: "command" }, code, copy);
}

/* A word as a shell takes it. */
function shellWord(word) {
    return /^[\w./-]+$/.test(word) && !word.startsWith("-")
        ? word
        : `'${word.replaceAll("'", "'\\''")}'`;
}

function factTable(name, facts) {
    return element(
        "table",
        { class: "facts", "aria-label": name },
        element(
            "tbody",
            {},
            facts.map(([key, value]) =>
                element("tr", {}, element("th", { scope: "row" }, key), element("td", {}, value)),
            ),
        ),
    );
}

/* Reads all digits in the page with the network in the page, and compares with what the program
 * found. */
function selfCheck(report) {
    let most = 0;
    for (const digit of report.digits) {
        const { outputs } = runNetwork(report.network, digit.pixels);
        outputs.forEach((output, k) => {
            most = Math.max(most, Math.abs(output - digit.outputs[k]));
        });
    }
    return most;
}

/* The least of 0.1, 0.01, ... that value is below, written out. */
function powerOfTenAbove(value) {
    const places = Math.max(0, Math.ceil(-Math.log10(Math.max(value, 1e-12))) - 1);
    return (10 ** -places).toFixed(places);
}

function checkLine(report) {
    const words = element("p", { class: "note", id: "self-check" });
    const check = () => {
        const most = selfCheck(report);
        words.textContent =
            `The network in this page was compared with the program on the ` +
            `${countText(report.digits.length)} digits in it: outputs differ by less than ${powerOfTenAbove(most)}.`;
    };
    /* Not while the page opens. */
    (window.requestIdleCallback ?? setTimeout)(check);
    return words;
}

function showOrigin(report) {
    const { model, data } = report;
    const commands = [];
    if (model.train_command) {
        commands.push(
            element("p", {}, "This command trains the same model, byte for byte:"),
            commandBox(model.train_command),
            element("p", {}, "And this one trains it again and compares the files:"),
            commandBox(`digits reproduce ${shellWord(model.file)}`),
        );
    } else {
        commands.push(
            element("p", {}, "The model file does not say with what options it was trained."),
        );
    }
    fill(
        "origin-body",
        element(
            "div",
            { class: "halves" },
            element(
                "div",
                {},
                element("h3", {}, "Made by"),
                commands,
                element("h3", {}, "Digests (SHA-256)"),
                factTable("Digests", [
                    ["model file", model.sha256],
                    [`images of the ${setText(report)}`, data.images_sha256],
                    [`labels of the ${setText(report)}`, data.labels_sha256],
                ]),
                element(
                    "p",
                    { class: "note" },
                    "Of the uncompressed data files. The model keeps those that it was trained on.",
                ),
                report.network ? checkLine(report) : "",
            ),
            element(
                "div",
                {},
                element("h3", {}, "What the model file says"),
                factTable("Metadata", [
                    ["file", model.file],
                    ["network", model.network.replaceAll("->", "→")],
                    ...model.facts,
                ]),
            ),
        ),
    );
}
