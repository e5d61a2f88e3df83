/* A report of one model as a page of HTML that needs nothing else: no network, no other file. */

#ifndef DIGITS_REPORT_H
#define DIGITS_REPORT_H

#include "data.h"

/* Writes the page whole or not at all; *bytes is then its size. NN_ERR_IO, NN_ERR_MEMORY. */
nn_status report_write(const char *path, const report_source *source, size_t *bytes);

/* Tells whether path is such a page: NN_OK, else NN_ERR_DATA. */
nn_status report_check(const char *path);

/* The page's parts, texts that the build makes of the files in app/report. */
extern const unsigned char report_html[], report_css[], report_js[];

#endif
