"""How often credentials may be wrong: for one user from one address, for one address, and for one user.

In this process alone, in bounded memory. Meant to keep guessing slow and the slow hash from being a lever on the
processor; not to lock anybody out, so what one client does wrong stays its own matter for as long as possible:

- a try counts for all levels or, when one of them is used up, for none: a client that repeats one wrong password is
  stopped by the first level before it has used up the others;
- credentials that were right from an address before pass it whatever happens, and the same ones from a new address pass
  whatever others try against that user.

An address may stand for many clients: a proxy, an office, an edge of a content delivery network.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from threading import Lock

from indexer.value import value
from pypi_lambda.http.faults import TooManyRequests

MAX_COUNTED = 4_096  # what was tried lately, some 200 bytes each
MAX_KNOWN = 4_096  # users with the addresses from which they were right, some 300 bytes each
MAX_NAME_LENGTH = 128  # of usernames and addresses as they are counted; neither is longer where it is one
MESSAGE = "too many wrong credentials; wait before the next try"

Key = tuple[str, str, str]


@value
class Level:
    """A limit: `burst` tries at once, and one more every `seconds`."""

    name: str
    burst: int
    seconds: float

    def key(self, who: str, network: str) -> Key:
        """Return what tries are counted under."""
        return self.name, "" if self is ADDRESS else who, "" if self is USER else network


# Somebody who looks for the right password, or a tool that asks for ten projects at once, and then one a minute: 1,440
# guesses a day.
PAIR = Level(name="user and address", burst=10, seconds=60.0)
# A hundred colleagues behind one proxy, each with a wrong password in a job that repeats, use up what comes back. The
# slow hash takes 0.1 to 0.2 s, so that an address gets at most a fifth of a processor.
ADDRESS = Level(name="address", burst=100, seconds=1.0)
# Against one user from everywhere: 8,640 guesses a day.
USER = Level(name="user", burst=30, seconds=10.0)

# What counts, by whether this user was right from this address before, and whether these very credentials were right.
# Remembered ones count at a new address, or it could guess without limit for the one that passes.
_LEVELS: Mapping[tuple[bool, bool], tuple[Level, ...]] = {
    (True, True): (),
    (True, False): (PAIR,),
    (False, True): (PAIR, ADDRESS),
    (False, False): (PAIR, ADDRESS, USER),
}

Try = tuple[tuple[Level, Key], ...]
"""What a try counts for."""


class Throttle:
    """Counts the tries of one process.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._full_at: OrderedDict[Key, float] = OrderedDict()  # when all tries will have come back
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._lock = Lock()

    @property
    def kept(self) -> tuple[frozenset[Key], frozenset[tuple[str, str]]]:
        """All that is known: what was tried lately, and which users were right from where."""
        with self._lock:
            return frozenset(self._full_at), frozenset(self._known)

    def begin(self, username: str, client: str, *, is_remembered: bool = False) -> Try:
        """Count a try before it is known to be right; `succeed` takes it back.

        Before, because of many tries at once none would have failed yet.

        Args:
            client: the address; "" where it is not known: then it counts for the user alone.
            is_remembered: these credentials were right before.

        Raises:
            TooManyRequests: it is one too many; nothing is counted.
        """
        who, network = username[:MAX_NAME_LENGTH], network_of(client)
        levels = _LEVELS[(who, network) in self._known, is_remembered]
        begun = tuple((level, level.key(who, network)) for level in levels if network or level is USER)
        if begun:
            self._count(begun)
        return begun

    def _count(self, begun: Try) -> None:
        now = self._clock()
        with self._lock:
            full_at = {key: max(now, self._full_at.get(key, now)) + level.seconds for level, key in begun}
            waits = [full_at[key] - now - level.burst * level.seconds for level, key in begun]
            if max(waits) > 0:
                raise TooManyRequests(MESSAGE, retry_after_seconds=int(max(waits)) + 1)
            for key, moment in full_at.items():
                self._full_at[key] = moment
                self._full_at.move_to_end(key)
            while len(self._full_at) > MAX_COUNTED:
                self._full_at.popitem(last=False)

    def succeed(self, username: str, client: str, begun: Try) -> None:
        """Take back what was counted for a try that turned out to be right, and know its address from now on."""
        now = self._clock()
        with self._lock:
            for level, key in begun:
                moment = self._full_at.pop(key, now) - level.seconds
                if moment > now:
                    self._full_at[key] = moment
            if network := network_of(client):
                self._known[username[:MAX_NAME_LENGTH], network] = None
                while len(self._known) > MAX_KNOWN:
                    self._known.popitem(last=False)


def network_of(client: str) -> str:
    """Return what stands for an address: itself, or its first 64 bits for IPv6, where one client has all the others."""
    if ":" not in client:
        return client[:MAX_NAME_LENGTH]
    import socket

    try:
        packed = socket.inet_pton(socket.AF_INET6, client.partition("%")[0])
    except (OSError, ValueError):
        return client[:MAX_NAME_LENGTH]
    if packed.startswith(b"\0" * 10 + b"\xff\xff"):
        return socket.inet_ntop(socket.AF_INET, packed[12:])  # IPv4, as a server that listens on both has it
    return packed[:8].hex()
