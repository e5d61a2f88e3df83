#include "report.h"

#include "files.h"

#include <string.h>

/* ---- text in its place -------------------------------------------------------------------- */

/* A page on its way to the disk. */
typedef struct {
    nn_writer *writer;
    const report_source *source;
    const char *data; /* JSON in UTF-8 */
    size_t bytes;
} page;

/* The writer keeps a failure and returns it in the end. */
static void put(page *p, const char *text, size_t n)
{
    (void)nn_writer_write(p->writer, text, n);
    p->bytes += n;
}

static void put_text(page *p, const char *text)
{
    put(p, text, strlen(text));
}

/* Returns what stands in a page's JSON for the character at s, or NULL for the character itself;
 * *length is how many bytes it takes. Only strings hold any of these. Without "<" nothing in the
 * JSON ends the script element that it stands in (HTML standard, "script data" states); U+2028 and
 * U+2029 end lines in scripts. */
static const char *json_escape(const char *s, size_t *length)
{
    static const struct {
        const char *character, *escape;
    } escapes[] = {{"<", "\\u003c"},
                   {">", "\\u003e"},
                   {"&", "\\u0026"},
                   {"\x7F", "\\u007f"},
                   {"\xE2\x80\xA8", "\\u2028"},
                   {"\xE2\x80\xA9", "\\u2029"}};
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
        *length = strlen(escapes[i].character);
        if (strncmp(s, escapes[i].character, *length) == 0) {
            return escapes[i].escape;
        }
    }
    *length = 1;
    return NULL;
}

static void put_json(page *p, const char *text)
{
    const char *from = text, *at = text;
    while (*at) {
        size_t length;
        const char *escape = json_escape(at, &length);
        if (escape) {
            put(p, from, (size_t)(at - from));
            put_text(p, escape);
            from = at + length;
        }
        at += length;
    }
    put(p, from, (size_t)(at - from));
}

/* ---- the page ----------------------------------------------------------------------------- */

static void put_style(page *p)
{
    put_text(p, (const char *)report_css);
}

static void put_script(page *p)
{
    put_text(p, (const char *)report_js);
}

static void put_data(page *p)
{
    put_json(p, p->data);
}

/* The page's title, which also stands for the page where there are no scripts. */
static void put_title(page *p)
{
    char text[128];
    const nn_report *result = p->source->result;
    snprintf(text, sizeof text, "%.2f %% of %s, %s set", 100 * result->accuracy,
             dataset_name(p->source->set->kind), p->source->set_name);
    put_text(p, text);
}

/* What the template calls {{name}}. */
static void put_part(page *p, const char *name, size_t length)
{
    static const struct {
        const char *name;
        void (*put)(page *p);
    } parts[] = {
        {"title", put_title}, {"style", put_style}, {"script", put_script}, {"data", put_data}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strlen(parts[i].name) == length && memcmp(parts[i].name, name, length) == 0) {
            parts[i].put(p);
        }
    }
}

static void put_page(page *p)
{
    const char *at = (const char *)report_html;
    for (const char *open; (open = strstr(at, "{{")) != NULL;) {
        const char *close = strstr(open, "}}");
        put(p, at, (size_t)(open - at));
        put_part(p, open + 2, (size_t)(close - open - 2));
        at = close + 2;
    }
    put_text(p, at);
}

static char *make_data(const report_source *source)
{
    json document;
    json_init(&document);
    report_data(&document, source);
    char *text = json_string(&document, false);
    json_release(&document);
    return text;
}

nn_status report_write(const char *path, const report_source *source, size_t *bytes)
{
    page p = {.source = source};
    nn_status status = nn_writer_open(&p.writer, path);
    if (status != NN_OK) {
        return status;
    }
    char *data = make_data(source);
    if (!data) {
        nn_writer_abandon(p.writer);
        return nn_fail(NN_ERR_MEMORY, "cannot write '%s': out of memory", path);
    }
    p.data = data;
    put_page(&p);
    nn_free(data);
    status = nn_writer_commit(p.writer);
    if (status == NN_OK) {
        *bytes = p.bytes;
    }
    return status;
}

nn_status report_check(const char *path)
{
    return file_begins(path, "<!DOCTYPE html>\n<!-- digits report");
}
