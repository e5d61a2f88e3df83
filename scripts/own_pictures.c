/*
 * own_pictures: how well digits are read in pictures that people take, against how well they are
 * read in MNIST's own.
 *
 * Each of MNIST's test digits becomes a picture: enlarged, blurred, shifted, inverted, drawn with
 * another pen, or photographed as a phone would, with shadows, noise and coloured paper.
 * app/picture/prepare.c finds and prepares it again, and the network reads it. The table compares
 * with the plain accuracy. With --calibrate it prints, on the validation images, what the limits in
 * app/picture/shape.h let pass.
 *
 * scripts/own_pictures.sh builds this program and runs it.
 */
#include "canvas.h"
#include "common.h"
#include "picture/prepare.h"
#include "picture/shape.h"

#include <math.h>
#include <string.h>

enum {
    SIDE = 28,
    PIXELS = SIDE * SIDE,
    CLASSES = 10,
    SIDE_MAX = 480 /* of a page */
};

static nn_rng rng;

/* ---- pages: ink on paper, 0 to 1 ---------------------------------------------------------- */

typedef struct {
    int width, height;
    float ink[SIDE_MAX * SIDE_MAX];
} page;

static page sheet, scratch;

/* Keeps a copy in `scratch`, to read from while the page is written. */
static void page_keep(const page *p)
{
    scratch.width = p->width;
    scratch.height = p->height;
    memcpy(scratch.ink, p->ink, (size_t)(p->width * p->height) * sizeof *p->ink);
}

static float ink_at(const page *p, int x, int y)
{
    bool inside = x >= 0 && y >= 0 && x < p->width && y < p->height;
    return inside ? p->ink[y * p->width + x] : 0;
}

/* Between the four pixels around a place. */
static float ink_between(const page *p, double x, double y)
{
    int left = (int)floor(x), top = (int)floor(y);
    double across = x - left, down = y - top;
    double corners[2][2];
    for (int i = 0; i < 4; i++) {
        corners[i / 2][i % 2] = (double)ink_at(p, left + i % 2, top + i / 2);
    }
    double upper = corners[0][0] * (1 - across) + corners[0][1] * across;
    double lower = corners[1][0] * (1 - across) + corners[1][1] * across;
    return (float)(upper * (1 - down) + lower * down);
}

static void page_take(page *p, const uint8_t *digit)
{
    p->width = p->height = SIDE;
    for (int i = 0; i < PIXELS; i++) {
        p->ink[i] = (float)digit[i] / 255;
    }
}

/* Makes each pixel scale x scale, as blocks or smoothly. */
static void page_enlarge(page *p, int scale, bool smooth)
{
    page_keep(p);
    p->width *= scale;
    p->height *= scale;
    for (int y = 0; y < p->height; y++) {
        for (int x = 0; x < p->width; x++) {
            p->ink[y * p->width + x] =
                smooth ? ink_between(&scratch, (x + 0.5) / scale - 0.5, (y + 0.5) / scale - 0.5)
                       : ink_at(&scratch, x / scale, y / scale);
        }
    }
}

/* Averages the squares within a radius, twice: nearly a Gaussian. */
static void page_blur(page *p, int radius)
{
    for (int turn = 0; turn < 2; turn++) {
        page_keep(p);
        for (int y = 0; y < p->height; y++) {
            for (int x = 0; x < p->width; x++) {
                float sum = 0;
                for (int dy = -radius; dy <= radius; dy++) {
                    for (int dx = -radius; dx <= radius; dx++) {
                        sum += ink_at(&scratch, x + dx, y + dy);
                    }
                }
                p->ink[y * p->width + x] = sum / (float)((2 * radius + 1) * (2 * radius + 1));
            }
        }
    }
}

static void page_turn(page *p, double degrees)
{
    double cosine = cos(degrees * 3.14159265358979 / 180);
    double sine = sin(degrees * 3.14159265358979 / 180);
    page_keep(p);
    for (int y = 0; y < p->height; y++) {
        for (int x = 0; x < p->width; x++) {
            double u = x - (p->width - 1) / 2.0, v = y - (p->height - 1) / 2.0;
            p->ink[y * p->width + x] =
                ink_between(&scratch, cosine * u + sine * v + (p->width - 1) / 2.0,
                            cosine * v - sine * u + (p->height - 1) / 2.0);
        }
    }
}

/* Ink or no ink, nothing between: as a pen writes. */
static void page_sharpen(page *p)
{
    for (int i = 0; i < p->width * p->height; i++) {
        p->ink[i] = p->ink[i] > 0.5F ? 1 : 0;
    }
}

