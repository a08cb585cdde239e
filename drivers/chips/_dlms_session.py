"""One conversation with a DLMS/COSEM meter: connect, associate, get, disconnect.

Source: IEC 62056-46 (unbalanced HDLC, window 1) and IEC 62056-53, as in `_hdlc` and `_cosem`.

A damaged answer is asked for once more, as HDLC has it: RR with the number that is still waited
for. Silence is not asked twice: who is not there must not hold the line from its neighbours.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from drivers.chips import _cosem as cosem
from drivers.chips import _hdlc as hdlc
from drivers.chips._hdlc import HdlcFrame
from edge.core import BusError, DataError, Reason, SerialBus

FRAMES_AT_MOST: Final = 64  # of one answer; a meter may also say so often that it is not ready
BLOCKS_AT_MOST: Final = 16


@dataclass(slots=True)
class DlmsSession:
    """One conversation, with its numbers. Nothing in it survives `connect`."""

    bus: SerialBus
    client: bytes
    server: bytes
    timeout_s: float
    _sent: int = field(default=0, init=False)  # V(S), the number of our next frame
    _heard: int = field(default=0, init=False)  # V(R), the number of its next frame
    _room: int = field(default=hdlc.ROOM, init=False)
    _open: bool = field(default=False, init=False)

    async def connect(self, password: str) -> None:
        """SNRM and AARQ. Raises BusError on silence, DataError when it does not let us in."""
        self._sent, self._heard, self._room = 0, 0, hdlc.ROOM
        self._open = False
        snrm = HdlcFrame(self.server, self.client, hdlc.SNRM)
        try:
            frame = await self._send(snrm, _unnumbered)
        except DataError:  # it does no harm twice
            frame = await self._send(snrm, _unnumbered)
        self._open = True
        if frame.control | hdlc.FINAL != hdlc.UA:
            raise DataError("the meter refuses the connection", Reason.BUSY)
        self._room = hdlc.max_information(frame.information)
        cosem.check_aare(await self.ask(cosem.association(password)))

    async def get(self, attribute: cosem.Attribute) -> bytes:
        """The data of one attribute. Raises DataError: ADDRESS when the meter has none such."""
        data, apdu = b"", cosem.get(attribute)
        for block in range(1, BLOCKS_AT_MOST + 1):
            answer = cosem.parse_response(await self.ask(apdu))
            data += answer.data
            if answer.block != block and (block > 1 or answer.block):
                raise DataError(f"block {answer.block} came, {block} was expected")
            if not answer.more:
                return data
            apdu = cosem.get_next(block)
        raise DataError(f"more than {BLOCKS_AT_MOST} blocks for {attribute.obis}")

    async def disconnect(self) -> None:
        """DISC, unless the meter has fallen silent. Its answer does not matter."""
        if self._open:
            self._open = False
            with suppress(BusError, DataError):
                await self._send(HdlcFrame(self.server, self.client, hdlc.DISC), _unnumbered)

    async def ask(self, apdu: bytes) -> bytes:
        """What the meter answers to it, in as many segments as either side needs."""
        left, frame = cosem.ASK + apdu, HdlcFrame(b"", b"", 0)
        while left:
            part, left = left[: self._room], left[self._room :]
            frame = await self._number(part, bool(left))
            if left and not frame.ready:
                raise DataError("the meter sends an answer before the question")
        data = b""
        for _ in range(FRAMES_AT_MOST):
            if frame.numbered:
                data += frame.information
                if not frame.more:
                    break
            frame = await self._send_until_valid(self._ready())
        if not frame.numbered or frame.more:
            raise DataError("an answer that does not end")
        if data[:3] != cosem.RESPONSE:
            raise DataError(f"no answer of DLMS: {data[:64].hex() or 'nothing'}")
        return data[3:]

    async def _number(self, part: bytes, more: bool) -> HdlcFrame:
        """One I frame of ours, and what comes after it."""
        control = self._heard << 5 | hdlc.FINAL | self._sent << 1
        mine = HdlcFrame(self.server, self.client, control, part, more)
        self._sent = (self._sent + 1) % 8
        frame = await self._send_until_valid(mine)
        if frame.expected == mine.sent:  # it has not heard it
            frame = await self._send(mine, self._fits)
        if frame.expected != self._sent:
            raise DataError(f"the meter waits for frame {frame.expected}, not {self._sent}")
        return frame

    def _ready(self) -> HdlcFrame:
        return HdlcFrame(self.server, self.client, self._heard << 5 | hdlc.FINAL | 1)

    def _fits(self, frame: HdlcFrame) -> bool:
        """No late answer to what was asked before."""
        return not frame.numbered or frame.sent == self._heard

    async def _send_until_valid(self, mine: HdlcFrame) -> HdlcFrame:
        """What comes after it; once more when it was damaged."""
        try:
            return await self._send(mine, self._fits)
        except DataError:
            return await self._send(self._ready(), self._fits)

    async def _send(self, mine: HdlcFrame, fits: Callable[[HdlcFrame], bool]) -> HdlcFrame:
        cut = hdlc.answer_framer(self.client, self.server, fits)
        try:
            heard = await self.bus.frame(cut, self.timeout_s, hdlc.encode(mine))
        except BusError:
            self._open = False
            raise
        frame = hdlc.decode(heard)
        if frame.numbered:
            self._heard = (self._heard + 1) % 8
        elif not frame.ready and fits is not _unnumbered:
            self._open = False
            raise BusError("the meter has ended the connection", Reason.BUSY)
        return frame


def _unnumbered(frame: HdlcFrame) -> bool:
    return frame.control & 3 == 3
