#include "@{prefix}.h"

#include "@{primitives}"

@{constants}

@{runs}

void @{prefix}_reset(@{prefix}_state *state) {
@{reset}
}

@{functions}
