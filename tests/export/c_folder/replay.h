/* Replays inputs; the same for every model. */
#ifndef REPLAY_H
#define REPLAY_H

#include <stdint.h>

enum { REPLAY_STEPS = 1000 };

extern const uint32_t replay_expected_hash;
extern const uint32_t replay_state_bytes;
extern const char *replay_name;

void replay_reset(void);
void replay_step(int step);
void replay_run(int step);
uint32_t replay_hash(void);

#endif
