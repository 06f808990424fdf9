/* Start-up, instruction counter and semihosting of Arm Cortex-M. */
#include "board.h"
#include "start.h"

#define SYSTICK_CONTROL (*(volatile uint32_t *)0xE000E010)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xE000E014)
#define SYSTICK_VALUE (*(volatile uint32_t *)0xE000E018)
#define COPROCESSOR_ACCESS (*(volatile uint32_t *)0xE000ED88)

void reset_handler(void);

void reset_handler(void) {
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
  COPROCESSOR_ACCESS |= 0xFu << 20; /* coprocessors 10 and 11: floating point and vectors */
  __asm volatile("dsb\n isb" ::: "memory");
#endif
  start_program();
}

static void fault_handler(void) { report_fault(); }

typedef struct {
  const uint32_t *stack;
  void (*handlers[15])(void);
} vector_table;

__attribute__((section(".start"), used)) static const vector_table vectors = {
    stack_top,
    {reset_handler, fault_handler, fault_handler, fault_handler, fault_handler, fault_handler,
     fault_handler, fault_handler, fault_handler, fault_handler, fault_handler, fault_handler,
     fault_handler, fault_handler, fault_handler}};

/* SysTick counts down from 2^24 - 1, at the clock of the processor, without an interrupt. */
void counter_start(void) {
  SYSTICK_RELOAD = 0xFFFFFF;
  SYSTICK_VALUE = 0;
  SYSTICK_CONTROL = 5;
}

/* Reading the control register clears its flag, which the counter sets when it starts again. */
uint32_t counter_now(void) {
  const uint32_t now = SYSTICK_VALUE;
  (void)SYSTICK_CONTROL;
  return now;
}

uint32_t counter_ticks(uint32_t since) {
  const uint32_t started_again = SYSTICK_CONTROL & 0x10000u, now = SYSTICK_VALUE;
  if (started_again && now <= since) return TOO_MANY_TICKS;
  return (since - now) & 0xFFFFFFu;
}

void known_loop(int count) {
  __asm volatile(".syntax unified\n1: subs %0, %0, #1\n bne 1b\n" : "+l"(count)::"cc");
}

__attribute__((naked)) int semihosting_request(int operation __attribute__((unused)),
                                               const void *argument __attribute__((unused))) {
  __asm volatile("bkpt 0xAB\n bx lr\n");
}
