/* Chooses the kernels that this processor runs best. */
#include "kernels.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const nn_kernels *kernels;
    bool (*supported)(void);
} candidate;

static bool always(void)
{
    return true;
}

#ifdef NN_HAVE_X86
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vbmi2") && has_avx2();
}
#endif

/* Best first. */
static const candidate candidates[] = {
#ifdef NN_HAVE_X86
    {&nn_kernels_avx512, has_avx512},
    {&nn_kernels_avx2, has_avx2},
#endif
#ifdef NN_HAVE_NEON
    {&nn_kernels_neon, always},
#endif
    {&nn_kernels_ref, always},
};

nn_status nn_kernels_choose(const nn_kernels **out)
{
    const char *wanted = getenv("NN_KERNEL");
    bool any = !wanted || !*wanted;
    for (size_t c = 0; c < sizeof candidates / sizeof *candidates; c++) {
        const nn_kernels *kernels = candidates[c].kernels;
        if ((any || strcmp(kernels->name, wanted) == 0) && candidates[c].supported()) {
            *out = kernels;
            return NN_OK;
        }
    }
    return nn_fail(NN_ERR_ARGUMENT, "NN_KERNEL is '%s', which this processor or build has not",
                   wanted);
}
