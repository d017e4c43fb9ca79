/* Every kernel, compiled in portable C. */
#define ZKDS_ISA portable
#include "kernels.h"
