/* FNV-1a of the bits of floats. */
static void hash_floats(const float *values, int count) {
  for (int i = 0; i < count; ++i) {
    union {
      float real;
      uint32_t bits;
    } word;
    word.real = values[i];
    hash = (hash ^ word.bits) * 16777619u;
  }
}
