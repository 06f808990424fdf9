/* Replays inputs of a linear congruential generator, in place of recorded ones. */
#include "replay.h"

#include "tiny.h"

const uint32_t replay_expected_hash = 2391430844u;
const uint32_t replay_state_bytes = sizeof(tiny_state);
const char *replay_name = "tiny";

static tiny_state state;
static uint32_t hash;

static void step_of(int step, int16_t *out) {
  int16_t in[2];
  for (int i = 0; i < 2; ++i)
    in[i] = (int16_t)((int32_t)(((uint32_t)step * 2u + (uint32_t)i) * 1664525u >> 16) - 32768);
  tiny_step_raw(&state, in, out);
}

static void add(int16_t value) { hash = (hash ^ (uint16_t)value) * 16777619u; }

void replay_reset(void) {
  tiny_reset(&state);
  hash = 2166136261u;
}

void replay_step(int step) {
  int16_t out[2];
  step_of(step, out);
  for (int i = 0; i < 4; ++i) add(state.rnn_state_0[i]);
  for (int i = 0; i < 2; ++i) add(out[i]);
}

void replay_run(int step) {
  int16_t out[2];
  step_of(step, out);
}

uint32_t replay_hash(void) { return hash; }
