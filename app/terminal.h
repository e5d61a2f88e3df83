/* What the user looks at: what a terminal can show, the clock, and a progress bar. */

#ifndef DIGITS_TERMINAL_H
#define DIGITS_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct {
    bool present;   /* a person looks on, not a file or a pipe */
    bool colour;    /* present, and neither NO_COLOR nor TERM=dumb speaks against it */
    bool utf8;      /* the locale's character set; also where no terminal is present */
    size_t columns; /* its width; 80 where it is not known */
} terminal;

/* Asks what is at the other end of a stream. */
terminal terminal_of(FILE *stream);

/* Styles for terminal_style. */
typedef enum {
    STYLE_PLAIN,
    STYLE_BOLD,
    STYLE_FAINT,
    STYLE_RED
} terminal_style;

/* Returns the bytes that switch a style on, or off (STYLE_PLAIN); "" where there is no colour. */
const char *terminal_code(const terminal *screen, terminal_style style);

/* Returns seconds on a clock that only goes forward, from an unspecified start. */
double clock_seconds(void);

/* A bar on the last line of stderr; nothing at all where stderr is no terminal. */
typedef struct {
    terminal screen;
    double drawn_at; /* clock_seconds of the last drawing */
    bool visible;
} progress;

void progress_init(progress *bar, bool quiet);

/* Draws the bar, `done` of 0..1 full, between label and note; at most ten times a second. */
void progress_show(progress *bar, double done, const char *label, const char *note);

/* Reports whether progress_show would draw now: saves making the texts. */
bool progress_is_due(const progress *bar);

/* Wipes the bar away, so that a line can be printed in its place. */
void progress_clear(progress *bar);

/* Prints a picture [rows][columns], 0 paper to 255 ink, a line of characters for each two rows.
 * In UTF-8 with colour: half blocks in grey; without colour: half blocks of ink or no ink; else
 * characters that grow darker. Ink is light on a dark ground, as MNIST stores it. */
void terminal_picture(FILE *to, const terminal *screen, const uint8_t *pixels, size_t rows,
                      size_t columns);

#endif
