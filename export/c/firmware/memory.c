/* The memory functions to which compilers refer, so that no C library is needed. */
#include <stdint.h>
#include <string.h>

/* GCC must not turn the loop of memcpy into a call of memcpy. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

/* By words where both addresses allow it. */
void *memcpy(void *restrict to, const void *restrict from, size_t count) {
  unsigned char *destination = to;
  const unsigned char *source = from;
  if ((((uintptr_t)destination | (uintptr_t)source) & 3u) == 0) {
    for (; count >= 4; count -= 4, destination += 4, source += 4)
      *(uint32_t *)destination = *(const uint32_t *)source;
  }
  while (count--) *destination++ = *source++;
  return to;
}

void *memmove(void *to, const void *from, size_t count) {
  unsigned char *destination = to;
  const unsigned char *source = from;
  if (destination <= source) {
    while (count--) *destination++ = *source++;
  } else {
    while (count--) destination[count] = source[count];
  }
  return to;
}

void *memset(void *to, int value, size_t count) {
  unsigned char *destination = to;
  while (count--) *destination++ = (unsigned char)value;
  return to;
}
