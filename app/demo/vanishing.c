#include "demo.h"

static int run(demo *d)
{
    demo_say(d, "\n");
    return 0;
}

const demo_row demo_vanishing = {"vanishing", "...", run};
