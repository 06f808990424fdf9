/* The start of a firmware in C: variables get their initial values, then main() runs. */
#ifndef LNN_START_H
#define LNN_START_H

#include <stdint.h>

#include "semihosting.h"

extern uint32_t data_load[], data_start[], data_end[], bss_start[], bss_end[], stack_top[];

int main(void);

static inline void start_program(void) {
  const uint32_t *from = data_load;
  for (volatile uint32_t *to = data_start; to < data_end; ++to) *to = *from++;
  for (volatile uint32_t *to = bss_start; to < bss_end; ++to) *to = 0;
  end_program(main());
}

static inline void report_fault(void) {
  print_text("fault\n");
  end_program(1);
}

#endif
