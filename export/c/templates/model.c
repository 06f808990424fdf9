#include "@{prefix}.h"

#include "@{primitives}"

@{constants}

/* One step on stored numbers. */
static void run(@{arguments}) {
@{run}
}

void @{prefix}_reset(@{prefix}_state *state) {
@{reset}
}

@{functions}
