#include <nnlib.h>
#include <stdio.h>

int main(void)
{
    static nn_data train, test;
    static nn_net *net;
    static nn_report report;
    const nn_layer layers[] = {{15, NN_SIGMOID, 0.01}, {10, NN_SOFTMAX, 0}};
    const nn_config shape = {.inputs = 784, .n_layers = 2, .layers = layers};
    const nn_train_options how = {.epochs = 30,
                                  .batch = 32,
                                  .learning_rate = 0.3,
                                  .momentum = 0.9,
                                  .decay = 0.15,
                                  .l2 = 1e-4,
                                  .seed = 1};
    if (nn_data_load(&train, "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", 10) ||
        nn_data_load(&test, "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", 10) ||
        nn_net_new(&net, &shape, 1) || nn_train(net, &train, NULL, &how, NULL) ||
        nn_evaluate(&report, net, &test) || nn_model_save(net, NULL, "model.safetensors")) {
        return fprintf(stderr, "%s\n", nn_error_text()), 1;
    }
    printf("%zu of %zu right\n", report.correct, report.total);
    return 0; /* the system takes the memory back */
}
