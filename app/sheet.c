/* Contact sheets are drawn into one picture in memory: cards on a page. */
#include "sheet.h"

#include "canvas.h"
#include "plane.h"
#include "png.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* ---- looks ------------------------------------------------------------------------------- */

#define DIGIT_SIDE ((size_t)28)

static const colour page_colour = {0xf1, 0xf0, 0xec};
static const colour card_colour = {0xff, 0xff, 0xff};
static const colour edge_colour = {0xd9, 0xd7, 0xd0};
static const colour ink_colour = {0x1c, 0x21, 0x2b};
static const colour faint_colour = {0x7a, 0x7c, 0x80};
/* Blue and vermilion: a pair that colour-blind readers tell apart as well (Okabe and Ito 2008). */
static const colour truth_colour = {0x00, 0x5f, 0xb0};
static const colour guess_colour = {0xd0, 0x4a, 0x00};

static void draw_digit(canvas *page, size_t left, size_t top, size_t zoom, const uint8_t *pixels)
{
    for (size_t i = 0; i < DIGIT_SIDE * DIGIT_SIDE; i++) {
        colour c = colour_mix(card_colour, ink_colour, pixels[i] / 255.0);
        size_t x = i % DIGIT_SIDE, y = i / DIGIT_SIDE;
        canvas_fill(page, left + x * zoom, top + y * zoom, zoom, zoom, c);
    }
}

/* ---- layout ------------------------------------------------------------------------------- */

/* How large things are drawn, by how many there are. */
struct style {
    size_t most;  /* up to so many tiles */
    size_t zoom;  /* the digit's scale */
    size_t pad;   /* pixels around the digit on its card */
    size_t text;  /* the caption's scale */
    size_t notes; /* small lines beside it: 0 none, 1 probability, 2 also the place */
    size_t gap;   /* pixels between cards */
};

static const struct style styles[] = {
    {600, 3, 6, 2, 2, 8},
    {2500, 2, 6, 2, 1, 6},
    {SHEET_MAX, 1, 4, 1, 0, 4},
};

/* All in pixels. */
#define MARGIN ((size_t)16)      /* around the whole */
#define CARD_EDGE ((size_t)1)    /* a card's outline */
#define NOTE_LINE ((size_t)10)   /* from note to note, */
#define NOTE_GAP ((size_t)3)     /* of which empty */
#define HEAD_LINE ((size_t)10)   /* the heading's height and */
#define LEGEND_LINE ((size_t)12) /* the legend's, times their scales */

#define HEADING_MAX 120         /* bytes taken of the caller's heading */
#define LEGEND_MAX ((size_t)50) /* characters in the longest legend */
#define SCALE_MIN ((size_t)2)   /* of the heading; the legend's is one less */
#define SCALE_MAX ((size_t)4)

struct layout {
    const struct style *style;
    sheet_kind kind;
    size_t shown; /* tiles */
    size_t columns, rows;
    size_t card_width, card_height;
    size_t width, height; /* of the sheet */
    size_t cards_top;
    size_t scale; /* of the heading; the legend's is one less */
    char heading[HEADING_MAX + 32];
};

/* Chooses the number of columns so that the cards fill a page of 4 : 3. */
static void lay_cards(struct layout *plan)
{
    const struct style *style = plan->style;
    size_t digit = DIGIT_SIDE * style->zoom;
    plan->card_width = digit + 2 * style->pad;
    size_t notes = style->notes > 0 ? style->notes * NOTE_LINE - NOTE_GAP : 0;
    size_t caption = larger(GLYPH_ASCENT * style->text, notes);
    plan->card_height = style->pad / 2 + digit + style->pad / 2 + caption + style->pad;
    size_t columns = 0, rows = 0;
    do {
        columns++;
        rows = (plan->shown + columns - 1) / columns;
    } while (columns < plan->shown && columns * (plan->card_width + style->gap) * 3 <
                                          rows * (plan->card_height + style->gap) * 4);
    plan->columns = columns;
    plan->rows = rows;
}

/* Chooses the heading's scale by the sheet's width, and the width so that all text fits. */
static void lay_heading(struct layout *plan, const char *heading, size_t n)
{
    if (plan->shown < n) {
        snprintf(plan->heading, sizeof plan->heading, "%.*s, first %zu shown", HEADING_MAX, heading,
                 plan->shown);
    } else {
        snprintf(plan->heading, sizeof plan->heading, "%.*s", HEADING_MAX, heading);
    }
    size_t legend = plan->kind == SHEET_MISREAD ? LEGEND_MAX * GLYPH_WIDTH * (SCALE_MIN - 1) : 0;
    size_t cards = plan->columns * (plan->card_width + plan->style->gap) - plan->style->gap;
    size_t inner = larger(cards, larger(canvas_text_width(plan->heading, SCALE_MIN), legend));
    plan->scale = SCALE_MIN;
    while (plan->scale < SCALE_MAX && inner > 1000 * plan->scale &&
           canvas_text_width(plan->heading, plan->scale + 1) <= inner) {
        plan->scale++;
    }
    plan->width = inner + 2 * MARGIN;
}

static struct layout lay_out(sheet_kind kind, const char *heading, size_t n)
{
    struct layout plan = {.kind = kind, .shown = n < SHEET_MAX ? n : SHEET_MAX, .style = styles};
    while (plan.style->most < plan.shown) {
        plan.style++;
    }
    lay_cards(&plan);
    lay_heading(&plan, heading, n);
    size_t legend = kind == SHEET_MISREAD ? LEGEND_LINE * (plan.scale - 1) : 0;
    plan.cards_top = MARGIN + HEAD_LINE * plan.scale + legend + MARGIN / 2;
    plan.height = plan.cards_top + plan.rows * (plan.card_height + plan.style->gap) + MARGIN;
    if (plan.rows > 0) {
        plan.height -= plan.style->gap;
    }
    return plan;
}