/* Makes strokes wider by a radius on each side, or thinner if it is negative. */
static void page_pen(page *p, int radius)
{
    int reach = abs(radius);
    page_keep(p);
    for (int y = 0; y < p->height; y++) {
        for (int x = 0; x < p->width; x++) {
            float best = p->ink[y * p->width + x];
            for (int dy = -reach; dy <= reach; dy++) {
                for (int dx = -reach; dx <= reach; dx++) {
                    float other = ink_at(&scratch, x + dx, y + dy);
                    bool better = radius > 0 ? other > best : other < best;
                    best = dx * dx + dy * dy <= reach * reach && better ? other : best;
                }
            }
            p->ink[y * p->width + x] = best;
        }
    }
}

/* Adds paper on four sides. */
static void page_widen(page *p, int left, int top, int right, int bottom)
{
    page_keep(p);
    p->width += left + right;
    p->height += top + bottom;
    for (int y = 0; y < p->height; y++) {
        for (int x = 0; x < p->width; x++) {
            p->ink[y * p->width + x] = ink_at(&scratch, x - left, y - top);
        }
    }
}

/* ---- photographs -------------------------------------------------------------------------- */

typedef enum {
    EVEN,
    SLOPE, /* fades to half across the picture */
    SHADOW /* a shadow with a soft edge lies over part of it */
} lighting;

typedef struct {
    const char *name;
    int scale;     /* of the digit */
    bool blocks;   /* enlarged as blocks, not smoothly */
    bool sharp;    /* ink or none */
    int blur, pen; /* radius, pixels */
    double turn;   /* degrees */
    int margin[4]; /* left, top, right, bottom, pixels */
    lighting light;
    double noise, grain; /* of the sensor; of the paper, in patches of 4 x 4 pixels: amplitude */
    uint8_t paper[3], ink[3];
} treatment;

#define BLACK_ON_WHITE .paper = {255, 255, 255}, .ink = {0, 0, 0}
#define WHITE_ON_BLACK .paper = {0, 0, 0}, .ink = {255, 255, 255}
#define PENCIL .paper = {225, 222, 215}, .ink = {110, 108, 112}
#define BALLPOINT .paper = {235, 232, 225}, .ink = {40, 50, 130}

/* What a picture goes through, in the order of the columns. */
static const treatment treatments[] = {
    {"pixels as they are", .scale = 1, .blocks = true, WHITE_ON_BLACK},
    {"enlarged 2 times, in blocks", .scale = 2, .blocks = true, WHITE_ON_BLACK},
    {"enlarged 10 times, in blocks", .scale = 10, .blocks = true, WHITE_ON_BLACK},
    {"enlarged 4 times, smoothly", .scale = 4, WHITE_ON_BLACK},
    {"enlarged 10 times, smoothly", .scale = 10, WHITE_ON_BLACK},
    {"inverted", .scale = 4, BLACK_ON_WHITE},
    {"ink or none", .scale = 6, .sharp = true, BLACK_ON_WHITE},
    {"blurred", .scale = 4, .blur = 2, BLACK_ON_WHITE},
    {"shifted into a corner", .scale = 4, .margin = {90, 70, 0, 0}, BLACK_ON_WHITE},
    {"on a wide page", .scale = 3, .margin = {200, 10, 60, 10}, BLACK_ON_WHITE},
    {"on a high page", .scale = 3, .margin = {10, 150, 10, 150}, BLACK_ON_WHITE},
    {"turned by 5 degrees", .scale = 4, .turn = 5, BLACK_ON_WHITE},
    {"turned by -5 degrees", .scale = 4, .turn = -5, BLACK_ON_WHITE},
    {"pen thicker by a pixel of MNIST", .scale = 6, .sharp = true, .pen = 3, BLACK_ON_WHITE},
    {"pen thinner by half a pixel", .scale = 8, .sharp = true, .pen = -2, BLACK_ON_WHITE},
    {"red on yellow paper", .scale = 4, .paper = {250, 230, 120}, .ink = {190, 30, 40}},
    {"yellow on white paper", .scale = 4, .paper = {250, 250, 250}, .ink = {240, 220, 30}},
    {"photo: slanting light", .scale = 6, .sharp = true, .blur = 1, .light = SLOPE, .noise = 5,
     BALLPOINT},
    {"photo: shadow", .scale = 6, .sharp = true, .blur = 1, .light = SHADOW, .noise = 5, BALLPOINT},
    {"photo: noise", .scale = 6, .sharp = true, .blur = 1, .noise = 20, BALLPOINT},
    {"photo: rough paper", .scale = 6, .sharp = true, .blur = 1, .noise = 5, .grain = 25,
     BALLPOINT},
    {"photo: pencil, slanting light", .scale = 6, .sharp = true, .blur = 1, .light = SLOPE,
     .noise = 5, PENCIL},
    {"photo: thick pen, shadow", .scale = 6, .sharp = true, .pen = 2, .blur = 1, .light = SHADOW,
     .noise = 5, BALLPOINT},
    {"photo: thin pen, shadow", .scale = 6, .sharp = true, .pen = -1, .blur = 1, .light = SHADOW,
     .noise = 5, BALLPOINT},
    {"photo: blue paper, shadow", .scale = 6, .sharp = true, .blur = 1, .light = SHADOW, .noise = 8,
     .paper = {150, 185, 225}, .ink = {60, 40, 50}},
    {"photo: chalk, slanting light", .scale = 6, .sharp = true, .blur = 1, .light = SLOPE,
     .noise = 8, .paper = {40, 60, 50}, .ink = {215, 215, 205}},
    {"photo: small on a page, shadow", .scale = 3, .sharp = true, .margin = {100, 80, 120, 60},
     .light = SHADOW, .noise = 8, .grain = 10, BALLPOINT},
};

