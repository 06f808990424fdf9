/* Start-up, instruction counter and semihosting of RISC-V. */
#include "board.h"
#include "start.h"

/* Assemblers count the registers of control and status as an extension. */
__asm(".option arch, +zicsr");

void reset_handler(void);
void start_c(void);
void trap_handler(void);

void start_c(void) { start_program(); }

__attribute__((aligned(4))) void trap_handler(void) { report_fault(); }

__attribute__((naked, section(".start"))) void reset_handler(void) {
  __asm volatile("la sp, stack_top\n la t0, trap_handler\n csrw mtvec, t0\n j start_c\n");
}

void counter_start(void) {}

uint32_t counter_now(void) {
  uint32_t now;
  __asm volatile("csrr %0, minstret" : "=r"(now)::"memory");
  return now;
}

uint32_t counter_ticks(uint32_t since) { return counter_now() - since; }

void known_loop(int count) {
  __asm volatile("1: addi %0, %0, -1\n bnez %0, 1b\n" : "+r"(count));
}

/* The three instructions that mark a request have 32 bits each and lie on one page. */
__attribute__((naked, aligned(16))) int semihosting_request(
    int operation __attribute__((unused)), const void *argument __attribute__((unused))) {
  __asm volatile(
      ".option push\n .option norvc\n slli zero, zero, 0x1f\n ebreak\n srai zero, zero, 7\n"
      " ret\n .option pop\n");
}
