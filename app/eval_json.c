#include "eval_json.h"

#include "eval_text.h"

enum {
    PAIRS_LISTED = 20
};

static void add_confusion(json *document, cJSON *parent, const nn_report *report)
{
    cJSON *rows = json_array(document, parent, "confusion");
    for (size_t k = 0; k < report->classes; k++) {
        cJSON *row = json_array(document, rows, NULL);
        for (size_t c = 0; c < report->classes; c++) {
            json_size(document, row, NULL, report->confusion[k * report->classes + c]);
        }
    }
}

static void add_classes(json *document, cJSON *parent, const trained *model,
                        const nn_report *report)
{
    cJSON *list = json_array(document, parent, "per_class");
    for (size_t k = 0; k < report->classes; k++) {
        char name[CLASS_NAME_SIZE];
        cJSON *item = json_object(document, list, NULL);
        json_text(document, item, "class", trained_class(model, k, name));
        json_size(document, item, "images", class_total(report, k));
        json_number(document, item, "precision", nn_report_precision(report, k));
        json_number(document, item, "recall", nn_report_recall(report, k));
        json_number(document, item, "f1", nn_report_f1(report, k));
    }
}

static void add_pairs(json *document, cJSON *parent, const trained *model, const nn_report *report)
{
    confused_pair pairs[PAIRS_LISTED];
    cJSON *list = json_array(document, parent, "confused");
    size_t n = confused_pairs(pairs, PAIRS_LISTED, report);
    for (size_t i = 0; i < n; i++) {
        char name[CLASS_NAME_SIZE];
        cJSON *item = json_object(document, list, NULL);
        json_text(document, item, "class", trained_class(model, pairs[i].truth, name));
        json_text(document, item, "read_as", trained_class(model, pairs[i].guess, name));
        json_size(document, item, "times", pairs[i].times);
    }
}

static void add_figures(json *document, cJSON *parent, const nn_report *report)
{
    json_number(document, parent, "accuracy", report->accuracy);
    cJSON *interval = json_array(document, parent, "ci95");
    json_number(document, interval, NULL, report->ci95[0]);
    json_number(document, interval, NULL, report->ci95[1]);
    json_size(document, parent, "correct", report->correct);
    json_size(document, parent, "total", report->total);
    json_number(document, parent, "loss", report->loss);
}

void eval_json(json *document, cJSON *parent, const trained *model, const nn_report *report)
{
    add_figures(document, parent, report);
    add_confusion(document, parent, report);
    add_classes(document, parent, model, report);
    add_pairs(document, parent, model, report);
}
