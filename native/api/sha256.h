/* SHA-256: proof of work and Merkle trees. */

/* The smallest nonce with `bits` (at most 32) leading zero bits in SHA-256(seed | nonce), nonce as 8 bytes, little-endian. */
int zkds_grind(const uint8_t *seed, int bits, uint64_t *nonce);

/* nodes: 2 * leaves digests of 32 bytes; node 1 is the root, i has the children 2 i and 2 i + 1, the leaves are the second
 * half. Fills the first half (node 0 with zeros): SHA-256(0x01 | left | right). leaves: a power of two. */
int zkds_merkle(uint8_t *nodes, size_t leaves);
