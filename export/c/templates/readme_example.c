#include "@{prefix}.h"

static @{prefix}_state state;

/* Once, and before each new sequence. */
void start_sequence(void) { @{prefix}_reset(&state); }

/* Once per time step. */
void next_step(void) {
@{declared}
  /* Read the sensors into the inputs here. */
  if (@{prefix}_step(@{arguments}) == @{upper}_NOT_FINITE) {
    return; /* A sensor is broken: report it. */
  }
  /* Use the outputs here. */
}