enum {
    N_TREATMENTS = sizeof treatments / sizeof treatments[0]
};

/* How the light falls in one picture. */
typedef struct {
    lighting kind;
    double across, down, middle; /* direction; where a shadow begins */
} lamp;

static lamp lamp_pick(lighting kind)
{
    double angle = nn_rng_uniform(&rng) * 6.28318530717959;
    return (lamp){kind, cos(angle), sin(angle), nn_rng_uniform(&rng) * 0.6 - 0.3};
}

/* The light at a place, 0 to 1. */
static double lamp_light(const lamp *l, const page *p, int x, int y)
{
    double along = (l->across * (x - p->width / 2) + l->down * (y - p->height / 2)) /
                   (p->width > p->height ? p->width : p->height);
    switch (l->kind) {
    case SLOPE:
        return 0.75 - 0.5 * along;
    case SHADOW: /* 45 % darker, over about a quarter of the picture */
        return 1 - 0.45 / (1 + exp(-20 * (along - l->middle)));
    case EVEN:
        break;
    }
    return 1;
}

static uint8_t to_byte(double value)
{
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value + 0.5);
}

/* Takes the picture of a page. */
static void photograph(uint8_t *rgb, const page *p, const treatment *how)
{
    static double patches[SIDE_MAX * SIDE_MAX / 16];
    lamp l = lamp_pick(how->light);
    int across = (p->width + 3) / 4, down = (p->height + 3) / 4;
    for (int i = 0; i < across * down; i++) {
        patches[i] = how->grain * (nn_rng_uniform(&rng) - 0.5);
    }
    for (int i = 0; i < p->width * p->height; i++) {
        int x = i % p->width, y = i / p->width;
        double lit = lamp_light(&l, p, x, y), grain = patches[y / 4 * across + x / 4];
        double noise = how->noise > 0 ? how->noise * nn_rng_normal(&rng) : 0;
        for (int c = 0; c < 3; c++) {
            double ink = (double)p->ink[i];
            double value = how->paper[c] + grain + (how->ink[c] - how->paper[c] - grain) * ink;
            rgb[3 * i + c] = to_byte(value * lit + noise);
        }
    }
}

static void treat(uint8_t *rgb, const treatment *how, const uint8_t *digit)
{
    page *p = &sheet;
    page_take(p, digit);
    page_enlarge(p, how->scale, !how->blocks);
    if (how->turn != 0) {
        page_turn(p, how->turn);
    }
    if (how->sharp) {
        page_sharpen(p);
    }
    if (how->pen != 0) {
        page_pen(p, how->pen);
    }
    if (how->blur > 0) {
        page_blur(p, how->blur);
    }
    page_widen(p, how->margin[0], how->margin[1], how->margin[2], how->margin[3]);
    photograph(rgb, p, how);
}

/* ---- reading ------------------------------------------------------------------------------ */

static size_t area(const box *b)
{
    return (b->right - b->left) * (b->bottom - b->top);
}

