#include "replay.h"

#include "@{prefix}.h"

@{arrays}

const char *const replay_name = "@{prefix}";
const uint32_t replay_state_bytes = sizeof(@{prefix}_state);
const uint32_t replay_expected_hash = @{expected}u;

static @{prefix}_state state;
@{outputs}
static uint32_t hash;

@{hasher}

void replay_reset(void) {
  @{prefix}_reset(&state);
  hash = 2166136261u;
}

void replay_run(int step) {
  const int row = step % @{rows};
@{learn}  @{discard}@{function}(@{arguments});
}

void replay_step(int step) {
  replay_run(step);
@{hashed}
}

uint32_t replay_hash(void) { return hash; }
