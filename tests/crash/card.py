"""A card whose power can be cut: what was not synced stays, goes, or is torn, by seeded chance.

Files live in a real folder, so that whoever uses them sees what a page cache would show. Beside
it the card knows what is durable: for each file its bytes at the last sync and every later
version of each sector; for the names a journal of the whole tree since the last sync of a folder.
A cut keeps a prefix of that journal (ext4 and f2fs keep their metadata in order) and any mixture
of sectors (they keep the data in no order at all). A new inode that nobody synced may be empty.
"""

import os
import random
import shutil
from pathlib import Path
from typing import Final

from tests.kit.power import PowerCut

SECTOR: Final = 512
FOLDER: Final = 0  # in the place of a file's number


class File:
    """One inode: what is durable, and what may be."""

    def __init__(self, durable: bytes, fd: int) -> None:
        self.durable = bytearray(durable)
        self.versions: dict[int, list[bytes]] = {}  # of sectors, since the last sync
        self.sizes: list[int] = []  # since the last sync
        self.fd = fd  # stays readable when all names are gone

    def written(self, offset: int, size: int) -> None:
        """After a write: remember the sectors as they are now."""
        first, last = offset // SECTOR, (offset + size - 1) // SECTOR
        data = os.pread(self.fd, (last + 1 - first) * SECTOR, first * SECTOR)
        for number in range(first, last + 1):
            place = (number - first) * SECTOR
            self.versions.setdefault(number, []).append(data[place : place + SECTOR])
        self.sized()

    def sized(self) -> None:
        size = os.fstat(self.fd).st_size
        if not self.sizes or self.sizes[-1] != size:
            self.sizes.append(size)

    def settle(self) -> None:
        """A sync: the present is durable."""
        size = os.fstat(self.fd).st_size
        if self.versions or self.sizes:
            del self.durable[min(self.sizes, default=size) :]  # cut off, and zeros if it grew again
            self.durable += bytes(max(0, size - len(self.durable)))
            for number, versions in self.versions.items():
                data = versions[-1]
                self.durable[number * SECTOR : number * SECTOR + len(data)] = data
            del self.durable[size:]
        else:  # written by somebody whose writes are not watched one by one
            self.durable = bytearray(self._now())
        self.versions.clear()
        self.sizes.clear()

    def _now(self) -> bytes:
        return os.pread(self.fd, os.fstat(self.fd).st_size, 0)

    def after_a_cut(self, rng: random.Random) -> bytes:
        now = self._now()
        if now == self.durable and not (self.versions or self.sizes):
            return now
        mood = rng.random()
        if mood < 0.1:
            return bytes(self.durable)
        if mood < 0.2:
            return now
        size = rng.choice([len(self.durable), len(now), *self.sizes])
        most = (max(size, 1) + SECTOR - 1) // SECTOR
        return b"".join(self._sector(number, now, rng) for number in range(most))[:size]

    def _sector(self, number: int, now: bytes, rng: random.Random) -> bytes:
        part = slice(number * SECTOR, (number + 1) * SECTOR)
        old = bytes(self.durable[part])
        beyond = rng.randbytes(SECTOR) if rng.random() < 0.1 else bytes(SECTOR)
        old += beyond[len(old) :]  # what a block held that was never written
        choices: list[bytes] = [old, *self.versions.get(number, ())]
        if now[part] and now[part] != choices[-1][: len(now[part])]:
            choices.append(now[part])
        chosen = rng.randrange(len(choices)) if rng.random() < 0.5 else len(choices) - 1
        data: bytes = choices[chosen]
        if chosen and rng.random() < 0.1:  # torn
            at = rng.randrange(1, SECTOR)
            data = data[:at] + choices[chosen - 1][at:]
        return data + old[len(data) :]


class PowerCutCard:
    """All below `root / "card"`. `lie`: the share of syncs that are only said to be done."""

    def __init__(self, root: Path, rng: random.Random, lie: float = 0.0) -> None:
        self.folder = root / "card"
        self._shadow = root / "shadow"
        self.folder.mkdir(parents=True)
        self._shadow.mkdir()
        self._rng, self._lie = rng, lie
        self._files: dict[int, File] = {}
        self._trees: list[dict[str, int]] = [{}]  # the first one is durable
        self.operations = 0
        self.cut_at = 0  # the operation before which the power goes; 0: never
        self.dead = False
        self._watched = True

    # -- operations, each of which may be the last -------------------------------------------------

    def mine(self, path: str) -> bool:
        return self._watched and (path == str(self.folder) or path.startswith(f"{self.folder}/"))

    def works(self) -> bool:
        """Count an operation; False from the cut on."""
        self.operations += 1
        if self.operations == self.cut_at:
            self.dead = True
        return not self.dead

    def operation(self) -> None:
        if not self.works():
            raise PowerCut

    def arm(self, after: int) -> None:
        """The power goes at so many operations from now on."""
        self.cut_at = self.operations + after

    def disarm(self) -> None:
        """Power again, and as if only the process had died: nothing is lost."""
        self.cut_at, self.dead = 0, False

    def honest(self) -> bool:
        """Whether this sync is done."""
        return self._rng.random() >= self._lie

    def file(self, path: str) -> File:
        self.look()
        return self._files[Path(path).stat().st_ino]

    def sync(self, path: str) -> None:
        """Of a file or of a folder, as its name is said."""
        self.look()
        if not self.honest():
            return
        if Path(path).is_dir():
            del self._trees[:-1]
        else:
            self.file(path).settle()

    def look(self) -> None:
        """What names there are now; a new state of the tree if there is any news."""
        tree: dict[str, int] = {}
        for at, folders, names in os.walk(self.folder):
            tree |= {os.path.relpath(f"{at}/{name}", self.folder): FOLDER for name in folders}
            for name in names:
                number = Path(at, name).stat().st_ino
                if number not in self._files:
                    self._keep(f"{at}/{name}", number, b"")
                tree[os.path.relpath(f"{at}/{name}", self.folder)] = number
        if tree != self._trees[-1]:
            self._trees.append(tree)

    def _keep(self, path: str, number: int, durable: bytes) -> None:
        """A second name, so that no inode and no bytes go while they may come back."""
        os.link(path, f"{self._shadow}/{number}")
        self._files[number] = File(durable, os.open(f"{self._shadow}/{number}", os.O_RDONLY))

    def settle(self) -> None:
        """As `sync` of the whole system."""
        self.look()
        del self._trees[:-1]
        for file in self._files.values():
            file.settle()

    # -- the cut ----------------------------------------------------------------------------------

    def cut(self) -> None:
        """The power goes and comes back: the folder is what the card has kept."""
        self.look()
        tree = self._rng.choice(self._trees)
        kept = {
            path: None if number == FOLDER else self._files[number].after_a_cut(self._rng)
            for path, number in sorted(tree.items())
        }
        self.close()
        self._watched = False
        shutil.rmtree(self.folder)
        shutil.rmtree(self._shadow)
        self.folder.mkdir()
        self._shadow.mkdir()
        self.disarm()
        for path, data in kept.items():
            whole = self.folder / path
            if data is None:
                whole.mkdir(parents=True, exist_ok=True)
            else:
                whole.parent.mkdir(parents=True, exist_ok=True)
                whole.write_bytes(data)
                self._keep(str(whole), whole.stat().st_ino, data)
        self._watched = True
        self.look()
        del self._trees[:-1]

    def close(self) -> None:
        for file in self._files.values():
            os.close(file.fd)
        self._files.clear()
