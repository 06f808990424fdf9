/* For compilers that come without a C library. */
#include <stdint-gcc.h>
