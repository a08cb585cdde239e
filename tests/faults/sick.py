"""`kerbstone` that falls ill when a file says so: $SICK is the folder.

`block`: the main loop hangs in a system call, as in a driver's bug that blocks it; nothing else is
stopped. `leak`: it takes 4 MiB more at each turn and keeps them. All else is as it is.
"""

import os
import sys
from pathlib import Path
from typing import Final

from edge.cli.main import main
from edge.gateway.mainloop import MainLoop

LEAK: Final = 4 << 20

if __name__ == "__main__":
    folder, kept = Path(os.environ["SICK"]), list[bytearray]()
    log_troubles = MainLoop._log_troubles

    def _log(loop: MainLoop) -> None:
        if (folder / "block").exists():
            (folder / "blocked").touch()
            os.close(os.open(folder / "never", os.O_RDONLY))
        if (folder / "leak").exists():
            kept.append(bytearray(os.urandom(LEAK)))  # written to, or it takes no memory
        log_troubles(loop)

    MainLoop._log_troubles = _log  # type: ignore[method-assign,assignment]
    sys.exit(main())