static void draw_heading(canvas *page, const struct layout *plan)
{
    static const char *const notes[] = {"", "   probability", "   #place in the file, probability"};
    canvas_text(page, MARGIN, MARGIN, plan->scale, ink_colour, plan->heading);
    if (plan->kind == SHEET_MISREAD) {
        size_t scale = plan->scale - 1;
        size_t top = MARGIN + HEAD_LINE * plan->scale + 2 * scale;
        size_t left = canvas_text(page, MARGIN, top, scale, truth_colour, "true");
        left = canvas_text(page, left, top, scale, faint_colour, " " CANVAS_ARROW " ");
        left = canvas_text(page, left, top, scale, guess_colour, "read as");
        canvas_text(page, left, top, scale, faint_colour, notes[plan->style->notes]);
    }
}

/* ---- tiles -------------------------------------------------------------------------------- */

/* Writes a line at scale 1 that ends at right, unless it would begin before left. */
static void write_note(canvas *page, size_t left, size_t right, size_t top, const char *text)
{
    size_t width = canvas_text_width(text, 1);
    if (left + width <= right) {
        canvas_text(page, right - width, top, 1, faint_colour, text);
    }
}

static void caption_misread(canvas *page, const struct style *style, const sheet_tile *tile,
                            size_t left, size_t right, size_t top)
{
    const char truth[] = {(char)('0' + tile->truth % 10), '\0'};
    const char guess[] = {(char)('0' + tile->guess % 10), '\0'};
    size_t text_top = top + (style->notes == 2 ? 2 : 0);
    size_t end = canvas_text(page, left, text_top, style->text, truth_colour, truth);
    end = canvas_text(page, end, text_top, style->text, faint_colour, CANVAS_ARROW);
    end = canvas_text(page, end, text_top, style->text, guess_colour, guess);
    char note[32];
    if (style->notes == 2) {
        snprintf(note, sizeof note, "#%zu", tile->index);
        write_note(page, end, right, top, note);
    }
    if (style->notes > 0) {
        size_t small_top = top + (style->notes == 2 ? NOTE_LINE : GLYPH_ASCENT);
        float share = tile->probability > 0 ? tile->probability < 1 ? tile->probability : 1 : 0;
        unsigned hundredths = (unsigned)(share * 100 + 0.5F);
        snprintf(note, sizeof note, "%u.%02u", hundredths / 100, hundredths % 100);
        write_note(page, end, right, small_top, note);
    }
}

static void draw_tile(canvas *page, const struct layout *plan, size_t place, const sheet_tile *tile)
{
    const struct style *style = plan->style;
    size_t left = MARGIN + place % plan->columns * (plan->card_width + style->gap);
    size_t top = plan->cards_top + place / plan->columns * (plan->card_height + style->gap);
    canvas_fill(page, left, top, plan->card_width, plan->card_height, edge_colour);
    canvas_fill(page, left + CARD_EDGE, top + CARD_EDGE, plan->card_width - 2 * CARD_EDGE,
                plan->card_height - 2 * CARD_EDGE, card_colour);
    draw_digit(page, left + style->pad, top + style->pad / 2, style->zoom, tile->pixels);

    size_t caption_top = top + style->pad / 2 + DIGIT_SIDE * style->zoom + style->pad / 2;
    size_t inset = style->pad - style->pad / 3;
    if (plan->kind == SHEET_MISREAD) {
        caption_misread(page, style, tile, left + inset, left + plan->card_width - inset,
                        caption_top);
    } else {
        const char truth[] = {(char)('0' + tile->truth % 10), '\0'};
        size_t middle = left + (plan->card_width - canvas_text_width(truth, style->text)) / 2;
        canvas_text(page, middle, caption_top, style->text, truth_colour, truth);
    }
}

nn_status sheet_write(const char *path, sheet_kind kind, const char *heading,
                      const sheet_tile *tiles, size_t n)
{
    struct layout plan = lay_out(kind, heading, n);
    canvas page;
    if (canvas_init(&page, plan.width, plan.height, page_colour) != NN_OK) {
        return nn_fail(NN_ERR_MEMORY, "cannot write '%s': out of memory", path);
    }
    draw_heading(&page, &plan);
    for (size_t i = 0; i < plan.shown; i++) {
        draw_tile(&page, &plan, i, &tiles[i]);
    }
    nn_status status = png_write_rgb(path, page.rgb, page.width, page.height);
    nn_free(page.rgb);
    return status;
}

/* ---- enlarging ---------------------------------------------------------------------------- */

nn_status sheet_enlarge(uint8_t **out, const uint8_t *pixels, size_t width, size_t height,
                        size_t scale)
{
    if (width == 0 || height == 0 || scale == 0 || width > SIZE_MAX / scale ||
        height > SIZE_MAX / scale || width * scale > SIZE_MAX / (height * scale)) {
        return nn_fail(NN_ERR_ARGUMENT, "cannot enlarge %zu x %zu pixels %zu times", width, height,
                       scale);
    }
    uint8_t *large = nn_alloc_array(height * scale, width * scale);
    if (large == NULL) {
        return nn_fail(NN_ERR_MEMORY, "cannot enlarge %zu x %zu pixels %zu times: out of memory",
                       width, height, scale);
    }
    size_t large_width = width * scale;
    for (size_t y = 0; y < height * scale; y++) {
        for (size_t x = 0; x < large_width; x++) {
            large[y * large_width + x] = pixels[y / scale * width + x / scale];
        }
    }
    *out = large;
    return NN_OK;
}
