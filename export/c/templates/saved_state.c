static uint8_t *put_word(uint8_t *bytes, uint32_t word) {
  for (int i = 0; i < 4; ++i) bytes[i] = (uint8_t)(word >> (8 * i));
  return bytes + 4;
}

static uint32_t get_word(const uint8_t *bytes) {
  uint32_t word = 0;
  for (int i = 0; i < 4; ++i) word |= (uint32_t)bytes[i] << (8 * i);
  return word;
}

static uint8_t *put_floats(uint8_t *bytes, const float *values, int count) {
  for (int i = 0; i < count; ++i) bytes = put_word(bytes, (uint32_t)lnn_bits_of(values[i]));
  return bytes;
}

static const uint8_t *get_floats(const uint8_t *bytes, float *values, int count) {
  for (int i = 0; i < count; ++i) values[i] = lnn_float_of((int32_t)get_word(bytes + 4 * i));
  return bytes + 4 * count;
}

/* CRC-32 */
static uint32_t checksum(const uint8_t *bytes, int count) {
  uint32_t rest = 0xFFFFFFFFu;
  for (int i = 0; i < count; ++i) {
    rest ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) rest = (rest >> 1) ^ (0xEDB88320u & (0u - (rest & 1u)));
  }
  return ~rest;
}

static const uint32_t saved_magic = 0x434E4E4Cu, saved_version = 1u, saved_digest = @{digest}u;

void @{prefix}_save(const @{prefix}_state *state, uint8_t *bytes) {
  uint8_t *const first = bytes;
  bytes = put_word(bytes, saved_magic);
  bytes = put_word(bytes, saved_version);
  bytes = put_word(bytes, saved_digest);
@{save}
  (void)put_word(bytes, checksum(first, @{upper}_SAVED_BYTES - 4));
}

int @{prefix}_restore(@{prefix}_state *state, const uint8_t *bytes) {
  const int end = @{upper}_SAVED_BYTES - 4;
  if (get_word(bytes) != saved_magic || get_word(bytes + 4) != saved_version ||
      get_word(bytes + 8) != saved_digest || get_word(bytes + end) != checksum(bytes, end)) {
    return @{upper}_DAMAGED;
  }
  bytes += 12;
@{restore}
  (void)bytes;
  return @{upper}_OK;
}
