/* Replays recorded inputs, and prints the hash of all states and outputs. */
#include "replay.h"

#ifdef REPLAY_SEMIHOSTING
#include "semihosting.h"
static void print(const char *text) { print_text(text); }
#else
#include <stdio.h>
static void print(const char *text) { (void)fputs(text, stdout); }
#endif

int main(void);

static void print_hash(uint32_t hash) {
  char text[] = "0x00000000";
  for (int i = 9; i > 1; --i) {
    text[i] = "0123456789abcdef"[hash & 15u];
    hash >>= 4;
  }
  print(text);
}

int main(void) {
  int is_equal;
  replay_reset();
  for (int step = 0; step < REPLAY_STEPS; ++step) replay_step(step);
  is_equal = replay_hash() == replay_expected_hash;
  print(replay_name);
  print(": hash ");
  print_hash(replay_hash());
  print(", expected ");
  print_hash(replay_expected_hash);
  print(is_equal ? ": equal\n" : ": different\n");
  return is_equal ? 0 : 1;
}
