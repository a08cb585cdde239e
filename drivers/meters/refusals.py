"""What a device was found to refuse, and the requests that are left for it."""

from dataclasses import dataclass, field

from drivers.meters.registerblock import Hole, RegisterBlock, plan_requests
from drivers.meters.registermodel import RegisterMap
from edge.core import Reason


@dataclass(slots=True)
class KnownRefusals:
    """Nothing, at first: every register is there, and so are those between them.

    What is planned is always the best that is not yet refuted. So each reading that meets a refusal
    learns something from it, and when none is met any more, nothing cheaper is left to be tried.
    """

    map: RegisterMap
    refused: dict[int, Reason] = field(default_factory=dict)  # places that alone were refused
    holes: set[Hole] = field(default_factory=set)
    refusals: int = 0
    _fits: int = 0  # registers in the longest answer
    _most: int = field(init=False)  # more were refused
    _limit: int = field(init=False)  # what is planned with, between these two
    _new: bool = False

    def __post_init__(self) -> None:
        self._most = self._limit = self.map.max_registers

    def plan(self) -> list[RegisterBlock]:
        """The cheapest requests, as far as is known."""
        return plan_requests(self.map, self._limit, self.holes, self.refused)

    def answered(self, block: RegisterBlock) -> None:
        """It gave so many registers."""
        if block.count > self._fits:
            self._fits = block.count
            if self._fits > self._most:  # it was not the length that was refused before
                self._most = self.map.max_registers

    def gone(self, block: RegisterBlock, reason: Reason) -> None:
        """It refuses this point for itself."""
        self.refused[block.places[0]] = reason
        self._new = True

    def limited(self, block: RegisterBlock) -> None:
        """It says that this is too long; whoever has given as much means something else by it."""
        if block.count > self._fits:
            self._most = min(self._most, block.count - 1)

    def bare(self, block: RegisterBlock, too_long: bool) -> None:
        """It refuses this with its padding: too long, or registers that it does not have."""
        if too_long and block.count > self._fits:
            self._most = min(self._most, block.count - 1)
        elif block.padding is not None:
            self.holes.add(block.padding)
            self._new = True

    def parted(self, left: RegisterBlock, right: RegisterBlock, too_long: bool) -> None:
        """It refused both in one request, and answers each of them."""
        if too_long and right.end - left.address > self._fits:
            return
        self.holes.add((left.function, left.end, right.address))
        self._new = True

    def settle(self, sound: bool) -> bool:
        """After a reading, a `sound` one if all was answered: whether to plan anew.

        The limit is looked for by halves: down when a length was refused, up while none is.
        """
        if self._limit > self._most:
            self._limit = (self._fits + self._most + 1) // 2
        elif sound and self._limit < self._most:
            self._limit = (self._limit + self._most + 1) // 2
        elif not self._new:
            return False
        self._new = False
        return True
