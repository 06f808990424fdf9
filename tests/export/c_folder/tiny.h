/* A leaky integrator with 4 states, written by hand in the form of an exported model. */
#ifndef TINY_H
#define TINY_H

#include <stdint.h>

#define tiny_INPUT_SIZE 2
#define tiny_OUTPUT_SIZE 2

typedef struct {
  int16_t rnn_state_0[4];
} tiny_state;

enum { tiny_OK = 0, tiny_NOT_FINITE = 1 };

void tiny_reset(tiny_state *state);
int tiny_step(tiny_state *state, const float *in, float *out);
void tiny_step_raw(tiny_state *state, const int16_t *in, int16_t *out);

#endif
