/* Return codes, instruction set and threads. Plain declarations: read by the C compiler and by cffi. */
enum { ZKDS_OK = 0, ZKDS_OUT_OF_MEMORY = 1, ZKDS_BAD_ARGUMENT = 2, ZKDS_UNSUPPORTED = 3 };
enum { ZKDS_PORTABLE = 0, ZKDS_AVX2 = 1, ZKDS_AVX512 = 2, ZKDS_AMX = 3 };

/* The instruction set in use, and the best one that this processor has. */
int zkds_isa(void);
int zkds_best_isa(void);
/* ZKDS_UNSUPPORTED when the processor lacks it. */
int zkds_select_isa(int isa);

/* Threads that a kernel may use (the caller is one of them): 1 to 256. */
int zkds_threads(void);
int zkds_set_threads(int threads);
