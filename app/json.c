#include "json.h"

#include "nnlib.h"
#include "text.h"

#include <math.h>

void json_init(json *document)
{
    document->root = cJSON_CreateObject();
    document->failed = !document->root;
}

void json_release(json *document)
{
    cJSON_Delete(document->root);
    document->root = NULL;
}

cJSON *json_add(json *document, cJSON *parent, const char *name, cJSON *item)
{
    bool added =
        item && parent &&
        (name ? cJSON_AddItemToObject(parent, name, item) : cJSON_AddItemToArray(parent, item));
    if (!added) {
        cJSON_Delete(item);
        document->failed = true;
    }
    return added ? item : NULL;
}

cJSON *json_object(json *document, cJSON *parent, const char *name)
{
    return json_add(document, parent, name, cJSON_CreateObject());
}

cJSON *json_array(json *document, cJSON *parent, const char *name)
{
    return json_add(document, parent, name, cJSON_CreateArray());
}

void json_number(json *document, cJSON *parent, const char *name, double value)
{
    char digits[TEXT_NUMBER_SIZE];
    json_add(document, parent, name,
             isfinite(value) ? cJSON_CreateRaw(text_real(digits, value)) : cJSON_CreateNull());
}

void json_u64(json *document, cJSON *parent, const char *name, uint64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    json_add(document, parent, name, cJSON_CreateRaw(digits));
}

void json_size(json *document, cJSON *parent, const char *name, size_t value)
{
    json_u64(document, parent, name, value);
}

void json_bool(json *document, cJSON *parent, const char *name, bool value)
{
    json_add(document, parent, name, cJSON_CreateBool(value));
}

void json_text(json *document, cJSON *parent, const char *name, const char *value)
{
    json_add(document, parent, name, value ? cJSON_CreateString(value) : cJSON_CreateNull());
}

char *json_string(const json *document, bool indented)
{
    if (document->failed) {
        return NULL;
    }
    char *text = indented ? cJSON_Print(document->root) : cJSON_PrintUnformatted(document->root);
    char *utf8 = text ? text_utf8(text) : NULL; /* file names need not be */
    cJSON_free(text);
    return utf8;
}

bool json_print(json *document, FILE *to, bool indented)
{
    char *text = json_string(document, indented);
    if (text) {
        fprintf(to, "%s\n", text);
        nn_free(text);
    }
    return text != NULL;
}
