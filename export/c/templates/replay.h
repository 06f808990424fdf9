/* Replays recorded inputs of the model, to compare a device with the computer that exported it. */
#ifndef REPLAY_H
#define REPLAY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { REPLAY_STEPS = @{steps} };

/* Name of the model, bytes of its state, and the hash of all steps on the exporting computer. */
extern const char *const replay_name;
extern const uint32_t replay_state_bytes;
extern const uint32_t replay_expected_hash;

/* Sets the initial state and an empty hash. */
void replay_reset(void);

/* Runs one step, from 0 to REPLAY_STEPS - 1, and hashes the states and outputs. */
void replay_step(int step);

/* Runs one step without the hash. */
void replay_run(int step);

/* The hash of the steps since replay_reset. */
uint32_t replay_hash(void);

#ifdef __cplusplus
}
#endif

#endif
