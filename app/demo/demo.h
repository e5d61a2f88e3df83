/*
 * Demonstrations: each shows one idea of neural networks at work, in numbers, words and pictures.
 *
 * A demonstration is one file and one row of the table in cmd_demo.c. What it prints is the same
 * on every machine: numbers are rounded to a few digits, and lines that start with "time" are the
 * only ones that change from run to run.
 */
#ifndef DIGITS_DEMO_H
#define DIGITS_DEMO_H

#include "json.h"
#include "nnlib.h"
#include "plot.h"

#define DEMO_COUNT(array) (sizeof(array) / sizeof(array)[0])

typedef struct {
    const char *name;
    uint64_t seed;
    bool as_json;     /* print the document at the end, and no text */
    const char *data; /* folder of the data set, or NULL */
    const char *out;  /* folder for pictures, or NULL */
    json document;    /* the numbers, for programs */
} demo;

typedef struct {
    const char *name;
    const char *summary;
    int (*run)(demo *d); /* returns the exit code */
} demo_row;

extern const demo_row demo_activations, demo_approximate, demo_backprop, demo_descent, demo_dropout,
    demo_graph, demo_linear, demo_numeric, demo_perceptron, demo_steps, demo_vanishing, demo_xor;

/* Prints text as printf would, unless the numbers are to be printed as JSON. */
void demo_say(const demo *d, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;

/* Prints a bar of `share` (0..1) of `width` signs, and as many blanks as fill it up. */
void demo_bar(const demo *d, double share, int width);

/* Adds a number to the document, rounded to six digits. */
void demo_number(demo *d, cJSON *parent, const char *name, double value);

/* Adds an array of n numbers. */
void demo_numbers(demo *d, cJSON *parent, const char *name, const double *values, size_t n);

/* Draws panels into OUT/NAME-which.png if pictures are wanted, says so, and returns the exit
 * code. */
int demo_plot(demo *d, const char *which, const char *title, const plot_panel *panels, size_t n,
              size_t columns);

/* Digits to learn and to test on. */
typedef struct {
    nn_data train, test;
    bool generated; /* no MNIST was found */
    nn_data owned[2];
} demo_digits;

/* Takes the first n_train training digits and the first n_test test digits of the data set; where
 * none is to be found, and none was asked for by name, as many generated ones, which it says
 * loudly. n_test may be 0. Returns the exit code; *out is to be released if it is EXIT_DONE. */
int demo_digits_load(demo_digits *out, demo *d, size_t n_train, size_t n_test);
void demo_digits_release(demo_digits *digits);

#endif
