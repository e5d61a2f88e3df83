/* Facts about a model: an ordered list of keys and values. */
#include "nnlib.h"

#include <string.h>

static char *copy_string(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = nn_alloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

static struct nn_meta_item *find(const nn_meta *meta, const char *key)
{
    for (size_t k = 0; k < meta->n; k++) {
        if (strcmp(meta->items[k].key, key) == 0) {
            return &meta->items[k];
        }
    }
    return NULL;
}

const char *nn_meta_get(const nn_meta *meta, const char *key)
{
    const struct nn_meta_item *item = find(meta, key);
    return item ? item->value : NULL;
}

/* Makes room for one more item. The list is short: growing by one keeps it simple. */
static struct nn_meta_item *append(nn_meta *meta)
{
    struct nn_meta_item *items = nn_alloc_array(meta->n + 1, sizeof *items);
    if (!items) {
        return NULL;
    }
    if (meta->n > 0) {
        memcpy(items, meta->items, meta->n * sizeof *items);
    }
    nn_free(meta->items);
    meta->items = items;
    return &items[meta->n];
}

nn_status nn_meta_set(nn_meta *meta, const char *key, const char *value)
{
    char *new_key = NULL, *new_value = copy_string(value);
    struct nn_meta_item *item = find(meta, key);
    if (item && new_value) {
        nn_free(item->value);
        item->value = new_value;
        return NN_OK;
    }
    if (!item && new_value) {
        new_key = copy_string(key);
        item = new_key ? append(meta) : NULL;
        if (item) {
            *item = (struct nn_meta_item){new_key, new_value};
            meta->n++;
            return NN_OK;
        }
    }
    nn_free(new_key);
    nn_free(new_value);
    return nn_fail(NN_ERR_MEMORY, "out of memory for the metadata entry '%s'", key);
}

void nn_meta_release(nn_meta *meta)
{
    if (!meta) {
        return;
    }
    for (size_t k = 0; k < meta->n; k++) {
        nn_free(meta->items[k].key);
        nn_free(meta->items[k].value);
    }
    nn_free(meta->items);
    *meta = (nn_meta){0};
}
