#include "watch.h"

#include "text.h"

#include <math.h>
#include <string.h>

/* ---- Ctrl-C ------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted; /* a signal handler has no other way to tell */

static void note_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

static void catch_signal(int signal_number)
{
    struct sigaction old,
        new = {.sa_handler = note_interrupt, .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
    sigemptyset(&new.sa_mask);
    if (sigaction(signal_number, NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
        (void)sigaction(signal_number, &new, NULL);
    }
}

void interrupt_catch(void)
{
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
}

bool interrupt_came(void)
{
    return interrupted != 0;
}

/* ---- time left ---------------------------------------------------------------------------- */

static double median(double a, double b, double c)
{
    return fmax(fmin(a, b), fmin(fmax(a, b), c));
}

/* Seconds an image takes: the median of three epochs, so that one during which the machine slept,
 * or its clock jumped, is forgotten. */
static double pace(const watch *w)
{
    size_t own = w->done - w->before;
    switch (w->n_paces) {
    case 0:
        return own > 0 ? (clock_seconds() - w->epoch_started_at) / (double)own : 0;
    case 1:
        return w->pace[0];
    case 2:
        return fmin(w->pace[0], w->pace[1]);
    default:
        return median(w->pace[0], w->pace[1], w->pace[2]);
    }
}

/* Writes how long the rest takes if it goes on as it went. */
static const char *time_left(char text[TEXT_NUMBER_SIZE], const watch *w, size_t epoch)
{
    double all = (double)w->images * (double)w->epochs;
    double done = (double)w->images * (double)(epoch - 1) + (double)w->done;
    return text_duration(text, pace(w) * (all - done));
}

/* ---- the table ---------------------------------------------------------------------------- */

enum {
    COLUMN_EPOCH,
    COLUMN_LOSS,
    COLUMN_TRAINING,
    COLUMN_VALIDATION,
    COLUMN_RATE,
    COLUMN_SPEED,
    COLUMN_LEFT,
    N_COLUMNS
};

typedef struct {
    const char *title;
    int width;
    int rank; /* on a narrow terminal, those of the highest rank are left out first */
} column;

static const column columns[N_COLUMNS] = {
    [COLUMN_EPOCH] = {"epoch", 7, 0},         [COLUMN_LOSS] = {"loss", 10, 1},
    [COLUMN_TRAINING] = {"training", 10, 4},  [COLUMN_VALIDATION] = {"validation", 12, 2},
    [COLUMN_RATE] = {"learning rate", 15, 5}, [COLUMN_SPEED] = {"images/s", 12, 6},
    [COLUMN_LEFT] = {"left", 10, 3},
};

typedef char table_cells[N_COLUMNS][TEXT_NUMBER_SIZE * 2];

/* Digits of the number of epochs, at least 3. */
static int epoch_digits(const watch *w)
{
    char text[TEXT_NUMBER_SIZE];
    int digits = snprintf(text, sizeof text, "%zu", w->epochs);
    return digits > 3 ? digits : 3;
}

static int column_width(const watch *w, size_t c)
{
    return c == COLUMN_EPOCH ? 2 * epoch_digits(w) + 1 : columns[c].width;
}

/* Returns the columns that fit, a bit each. */
static unsigned choose_columns(const watch *w, size_t room)
{
    unsigned chosen = 0;
    for (int rank = 0; rank < N_COLUMNS; rank++) {
        for (size_t c = 0; c < N_COLUMNS; c++) {
            size_t width = (size_t)column_width(w, c);
            if (columns[c].rank == rank) {
                if (width > room) {
                    return chosen;
                }
                chosen |= 1U << c;
                room -= width;
            }
        }
    }
    return chosen;
}

static void print_row(const watch *w, table_cells cells)
{
    char row[sizeof(table_cells)] = "";
    size_t length = 0;
    for (size_t c = 0; c < N_COLUMNS; c++) {
        if (w->columns & 1U << c) {
            length += (size_t)snprintf(row + length, sizeof row - length, "%*s", column_width(w, c),
                                       cells[c]);
        }
    }
    fprintf(stderr, "%s\n", row);
}

/* Prints the heading, the first time and when the terminal's width has changed what fits. */
static void print_heading(watch *w)
{
    const terminal screen = terminal_of(stderr);
    table_cells titles;
    unsigned chosen = choose_columns(w, terminal_room(&screen));
    if (chosen == w->columns) {
        return;
    }
    w->columns = chosen;
    for (size_t c = 0; c < N_COLUMNS; c++) {
        snprintf(titles[c], sizeof titles[c], "%s", columns[c].title);
    }
    print_row(w, titles);
}

static double images_a_second(const watch *w)
{
    return w->epoch_seconds > 0 ? (double)(w->done - w->before) / w->epoch_seconds : 0;
}

/* "95.13 %", or a dash where there is nothing to tell. */
static void set_percent(char *text, size_t size, bool known, double share)
{
    if (known) {
        snprintf(text, size, "%.2f %%", 100 * share);
    } else {
        snprintf(text, size, "-");
    }
}

static void print_epoch(watch *w, const nn_epoch *epoch)
{
    table_cells cells;
    const size_t size = sizeof cells[0];
    int digits = epoch_digits(w);
    double speed = images_a_second(w);
    snprintf(cells[COLUMN_EPOCH], size, "%*zu/%-*zu", digits, epoch->epoch, digits, epoch->epochs);
    snprintf(cells[COLUMN_LOSS], size, "%.4f", epoch->loss);
    set_percent(cells[COLUMN_TRAINING], size, true, epoch->accuracy);
    set_percent(cells[COLUMN_VALIDATION], size, epoch->has_validation, epoch->validation_accuracy);
    snprintf(cells[COLUMN_RATE], size, "%.6f", epoch->learning_rate);
    text_count(cells[COLUMN_SPEED], speed < 1e9 ? (size_t)speed : 0);
    time_left(cells[COLUMN_LEFT], w, epoch->epoch);
    print_heading(w);
    print_row(w, cells);
}

/* ---- the bar ------------------------------------------------------------------------------ */

enum {
    CURVE_COLUMNS = 16
};

static void show_progress(watch *w, size_t epoch, double mean_loss)
{
    char label[TEXT_NUMBER_SIZE * 2], left[TEXT_NUMBER_SIZE * 2], loss[TEXT_NUMBER_SIZE];
    char duration[TEXT_NUMBER_SIZE], curve[SPARKLINE_TEXT_SIZE], percent[TEXT_NUMBER_SIZE];
    const char *notes[] = {left, loss, curve, percent};
    size_t n = 2;
    sparkline losses = w->losses;
    sparkline_add(&losses, mean_loss);
    snprintf(label, sizeof label, "%*zu/%zu", epoch_digits(w), epoch, w->epochs);
    snprintf(left, sizeof left, "%s left", time_left(duration, w, epoch));
    snprintf(loss, sizeof loss, "loss %.4f", mean_loss);
    if (*sparkline_text(curve, &losses, CURVE_COLUMNS, w->bar.screen.utf8)) {
        n++;
    }
    if (n == 3 && *w->validation) {
        snprintf(percent, sizeof percent, "%s right", w->validation);
        n++;
    }
    progress_show(&w->bar, (double)w->done / (double)w->images, label, notes, n);
}

/* ---- callbacks ---------------------------------------------------------------------------- */

void watch_start(watch *w, bool quiet, size_t images, size_t epochs, train_log *log)
{
    *w = (watch){.quiet = quiet, .images = images, .epochs = epochs, .log = log};
    progress_init(&w->bar, quiet);
    w->started_at = w->epoch_started_at = clock_seconds();
    if (!quiet) {
        print_heading(w);
    }
}

void watch_resume(watch *w, const nn_position *from)
{
    w->before = from->images;
    w->done = from->images;
}

bool watch_batch(void *context, size_t epoch, size_t images_done, double mean_loss)
{
    watch *w = context;
    w->done = images_done;
    if (images_done >= w->images || interrupt_came()) {
        w->epoch_seconds = clock_seconds() - w->epoch_started_at;
    }
    if (progress_is_due(&w->bar)) {
        show_progress(w, epoch, mean_loss);
    }
    return !interrupt_came();
}

/* Takes down how long the epoch took and what it came to. */
static void note_epoch(watch *w, const nn_epoch *epoch)
{
    double now = clock_seconds();
    w->first_loss = w->losses.n == 0 ? epoch->loss : w->first_loss;
    w->last_loss = epoch->loss;
    if (w->images > w->before) { /* else this epoch was only closed */
        w->pace[w->n_paces++ % 3] = (now - w->epoch_started_at) / (double)(w->images - w->before);
    }
    w->epoch_started_at = now;
    sparkline_add(&w->losses, epoch->loss);
    if (epoch->has_validation) {
        set_percent(w->validation, sizeof w->validation, true, epoch->validation_accuracy);
    }
}

bool watch_epoch(void *context, const nn_epoch *epoch)
{
    watch *w = context;
    note_epoch(w, epoch);
    progress_clear(&w->bar);
    if (!w->quiet) {
        print_epoch(w, epoch);
    }
    train_log_epoch(w->log, epoch, w->epoch_seconds);
    w->before = 0;
    return !interrupt_came();
}
