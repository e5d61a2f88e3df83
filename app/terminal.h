/* What the user looks at: what a terminal can show, the clock, a progress bar, pictures. */

#ifndef DIGITS_TERMINAL_H
#define DIGITS_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct {
    bool present; /* a person looks on, not a file or a pipe */
    bool movable; /* present, and its cursor can be moved: TERM is neither unset nor dumb */
    bool colour;  /* movable, and neither NO_COLOR nor a terminal without colours speaks against */
    bool utf8;    /* the locale's character set; also where no terminal is present */
    size_t columns; /* its width; 80 where it is not known */
} terminal;

/* Asks what is at the other end of a stream. */
terminal terminal_of(FILE *stream);

/* Returns how many columns a line may fill: one less than there are, as some terminals wrap when
 * the last one is written to; without limit where no terminal is present. */
size_t terminal_room(const terminal *screen);

/* Styles for terminal_code. */
typedef enum {
    STYLE_PLAIN,
    STYLE_BOLD,
    STYLE_FAINT,
    STYLE_RED
} terminal_style;

/* Returns the bytes that switch a style on, or off (STYLE_PLAIN); "" where there is no colour. */
const char *terminal_code(const terminal *screen, terminal_style style);

/* Sets the colours of what is printed next, of the 256 that terminals number alike, until
 * STYLE_PLAIN; does nothing where there is no colour. */
void terminal_paint(FILE *to, const terminal *screen, int ink, int ground);

/* Returns seconds from an unspecified start on a clock that never goes back, whatever the
 * system's does. */
double clock_seconds(void);

/* ---- progress ----------------------------------------------------------------------------- */

/* A bar on the last line of stderr; nothing at all where that is no terminal with a cursor. */
typedef struct {
    terminal screen;
    double drawn_at;     /* clock_seconds of the last drawing */
    size_t visible;      /* columns that it takes on the screen; 0: it is not there */
    size_t made_columns; /* the terminal's width when it was drawn */
} progress;

void progress_init(progress *bar, bool quiet);

/* Reports whether progress_show would draw now, at most ten times a second: saves making texts. */
bool progress_is_due(const progress *bar);

/* Draws the bar, `done` of 0..1 full, between label and notes[n]. The line never wraps: of the
 * notes, the first that fit are shown. */
void progress_show(progress *bar, double done, const char *label, const char *const *notes,
                   size_t n);

/* Wipes the bar away, so that a line can be printed in its place. */
void progress_clear(progress *bar);

/* ---- pictures ----------------------------------------------------------------------------- */

/* Prints a picture [rows][columns], 0 paper to 255 ink, a line of characters for each two rows.
 * In UTF-8 with colour: half blocks in grey; without colour: half blocks of ink or no ink; else
 * characters that grow darker. Ink is light on a dark ground, as MNIST stores it. A picture that
 * is wider than the terminal is drawn smaller. */
void terminal_picture(FILE *to, const terminal *screen, const uint8_t *pixels, size_t rows,
                      size_t columns);

#define TERMINAL_CAPTIONS 2
#define TERMINAL_CAPTION_SIZE 32

/* A picture and the lines below it, each of which may be "". */
typedef struct {
    const uint8_t *pixels; /* [rows][columns] */
    char captions[TERMINAL_CAPTIONS][TERMINAL_CAPTION_SIZE];
} captioned_picture;

/* Prints the first of n pictures of one size side by side, as many as fit, at least one; returns
 * how many. Rows and columns that are blank in all n are left out. Each line starts with `indent`
 * blanks. */
size_t terminal_pictures(FILE *to, const terminal *screen, const captioned_picture *pictures,
                         size_t n, size_t rows, size_t columns, size_t indent);

#endif
