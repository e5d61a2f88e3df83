#include "trained.h"

#include "files.h"
#include "message.h"
#include "text.h"

#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

int trained_load(trained *out, const char *path)
{
    trained model = {.path = path};
    nn_status status = nn_model_load(&model.net, &model.facts, path);
    if (status != NN_OK) {
        int code = fail(status, ROLE_MODEL);
        if (path_look(path) == PATH_MISSING) {
            advise("'digits train' makes one; --model FILE names another");
        }
        return code;
    }
    *out = model;
    return EXIT_DONE;
}

void trained_release(trained *model)
{
    nn_net_free(model->net);
    nn_meta_release(&model->facts);
    model->net = NULL;
}

nn_status trained_check(const char *path)
{
    nn_net *net = NULL;
    nn_status status = nn_model_load(&net, NULL, path);
    nn_net_free(net);
    return status;
}

nn_status trained_sha256(char text[SHA256_TEXT_SIZE], const char *path)
{
    uint8_t *bytes, digest[SHA256_DIGEST_SIZE];
    size_t n;
    struct sha256_ctx context;
    nn_status status = nn_file_load(&bytes, &n, SIZE_MAX / 2, path);
    if (status != NN_OK) {
        return status;
    }
    sha256_init(&context);
    sha256_update(&context, n, bytes);
    sha256_digest(&context, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    }
    nn_free(bytes);
    return NN_OK;
}

static bool is_plain(const char *word, size_t length)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    return length > 0 && length < CLASS_NAME_SIZE && strspn(word, plain) >= length;
}

const char *trained_class(const trained *model, size_t k, char name[CLASS_NAME_SIZE])
{
    const char *names = nn_meta_get(&model->facts, FACT_CLASSES);
    const char *word = names ? names : "";
    for (size_t i = 0; i < k && *word; i++) {
        word += strcspn(word, " ");
        word += *word == ' ';
    }
    size_t length = strcspn(word, " ");
    if (is_plain(word, length)) {
        snprintf(name, CLASS_NAME_SIZE, "%.*s", (int)length, word);
    } else {
        snprintf(name, CLASS_NAME_SIZE, "%zu", k);
    }
    return name;
}

bool trained_takes(const trained *model, const nn_data *pictures, const char *what)
{
    char shape[TEXT_NUMBER_SIZE * 2];
    const char *wanted = nn_meta_get(&model->facts, FACT_PICTURE);
    size_t inputs = nn_net_config(model->net)->inputs;
    snprintf(shape, sizeof shape, "%zux%zu", pictures->rows, pictures->columns);
    if (pictures->inputs != inputs) {
        complain("'%s' holds %s pixels a picture, but '%s' takes %zu", what, shape, model->path,
                 inputs);
        return false;
    }
    if (wanted && strcmp(wanted, shape) != 0) {
        complain("'%s' holds %s pixels a picture, but '%s' takes %s", what, shape, model->path,
                 wanted);
        return false;
    }
    return true;
}
