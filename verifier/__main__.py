"""python verifier proof.bin ..., or as one file: make verifier"""

import sys

from zkds_verify.command import main

sys.exit(main(sys.argv[1:]))
