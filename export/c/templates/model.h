/*
@{description}
 */
#ifndef @{upper}_H
#define @{upper}_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

@{sizes}

/* What the model remembers between steps. */
typedef struct {
@{members}
} @{prefix}_state;

enum {
@{statuses}
};

/* Sets the initial state. Call it before the first step, and before each new sequence. */
void @{prefix}_reset(@{prefix}_state *state);

/* One step on real values; returns one of the values above. */
@{step}
@{raw}@{learning}
#ifdef __cplusplus
}
#endif

#endif
