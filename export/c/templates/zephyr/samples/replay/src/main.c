/* Replays recorded inputs, and compares the hash of all states and outputs. */
#include <zephyr/sys/printk.h>

#include "replay.h"

int main(void) {
  replay_reset();
  for (int step = 0; step < REPLAY_STEPS; ++step) replay_step(step);
  printk("%s: hash 0x%08lx, expected 0x%08lx: %s\n", replay_name, (unsigned long)replay_hash(),
         (unsigned long)replay_expected_hash,
         replay_hash() == replay_expected_hash ? "equal" : "different");
  return 0;
}
