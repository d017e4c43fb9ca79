/* Byte strings times a matrix over F: the Ajtai commitments of records, and sums of committed bytes.
 * bytes: (count, length), row-major, 1 <= length <= 2^19. matrix: (length, width), row-major, canonical, width >= 1.
 * out = bytes * matrix mod p: (count, width), canonical. */
enum { ZKDS_AJTAI_MAX_LOG_LENGTH = 19 };
int zkds_ajtai_multiply(const uint8_t *bytes, size_t count, size_t length, const uint64_t *matrix, size_t width, uint64_t *out);
