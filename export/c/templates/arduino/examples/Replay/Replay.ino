// Replays recorded inputs, and compares the hash of all states and outputs.
#include <@{prefix}.h>

#include "replay.h"

void setup() {
  Serial.begin(115200);
  while (!Serial) {
  }
  replay_reset();
  for (int step = 0; step < REPLAY_STEPS; ++step) replay_step(step);
  Serial.print(replay_name);
  Serial.print(": hash 0x");
  Serial.print((unsigned long)replay_hash(), HEX);
  Serial.print(", expected 0x");
  Serial.print((unsigned long)replay_expected_hash, HEX);
  Serial.println(replay_hash() == replay_expected_hash ? ": equal" : ": different");
}

void loop() {}
