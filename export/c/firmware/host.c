/* Replays recorded inputs on this machine: prints the hash, or runs some steps without it. */
#include <stdio.h>
#include <stdlib.h>

#include "replay.h"

int main(int count, char **arguments) {
  replay_reset();
  if (count > 1) {
    const int steps = atoi(arguments[1]);
    for (int step = 0; step < steps; ++step) replay_run(step);
    return 0;
  }
  for (int step = 0; step < REPLAY_STEPS; ++step) replay_step(step);
  printf("lnn steps=%d hash=%lu expected=%lu\n", (int)REPLAY_STEPS, (unsigned long)replay_hash(),
         (unsigned long)replay_expected_hash);
  return 0;
}
