#include "canvas.h"
#include "plane.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* ---- font --------------------------------------------------------------------------------- */

#define GLYPHS_A_BAND 12
#define FIRST_GLYPH 32
#define LAST_GLYPH 127

#define FONT_ROWS ((LAST_GLYPH - FIRST_GLYPH + 1) / GLYPHS_A_BAND * GLYPH_HEIGHT)

/* ASCII from ' ' on, 12 characters a band. */
static const char font[FONT_ROWS][GLYPHS_A_BAND * GLYPH_WIDTH] = {
    "        #    # #   # #    #   ##  #  ##     #      #   #               ",
    "        #    # #   # #   #### ##  # #  #    #     #     #     #     #  ",
    "        #    # #  ##### # #      #  # #     #    #       #  # # #   #  ",
    "        #          # #   ###    #    #           #       #   ###  #####",
    "        #         #####   # #  #    # # #        #       #  # # #   #  ",
    "                   # #  ####  #  ## #  #          #     #     #     #  ",
    "        #          # #    #   #  ##  ## #          #   #               ",
    "                                                                       ",
    "                                                                       ",
    "                      #  ###    #    ###   ###     #  #####   ##  #####",
    "                      # #   #  ##   #   # #   #   ##  #      #        #",
    "                     #  #   # # #       #     #  # #  ####  #        # ",
    "      #####         #   #   #   #      #    ##  #  #      # ####     # ",
    "                   #    #   #   #     #       # #####     # #   #   #  ",
    "  ##         ##   #     #   #   #    #    #   #    #  #   # #   #   #  ",
    "  #          ##   #      ###  ##### #####  ###     #   ###   ###    #  ",
    " #                                                                     ",
    "                                                                       ",
    " ###   ###                 #         #     ###   ###   ###  ####   ### ",
    "#   # #   #   ##    ##    #           #   #   # #   # #   # #   # #   #",
    "#   # #   #   ##    ##   #    #####    #      # # ### #   # #   # #    ",
    " ###   ####             #               #    #  # # # ##### ####  #    ",
    "#   #     #   ##    ##   #    #####    #    #   # ##  #   # #   # #    ",
    "#   #    #    ##    #     #           #         #     #   # #   # #   #",
    " ###   ##          #       #         #      #    #### #   # ####   ### ",
    "                                                                       ",
    "                                                                       ",
    "####  ##### #####  ###  #   #  ###    ### #   # #     #   # #   #  ### ",
    "#   # #     #     #   # #   #   #      #  #  #  #     ## ## ##  # #   #",
    "#   # #     #     #     #   #   #      #  # #   #     # # # # # # #   #",
    "#   # ####  ####  #  ## #####   #      #  ##    #     # # # # # # #   #",
    "#   # #     #     #   # #   #   #      #  # #   #     #   # #  ## #   #",
    "#   # #     #     #   # #   #   #   #  #  #  #  #     #   # #   # #   #",
    "####  ##### #      #### #   #  ###   ##   #   # ##### #   # #   #  ### ",
    "                                                                       ",
    "                                                                       ",
    "####   ###  ####   #### ##### #   # #   # #   # #   # #   # #####  ### ",
    "#   # #   # #   # #       #   #   # #   # #   # #   # #   #     #  #   ",
    "#   # #   # #   # #       #   #   # #   # #   #  # #   # #     #   #   ",
    "####  #   # ####   ###    #   #   # #   # # # #   #     #     #    #   ",
    "#     # # # # #       #   #   #   #  # #  # # #  # #    #    #     #   ",
    "#     #  #  #  #      #   #   #   #  # #  ## ## #   #   #   #      #   ",
    "#      ## # #   # ####    #    ###    #   #   # #   #   #   #####  ### ",
    "                                                                       ",
    "                                                                       ",
    "#      ###    #          #          #               #         ##       ",
    "#        #   # #          #         #               #        #         ",
    " #       #  #   #              ###  ####   ###   ####  ###  ####   ####",
    "  #      #                        # #   # #     #   # #   #  #    #   #",
    "   #     #                     #### #   # #     #   # #####  #    #   #",
    "    #    #                    #   # #   # #     #   # #      #    #   #",
    "    #  ###                     #### ####   ###   ####  ###   #     ####",
    "                  #####                                               #",
    "                                                                   ### ",
    "#       #      #  #      ##                                            ",
    "#                 #       #                                            ",
    "####   ##     ##  #  #    #   ## #  ####   ###  ####   #### # ##   ####",
    "#   #   #      #  # #     #   # # # #   # #   # #   # #   # ##  # #    ",
    "#   #   #      #  ##      #   # # # #   # #   # #   # #   # #      ### ",
    "#   #   #      #  # #     #   # # # #   # #   # #   # #   # #         #",
    "#   #  ###     #  #  #   ###  # # # #   #  ###  ####   #### #     #### ",
    "            #  #                                #         #            ",
    "             ##                                 #         #            ",
    " #                                           #    #    #               ",
    " #                                          #     #     #           #  ",
    "####  #   # #   # #   # #   # #   # #####   #     #     #    #       # ",
    " #    #   # #   # # # #  # #  #   #    #   #      #      #  # # # #####",
    " #    #   # #   # # # #   #   #   #   #     #     #     #      #     # ",
    " #    #   #  # #  # # #  # #  #   #  #      #     #     #           #  ",
    "  ##   ####   #    # #  #   #  #### #####    #    #    #               ",
    "                                  #                                    ",
    "                               ###                                     "};

