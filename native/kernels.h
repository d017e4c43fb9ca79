/* Every family of kernels; included once per instruction set by isa_*.c. */
#include "field61.h"

#include "field_ops.h"
#include "field_kernels.h"

#include "multilinear_ops.h"
#include "multilinear_kernels.h"

#include "cells_ops.h"
#include "cells_kernels.h"
#include "columns_ops.h"
#include "columns_kernels.h"
#include "entrywise_ops.h"
#include "entrywise_kernels.h"
#include "sumcheck_ops.h"
#include "sumcheck_kernels.h"
#include "ntt_ops.h"
#include "transpose.h"
#include "ntt_kernels.h"
#include "fraction_ops.h"
#include "fraction_kernels.h"

#include "sha256_ops.h"
#include "vec32.h"
#include "sha256_kernels.h"

#include "codeword_ops.h"
#include "codeword_kernels.h"

#include "ajtai_ops.h"
#include "ajtai_kernels.h"

#include "exact_ops.h"
#include "exact_kernels.h"

#include "squares_ops.h"
#include "squares_kernels.h"

#include "wide_squares_ops.h"
#include "wide_squares_kernels.h"
