"""`python -m edge.identity`."""

import sys

from edge.identity.main import main

sys.exit(main())