/* Tells whether the character has ink in row y (0..8), column x (0..4) of its cell. */
static bool glyph_ink(char character, size_t x, size_t y)
{
    int code = (unsigned char)character;
    size_t glyph = (size_t)((code < FIRST_GLYPH || code > LAST_GLYPH ? '?' : code) - FIRST_GLYPH);
    return font[glyph / GLYPHS_A_BAND * GLYPH_HEIGHT + y]
               [glyph % GLYPHS_A_BAND * GLYPH_WIDTH + x] == '#';
}

size_t canvas_text_width(const char *text, size_t scale)
{
    size_t n = strlen(text);
    return n == 0 ? 0 : (n * GLYPH_WIDTH - 1) * scale;
}

/* ---- areas -------------------------------------------------------------------------------- */

nn_status canvas_init(canvas *out, size_t width, size_t height, colour c)
{
    canvas page = {width, height, width <= SIZE_MAX / 3 ? nn_alloc_array(height, width * 3) : NULL};
    if (!page.rgb) {
        return nn_fail(NN_ERR_MEMORY, "out of memory for a picture of %zu x %zu pixels", width,
                       height);
    }
    canvas_fill(&page, 0, 0, width, height, c);
    *out = page;
    return NN_OK;
}

static uint8_t mix(uint8_t paper, uint8_t ink, double share)
{
    return (uint8_t)(paper + (ink - paper) * share + 0.5);
}

colour colour_mix(colour paper, colour ink, double share)
{
    return (colour){mix(paper.red, ink.red, share), mix(paper.green, ink.green, share),
                    mix(paper.blue, ink.blue, share)};
}

void canvas_fill(canvas *page, size_t left, size_t top, size_t width, size_t height, colour c)
{
    size_t right = left + smaller(width, page->width), bottom = top + smaller(height, page->height);
    for (size_t y = top; y < smaller(bottom, page->height); y++) {
        for (size_t x = left; x < smaller(right, page->width); x++) {
            uint8_t *rgb = &page->rgb[(y * page->width + x) * 3];
            rgb[0] = c.red;
            rgb[1] = c.green;
            rgb[2] = c.blue;
        }
    }
}

size_t canvas_text(canvas *page, size_t left, size_t top, size_t scale, colour c, const char *text)
{
    for (; *text != '\0' && left < page->width; text++, left += GLYPH_WIDTH * scale) {
        for (size_t i = 0; i < GLYPH_HEIGHT * GLYPH_WIDTH; i++) {
            size_t x = i % GLYPH_WIDTH, y = i / GLYPH_WIDTH;
            if (x < GLYPH_WIDTH - 1 && glyph_ink(*text, x, y)) {
                canvas_fill(page, left + x * scale, top + y * scale, scale, scale, c);
            }
        }
    }
    return left;
}

/* ---- smooth edges ------------------------------------------------------------------------- */

/* The distance of p from the line that ends at a and b. */
static double distance(point p, point a, point b)
{
    double dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
    double along = length > 0 ? ((p.x - a.x) * dx + (p.y - a.y) * dy) / length : 0;
    along = fmin(fmax(along, 0), 1);
    return hypot(p.x - a.x - along * dx, p.y - a.y - along * dy);
}

/* The first pixel at or after a coordinate that may lie outside. */
static size_t pixel(double coordinate, size_t end)
{
    return coordinate > 0 ? smaller((size_t)fmin(coordinate, (double)end), end) : 0;
}

void canvas_line(canvas *page, point from, point to, double width, colour c)
{
    double reach = width / 2 + 1;
    size_t left = pixel(fmin(from.x, to.x) - reach, page->width);
    size_t right = pixel(fmax(from.x, to.x) + reach + 1, page->width);
    size_t top = pixel(fmin(from.y, to.y) - reach, page->height);
    size_t bottom = pixel(fmax(from.y, to.y) + reach + 1, page->height);
    for (size_t y = top; y < bottom; y++) {
        for (size_t x = left; x < right; x++) {
            point middle = {(double)x + 0.5, (double)y + 0.5};
            double covered = width / 2 + 0.5 - distance(middle, from, to);
            uint8_t *rgb = &page->rgb[(y * page->width + x) * 3];
            if (covered > 0) {
                colour mixed = colour_mix((colour){rgb[0], rgb[1], rgb[2]}, c, fmin(covered, 1));
                memcpy(rgb, &mixed, 3);
            }
        }
    }
}

void canvas_disc(canvas *page, point centre, double radius, colour c)
{
    canvas_line(page, centre, centre, 2 * radius, c);
}
