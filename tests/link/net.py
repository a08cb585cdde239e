"""/sys/class/net in a folder: interfaces, their counters, their carrier."""

from pathlib import Path


class Net:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def interface(
        self, name: str, rx: int = 0, tx: int = 0, index: int = 3, carrier: str = "1"
    ) -> None:
        """`carrier` "" is one that is administratively down, where the kernel gives an error."""
        place = self.folder / name
        (place / "statistics").mkdir(parents=True, exist_ok=True)
        (place / "ifindex").write_text(f"{index}\n")
        (place / "statistics/rx_bytes").write_text(f"{rx}\n")
        (place / "statistics/tx_bytes").write_text(f"{tx}\n")
        (place / "carrier").write_text(f"{carrier}\n" if carrier else "")
