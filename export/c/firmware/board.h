/* The functions that differ between processors. */
#ifndef LNN_BOARD_H
#define LNN_BOARD_H

#include <stdint.h>

/* Starts the counter that counter_ticks() reads. */
void counter_start(void);

/* The ticks from `since` to now, or TOO_MANY_TICKS; `since` is an earlier counter_now(). */
#define TOO_MANY_TICKS 0xFFFFFFFFu
uint32_t counter_now(void);
uint32_t counter_ticks(uint32_t since);

/* A loop of exactly 2 count instructions, and the few around it; 0 < count. */
void known_loop(int count);

/* A request to the emulator or debugger; see semihosting.h. */
int semihosting_request(int operation, const void *argument);

#endif