/* Prepares a picture of one digit. Returns how many were found; of several, the largest is it. */
static size_t prepare_one(uint8_t out[PIXELS], const image *picture)
{
    prepared found;
    need(prepare(&found, picture));
    size_t n = found.n, largest = 0;
    for (size_t k = 1; k < n; k++) {
        largest = area(&found.digits[k].box) > area(&found.digits[largest].box) ? k : largest;
    }
    memset(out, 0, PIXELS);
    if (n > 0) {
        memcpy(out, found.digits[largest].pixels, PIXELS);
    }
    prepare_release(&found);
    return n;
}

static size_t count_right(const nn_net *net, const nn_data *data)
{
    nn_report report;
    need(nn_evaluate(&report, net, data));
    size_t correct = report.correct;
    nn_report_release(&report);
    return correct;
}

static double percent(size_t part, size_t whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0;
}

static void measure(const nn_net *net, const nn_data *data)
{
    uint8_t *rgb = need_memory(nn_alloc_array((size_t)SIDE_MAX * SIDE_MAX, 3));
    uint8_t *pixels = need_memory(nn_alloc_array(data->n, PIXELS));
    double plain = percent(count_right(net, data), data->n);
    printf("%-34s %9s %10s %8s %8s\n", "picture", "accuracy", "difference", "none", "several");
    printf("%-34s %7.2f %%\n", "plain: MNIST's own", plain);
    for (size_t t = 0; t < N_TREATMENTS; t++) {
        size_t none = 0, several = 0;
        nn_rng_seed(&rng, t);
        for (size_t k = 0; k < data->n; k++) {
            treat(rgb, &treatments[t], data->pixels + k * PIXELS);
            image picture = {(size_t)sheet.width, (size_t)sheet.height, 3, rgb};
            size_t n = prepare_one(pixels + k * PIXELS, &picture);
            none += n == 0;
            several += n > 1;
        }
        nn_data treated = *data;
        treated.pixels = pixels;
        double accuracy = percent(count_right(net, &treated), data->n);
        printf("%-34s %7.2f %% %+10.2f %8zu %8zu\n", treatments[t].name, accuracy, accuracy - plain,
               none, several);
        (void)fflush(stdout);
    }
    nn_free(pixels);
    nn_free(rgb);
}

/* ---- calibration -------------------------------------------------------------------------- */

/* Whether each limit of shape.h holds. */
static void count_passes(size_t passes[5], const uint8_t *pixels)
{
    shape s = shape_measure(pixels);
    passes[0] += s.ink <= SHAPE_INK_MAX;
    passes[1] += s.runs <= SHAPE_RUNS_MAX;
    passes[2] += s.busiest <= SHAPE_BUSIEST_MAX;
    passes[3] += s.flat <= SHAPE_FLAT_MAX;
    passes[4] += shape_is_digit(pixels);
}

static void print_passes(const char *what, const size_t passes[5], size_t n)
{
    printf("%-24s %6zu", what, n);
    for (int k = 0; k < 5; k++) {
        printf(" %7.2f %%", percent(passes[k], n));
    }
    putchar('\n');
}

static point somewhere(double low, double high)
{
    return (point){low + (high - low) * nn_rng_uniform(&rng),
                   low + (high - low) * nn_rng_uniform(&rng)};
}

/* Scribbles of several kinds, black on a white page of 280 x 280. */
static void scribble(canvas *c, size_t kind)
{
    const colour black = {0, 0, 0};
    double pen = 8 + 16 * nn_rng_uniform(&rng), angle = 0, radius = 20;
    point from = somewhere(60, 220);
    size_t n = 8 + nn_rng_below(&rng, 20);
    for (size_t i = 0; i < (kind == 2 ? 12 * n : n); i++) {
        point to = somewhere(40, 240); /* 0: a tangle */
        if (kind == 1) {               /* crossed out, to and fro */
            to = (point){i % 2 ? 70 : 190 + 30 * nn_rng_uniform(&rng),
                         50 + 180.0 * (double)i / (double)n};
        } else if (kind == 2) { /* round and round */
            angle += 0.2;
            radius += 0.3;
            to = (point){140 + radius * cos(angle), 140 + radius * sin(1.1 * angle)};
        } else if (kind == 3) { /* a hatching */
            double at = 50 + 180.0 * (double)(i / 2) / (double)(n / 2);
            from = i % 2 ? (point){at, 50} : (point){50, at};
            to = i % 2 ? (point){at, 230} : (point){230, at};
        }
        if (kind == 3 || i > 0) {
            canvas_line(c, from, to, kind == 3 ? pen / 2 : pen, black);
        }
        from = to;
    }
}

