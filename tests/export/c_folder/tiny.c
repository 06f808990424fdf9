/* h <- h + (saturate(W [x, h] / 128) - h) / 4; outputs are the first two states, in units of 2^-12. */
#include "tiny.h"

#include "lnn_primitives.h"

static const int16_t weights[4][6] = {{90, -41, 20, 13, -70, 5},
                                      {-33, 77, 9, -58, 31, 44},
                                      {61, 52, -101, 17, 3, -29},
                                      {-12, 68, 35, 80, -46, 22}};

void tiny_reset(tiny_state *state) { memset(state, 0, sizeof *state); }

void tiny_step_raw(tiny_state *state, const int16_t *in, int16_t *out) {
  int16_t row[6];
  memcpy(row, in, 2 * sizeof *in);
  memcpy(row + 2, state->rnn_state_0, sizeof state->rnn_state_0);
  for (int i = 0; i < 4; ++i) {
    const int32_t target = lnn_saturate(lnn_dot(weights[i], row, 6) / 128);
    state->rnn_state_0[i] = (int16_t)(row[2 + i] + (target - row[2 + i]) / 4);
  }
  for (int i = 0; i < 2; ++i) out[i] = state->rnn_state_0[i];
}

int tiny_step(tiny_state *state, const float *in, float *out) {
  int16_t integers[2], results[2];
  for (int i = 0; i < 2; ++i) {
    const float scaled = in[i] * 4096.0f;
    if (!(scaled - scaled == 0.0f)) return tiny_NOT_FINITE;
    const float limited = scaled > 32767.0f ? 32767.0f : scaled < -32768.0f ? -32768.0f : scaled;
    integers[i] = (int16_t)limited;
  }
  tiny_step_raw(state, integers, results);
  for (int i = 0; i < 2; ++i) out[i] = (float)results[i] / 4096.0f;
  return tiny_OK;
}
