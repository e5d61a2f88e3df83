/*
 * Files: the one door to the disk. Reading is here, writing (nn_writer) and reading in one go
 * (nn_file_read, nn_file_load) are in nnlib.h.
 *
 * No other file opens, reads, writes, syncs or renames anything. Interrupted calls and short
 * transfers are handled here.
 */
#ifndef NN_FILE_H
#define NN_FILE_H

#include "nnlib.h"

/* A regular file open for reading. */
typedef struct {
    const char *path; /* the caller's string, for messages; must outlive the reader */
    uint64_t size;    /* bytes, when it was opened */
    int fd;
} nn_reader;

/* Opens a file. NN_ERR_IO: it is missing or unreadable, or a folder, a FIFO (which is not waited
 * for), a device or a socket. */
nn_status nn_reader_open(nn_reader *out, const char *path);

/* Reads the next n bytes; *got is smaller than n only at the end of the file, which need not be
 * at reader->size: files grow and shrink. NN_ERR_IO: bytes may then hold a part. */
nn_status nn_reader_read(nn_reader *reader, void *bytes, size_t n, size_t *got);

/* Closes the file. Only for a reader that nn_reader_open has opened. */
void nn_reader_close(nn_reader *reader);

#endif
