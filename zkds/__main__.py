"""`python -m zkds`"""

import sys

from zkds.cli import main

sys.exit(main())
