"""Passwords as they come in: which were right, which are being looked at, and what a look counts for.

Knows credentials by their digest alone, and not how one is looked at. A look is slow, clients come with many
connections at once, and each request counts as a try until its password is known to be right. So what comes with
credentials that somebody is looking at already waits for that look, and is no further try: one of the user's, whoever
sends them, and one of each address that does.
"""

from collections import OrderedDict
from collections.abc import Callable
from threading import Event, Lock

from pypi_lambda.access.throttle import Throttle, Try, network_of

MAX_REMEMBERED = (
    1_024  # verified credentials per process, 32 bytes each; more users than that verify again now and then
)

Rights = tuple[bool, tuple[str, ...]]  # the user may upload; to which projects


class _Look:
    """Credentials that are being looked at.

    Attributes:
        tries: what was counted, by address.
        done: set when there are either rights or a fault.
    """

    def __init__(self) -> None:
        self.tries: dict[str, Try] = {}
        self.done = Event()
        self.rights: Rights | None = None
        self.fault: BaseException | None = None


class Logins:
    """The logins of one process.

    Args:
        throttle: what counts the tries.
    """

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle
        self._verified: OrderedDict[bytes, Rights] = OrderedDict()
        self._looks: dict[bytes, _Look] = {}
        self._lock = Lock()  # held between what is known and what is counted: else the right ones could count twice

    @property
    def remembered(self) -> frozenset[bytes]:
        """The digests of credentials that were right."""
        with self._lock:
            return frozenset(self._verified)

    def log_in(self, digest: bytes, username: str, client: str, verify: Callable[[], Rights]) -> Rights:
        """Return what credentials give the right to.

        Args:
            digest: what these credentials, and no others, have.
            client: the address, or "" where it is not known.
            verify: looks at them; called by one request at a time, and for all that come meanwhile.

        Raises:
            TooManyRequests: too much was wrong lately; they were not looked at.
            Exception: whatever `verify` raised.
        """
        with self._lock:
            rights = self._verified.get(digest)
            if rights is not None:
                self._verified.move_to_end(digest)
                self._pass(username, client)
                return rights
            is_first = digest not in self._looks
            look = self._join(digest, username, client)
        if is_first:
            self._carry_out(look, digest, username, verify)
        look.done.wait()  # without a limit: it is computed in this process, and asks nobody
        if look.rights is None:
            raise look.fault or AssertionError("a look ends with rights or with a fault")
        return look.rights

    def count_wrong(self, name: str, client: str) -> None:
        """Count something wrong that is no password, under a name of its own.

        Raises:
            TooManyRequests: it is one too many.
        """
        # Where no address is known, it counts for the name, which then is all that there is to count by.
        self._throttle.begin(name, client, is_remembered=bool(client))

    def _pass(self, username: str, client: str) -> None:
        begun = self._throttle.begin(username, client, is_remembered=True)
        if begun:
            self._throttle.succeed(username, client, begun)

    def _join(self, digest: bytes, username: str, client: str) -> _Look:
        look, network = self._looks.get(digest), network_of(client)
        if look is not None and network in look.tries:
            return look
        begun = self._throttle.begin(username, client, is_remembered=look is not None)
        look = self._looks.setdefault(digest, _Look())  # not before: what is refused must not let others in
        look.tries[network] = begun
        return look

    def _carry_out(self, look: _Look, digest: bytes, username: str, verify: Callable[[], Rights]) -> None:
        try:
            look.rights = verify()
        except BaseException as fault:  # it belongs to all who wait
            look.fault = fault
        with self._lock:
            del self._looks[digest]
            if look.rights is not None:
                self._remember(digest, look.rights)
                for network, begun in look.tries.items():
                    self._throttle.succeed(username, network, begun)
        look.done.set()

    def _remember(self, digest: bytes, rights: Rights) -> None:
        self._verified[digest] = rights
        if len(self._verified) > MAX_REMEMBERED:
            self._verified.popitem(last=False)