enum {
    N_SCRIBBLES = 1000,
    N_KINDS = 4
};

static void calibrate_scribbles(const nn_net *net)
{
    static const char *const names[N_KINDS] = {"tangles", "crossings-out", "rounds", "hatchings"};
    for (size_t kind = 0; kind < N_KINDS; kind++) {
        uint8_t *pixels = need_memory(nn_alloc_array(N_SCRIBBLES, PIXELS));
        float *outputs = need_memory(nn_alloc_array(N_SCRIBBLES, CLASSES * sizeof *outputs));
        size_t passes[5] = {0}, believed = 0;
        nn_rng_seed(&rng, kind);
        for (size_t k = 0; k < N_SCRIBBLES; k++) {
            canvas c;
            need(canvas_init(&c, 280, 280, (colour){255, 255, 255}));
            scribble(&c, kind);
            image picture = {c.width, c.height, 3, c.rgb};
            (void)prepare_one(pixels + k * PIXELS, &picture);
            count_passes(passes, pixels + k * PIXELS);
            nn_free(c.rgb);
        }
        nn_data data = {.n = N_SCRIBBLES, .inputs = PIXELS, .pixels = pixels};
        need(nn_predict(outputs, net, &data));
        for (size_t k = 0; k < N_SCRIBBLES; k++) {
            const float *own = outputs + k * CLASSES;
            believed +=
                shape_is_digit(pixels + k * PIXELS) && own[nn_argmax(own, CLASSES)] >= SURE_FROM;
        }
        print_passes(names[kind], passes, N_SCRIBBLES);
        printf("%-24s %6s %7.2f %% read as a digit, and surely\n", "", "",
               percent(believed, N_SCRIBBLES));
        nn_free(outputs);
        nn_free(pixels);
    }
}

/* Prints how many answers are at least so probable, and how many of those are right. */
static void calibrate_sure(const nn_net *net, const nn_data *data)
{
    nn_report report;
    need(nn_evaluate(&report, net, data));
    printf("\nanswers of a probability of at least\n");
    for (int k = 50; k <= 95; k += 5) {
        size_t n = 0, right = 0;
        for (size_t i = 0; i < data->n; i++) {
            bool counts = report.outputs[i * CLASSES + report.predicted[i]] >= (float)k / 100;
            n += counts;
            right += counts && report.predicted[i] == data->labels[i];
        }
        printf("  %.2f  %6.2f %% of all, %6.2f %% of them right%s\n", k / 100.0,
               percent(n, data->n), percent(right, n),
               (float)k / 100 == SURE_FROM ? "   <- sure" : "");
    }
    nn_report_release(&report);
}

static void calibrate(const nn_net *net, const nn_data *data)
{
    uint8_t *pixels = need_memory(nn_alloc_array(data->n, PIXELS));
    size_t passes[5] = {0};
    printf("within the limits          of n       ink      runs   busiest      flat       all\n");
    for (size_t k = 0; k < data->n; k++) {
        uint8_t own[PIXELS];
        memcpy(own, data->pixels + k * PIXELS, PIXELS);
        image picture = {SIDE, SIDE, 1, own};
        (void)prepare_one(pixels + k * PIXELS, &picture);
        count_passes(passes, pixels + k * PIXELS);
    }
    print_passes("validation digits", passes, data->n);
    calibrate_scribbles(net);
    nn_data treated = *data;
    treated.pixels = pixels;
    calibrate_sure(net, &treated);
    nn_free(pixels);
}

/* ---- the whole ---------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    nn_data data;
    nn_net *net;
    if (argc != 5 && argc != 6) {
        die("usage: own_pictures MODEL IMAGES LABELS N [--calibrate]");
    }
    size_t n = strtoul(argv[4], NULL, 10);
    bool calibrates = argc == 6;
    need(nn_model_load(&net, NULL, argv[1]));
    need(nn_data_load(&data, argv[2], argv[3], CLASSES));
    if (data.inputs != PIXELS || nn_net_config(net)->inputs != PIXELS) {
        die("only pictures of 28 x 28 pixels are measured");
    }
    nn_data last = nn_data_slice(&data, data.n - data.n / 12, data.n / 12);
    nn_data first = nn_data_slice(&data, 0, n > 0 ? n : data.n);
    if (calibrates) {
        calibrate(net, &last);
    } else {
        measure(net, &first);
    }
    nn_data_release(&data);
    nn_net_free(net);
    return 0;
}
