/* Plots as PNG pictures: curves, points and decision regions, one panel or several. */
#ifndef DIGITS_PLOT_H
#define DIGITS_PLOT_H

#include "nnlib.h"

#include <stdbool.h>

/* Colours that colour-blind readers tell apart (Okabe and Ito 2008), in the order to take them. */
typedef enum {
    PLOT_BLUE,
    PLOT_VERMILION,
    PLOT_GREEN,
    PLOT_PURPLE,
    PLOT_ORANGE,
    PLOT_SKY,
    PLOT_BLACK,
    PLOT_GREY,
    PLOT_N_COLOURS
} plot_colour;

typedef enum {
    PLOT_LINE,
    PLOT_THIN, /* a line for what is in the background */
    PLOT_DOTS,
    PLOT_MARKED /* a line with a dot at each point */
} plot_style;

typedef struct {
    const char *name; /* in the legend; NULL: not there */
    plot_style style;
    plot_colour colour;
    const double *x, *y; /* [n]; a y that is not finite breaks the line; NULL x: 0, 1, 2, ... */
    size_t n;
} plot_series;

typedef struct {
    const char *label;
    double low, high; /* equal: as the series need */
    bool logarithmic;
} plot_axis;

typedef struct {
    const char *title;
    plot_axis x, y;
    const plot_series *series;
    size_t n_series;
    /* A field of 0..1 behind the series, or NULL: 0 blue, 1 vermilion, and where it is 0.5 a line.
     * The axes' ranges must be given. */
    double (*field)(void *context, double x, double y);
    void *context;
} plot_panel;

/* Draws panels[n] in rows of `columns` under a title. Texts are printable ASCII. NN_ERR_IO: the
 * file cannot be written in full; NN_ERR_MEMORY. After an error the target is as it was. */
nn_status plot_write(const char *path, const char *title, const plot_panel *panels, size_t n,
                     size_t columns);

#endif
