/* FNV-1a */
static void hash_integers(const int16_t *values, int count) {
  for (int i = 0; i < count; ++i) hash = (hash ^ (uint16_t)values[i]) * 16777619u;
}
