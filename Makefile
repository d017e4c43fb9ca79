PYTHON ?= python3

.PHONY: native
native: ## rebuild the C extension in place, warnings as errors
	ZKDS_CFLAGS="-Wall -Wextra -Werror $(ZKDS_CFLAGS)" $(PYTHON) setup.py -q build_ext --inplace
