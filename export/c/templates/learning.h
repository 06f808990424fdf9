
/* Learns from the true output of @{delay}. Call it before the next step; values that are not
 * finite are unknown. The outputs of later steps are corrected by what was learned. */
void @{prefix}_adapt(@{targets});

#define @{upper}_SAVED_BYTES @{bytes}

/* Writes what was learned to @{upper}_SAVED_BYTES bytes, with a version and a checksum. */
void @{prefix}_save(const @{prefix}_state *state, uint8_t *bytes);

/* Reads what was learned; returns @{upper}_OK, or @{upper}_DAMAGED and changes nothing. */
int @{prefix}_restore(@{prefix}_state *state, const uint8_t *bytes);
