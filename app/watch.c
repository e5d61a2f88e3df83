#include "watch.h"

#include "text.h"

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
    struct sigaction old, new = {.sa_handler = note_interrupt, .sa_flags = (int)SA_RESETHAND};
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

/* ---- lines -------------------------------------------------------------------------------- */

void watch_start(watch *w, bool quiet, size_t images, size_t epochs, train_log *log)
{
    *w = (watch){.quiet = quiet, .images = images, .epochs = epochs, .log = log};
    progress_init(&w->bar, quiet);
    w->started_at = w->epoch_started_at = clock_seconds();
    if (!quiet) {
        fprintf(stderr, "  epoch      loss  training  validation  learning rate  images/s  left\n");
    }
}

void watch_resume(watch *w, const nn_position *from)
{
    w->before = from->images;
    w->done = from->images;
    w->resumed = w->images * from->epochs + from->images;
}

/* Seconds that the rest takes if it goes on as it went. */
static double seconds_left(const watch *w, size_t epoch)
{
    double all = (double)w->images * (double)w->epochs;
    double done = (double)w->images * (double)(epoch - 1) + (double)w->done;
    double own = done - (double)w->resumed;
    return own > 0 ? (clock_seconds() - w->started_at) * (all - done) / own : 0;
}

static double images_a_second(const watch *w)
{
    return w->epoch_seconds > 0 ? (double)(w->done - w->before) / w->epoch_seconds : 0;
}

bool watch_batch(void *context, size_t epoch, size_t images_done, double mean_loss)
{
    watch *w = context;
    w->done = images_done;
    if (images_done >= w->images || interrupt_came()) {
        w->epoch_seconds = clock_seconds() - w->epoch_started_at;
    }
    if (progress_is_due(&w->bar)) {
        char label[TEXT_NUMBER_SIZE * 2], note[TEXT_NUMBER_SIZE * 2], left[TEXT_NUMBER_SIZE];
        snprintf(label, sizeof label, "%3zu/%-3zu %9.4f", epoch, w->epochs, mean_loss);
        snprintf(note, sizeof note, "%s left", text_duration(left, seconds_left(w, epoch)));
        progress_show(&w->bar, (double)images_done / (double)w->images, label, note);
    }
    return !interrupt_came();
}

/* "95.13 %", or a dash where there is nothing to tell. */
static const char *percent(char text[TEXT_NUMBER_SIZE], bool known, double share)
{
    if (known) {
        snprintf(text, TEXT_NUMBER_SIZE, "%.2f %%", 100 * share);
    } else {
        snprintf(text, TEXT_NUMBER_SIZE, "-");
    }
    return text;
}

static void print_epoch(const watch *w, const nn_epoch *epoch)
{
    char training[TEXT_NUMBER_SIZE], validation[TEXT_NUMBER_SIZE], speed[TEXT_NUMBER_SIZE];
    char left[TEXT_NUMBER_SIZE];
    fprintf(stderr, "%3zu/%-3zu %9.4f %9s %11s %14.6f %9s %5s\n", epoch->epoch, epoch->epochs,
            epoch->loss, percent(training, true, epoch->accuracy),
            percent(validation, epoch->has_validation, epoch->validation_accuracy),
            epoch->learning_rate, text_count(speed, (size_t)images_a_second(w)),
            text_duration(left, seconds_left(w, epoch->epoch)));
}

bool watch_epoch(void *context, const nn_epoch *epoch)
{
    watch *w = context;
    progress_clear(&w->bar);
    if (!w->quiet) {
        print_epoch(w, epoch);
    }
    train_log_epoch(w->log, epoch, w->epoch_seconds);
    w->epoch_started_at = clock_seconds();
    w->before = 0;
    return !interrupt_came();
}
