/* Replays recorded inputs, and prints the hash, the instructions of a step and the stack. */
#include <stdint.h>

#include "board.h"
#include "replay.h"
#include "semihosting.h"

/* The counter makes COUNTER_TICKS ticks in COUNTER_INSTRUCTIONS instructions. */
#ifndef COUNTER_TICKS
#define COUNTER_TICKS 1
#define COUNTER_INSTRUCTIONS 1
#endif

#define PAINT 0xA5A5A5A5u
#define STACK_STEPS 50

extern uint32_t bss_end[];
register const uint32_t *stack_pointer __asm("sp");

static uint32_t ticks_of(void (*function)(int), int argument) {
  const uint32_t start = counter_now();
  function(argument);
  return counter_ticks(start);
}

__attribute__((noinline)) static void nothing(int argument) {
  __asm volatile("" ::"r"(argument) : "memory");
}

/* The instructions of a call, without those of a call of an empty function; or TOO_MANY_TICKS. */
static uint32_t instructions_of(void (*function)(int), int argument) {
  const uint32_t empty = ticks_of(nothing, argument), all = ticks_of(function, argument);
  if (all == TOO_MANY_TICKS) return all;
  const uint64_t ticks = all - empty;
  return (uint32_t)((ticks * COUNTER_INSTRUCTIONS + COUNTER_TICKS / 2) / COUNTER_TICKS);
}

/* The bytes of stack that calls of a function use, from the stack pointer of its caller. */
__attribute__((noinline)) static uint32_t stack_of(void (*function)(int), int calls) {
  const uint32_t *const top = stack_pointer;
  for (volatile uint32_t *word = bss_end; word < top; ++word) *word = PAINT;
  for (int call = 0; call < calls; ++call) function(call);
  const volatile uint32_t *lowest = bss_end;
  while (lowest < top && *lowest == PAINT) ++lowest;
  return (uint32_t)(top - lowest) * 4u;
}

static void print_number(const char *name, uint32_t number) {
  char digits[11], *digit = digits + sizeof digits - 1;
  *digit = '\0';
  do {
    *--digit = (char)('0' + number % 10u);
    number /= 10u;
  } while (number);
  print_text(name);
  print_text(digit);
}

int main(void) {
  uint32_t most = 0, sum_low = 0, sum_high = 0;
  counter_start();
  const uint32_t short_loop = instructions_of(known_loop, 1000);
  const uint32_t long_loop = instructions_of(known_loop, 21000);

  replay_reset();
  for (int step = 0; step < REPLAY_STEPS; ++step) {
    const uint32_t count = instructions_of(replay_run, step);
    if (count > most) most = count;
    sum_low += count % 1000u;
    sum_high += count / 1000u;
  }

  replay_reset();
  const int stack_steps = REPLAY_STEPS < STACK_STEPS ? REPLAY_STEPS : STACK_STEPS;
  const uint32_t stack = stack_of(replay_run, stack_steps);

  replay_reset();
  for (int step = 0; step < REPLAY_STEPS; ++step) replay_step(step);

  print_number("lnn steps=", REPLAY_STEPS);
  print_number(" hash=", replay_hash());
  print_number(" expected=", replay_expected_hash);
  print_number(" thousands=", sum_high);
  print_number(" rest=", sum_low);
  print_number(" most=", most);
  print_number(" stack=", stack);
  print_number(" loop=", long_loop - short_loop);
  print_text("\n");
  return 0;
}
