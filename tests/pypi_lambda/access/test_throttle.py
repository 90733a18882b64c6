"""Wrong credentials: how many are looked at, and that nobody else suffers from them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypi_lambda.access.throttle import ADDRESS, MAX_COUNTED, MAX_KNOWN, PAIR, USER, Throttle, network_of
from pypi_lambda.http.faults import TooManyRequests
from pypi_lambda.http.model import Response

HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"


class Clock:
    """Monotonic seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(clock=clock)


def tries(throttle: Throttle, count: int, *, username: str = "ada", client: str = HOME) -> int:
    """Fail so many times; return how many of the tries were looked at."""
    return sum(is_free(throttle, username, client) for _ in range(count))


def is_free(throttle: Throttle, username: str, client: str, *, is_remembered: bool = False) -> bool:
    try:
        throttle.begin(username, client, is_remembered=is_remembered)
    except TooManyRequests:
        return False
    return True


def log_in(throttle: Throttle, username: str, client: str) -> None:
    throttle.succeed(username, client, throttle.begin(username, client))


class TestLevels:
    def test_a_user_from_an_address(self, throttle: Throttle, clock: Clock) -> None:
        """One user's wrong passwords from one address are looked at ten times, then once a minute."""
        assert tries(throttle, 20) == PAIR.burst == 10
        clock.seconds += 59.0
        assert tries(throttle, 20) == 0
        clock.seconds += 1.0
        assert tries(throttle, 20) == 1
        clock.seconds += 100_000.0
        assert tries(throttle, 20) == 10

    def test_an_address(self, throttle: Throttle, clock: Clock) -> None:
        """One address has a hundred tries for all users together, then one a second."""
        assert sum(tries(throttle, 1, username=f"user {number}") for number in range(200)) == ADDRESS.burst == 100
        clock.seconds += 5.0
        assert sum(tries(throttle, 1, username=f"user {number}") for number in range(200, 300)) == 5

    def test_a_user(self, throttle: Throttle, clock: Clock) -> None:
        """One user has thirty tries from all addresses together, then one every ten seconds."""
        assert sum(tries(throttle, 1, client=f"192.0.2.{number}") for number in range(100)) == USER.burst == 30
        clock.seconds += 20.0
        assert sum(tries(throttle, 1, client=f"192.0.2.{number}") for number in range(100, 200)) == 2

    def test_no_address(self, throttle: Throttle) -> None:
        """Where addresses are not known, tries count for the user alone: nobody shares the nameless one."""
        assert tries(throttle, 100, client="") == USER.burst
        assert tries(throttle, 1, client="", username="bob") == 1

    def test_the_answer(self, throttle: Throttle, clock: Clock) -> None:
        """A try too many is answered 429, with the whole seconds after which the next one is looked at."""
        tries(throttle, 10)
        clock.seconds += 0.5
        with pytest.raises(TooManyRequests) as refusal:
            throttle.begin("ada", HOME)
        headers = dict(refusal.value.response().headers)
        assert refusal.value.response() == Response(
            status=429,
            headers=(
                ("Content-Type", "text/plain; charset=utf-8"),
                ("X-Content-Type-Options", "nosniff"),
                ("Retry-After", "60"),
            ),
            body=b"too many wrong credentials; wait before the next try\n",
        )
        clock.seconds += int(headers["Retry-After"])
        assert is_free(throttle, "ada", HOME)


class TestOthers:
    def test_what_is_refused_counts_for_nobody(self, throttle: Throttle) -> None:
        """A job that repeats a wrong password for ever leaves its address and its user their tries."""
        assert tries(throttle, 10_000) == 10
        assert is_free(throttle, "bob", HOME)
        assert is_free(throttle, "ada", ELSEWHERE)

    def test_a_known_address(self, throttle: Throttle) -> None:
        """A user who was right from an address gets tries there, whatever others do, even from that address."""
        log_in(throttle, "ada", HOME)
        for number in range(100):
            tries(throttle, 1, client=f"203.0.113.{number}")
            tries(throttle, 2, username=f"user {number}")
        assert not is_free(throttle, "ada", ELSEWHERE)
        assert not is_free(throttle, "user 1", HOME)
        assert is_free(throttle, "ada", HOME)

    def test_remembered_credentials(self, throttle: Throttle) -> None:
        """Credentials that were right before pass at a known address after any number of failures there, and at a
        new one whatever was tried against the user elsewhere."""
        log_in(throttle, "ada", HOME)
        tries(throttle, 100)
        for number in range(100):
            tries(throttle, 1, client=f"203.0.113.{number}")
        assert not is_free(throttle, "ada", HOME)
        assert all(is_free(throttle, "ada", HOME, is_remembered=True) for _ in range(1_000))
        assert is_free(throttle, "ada", ELSEWHERE, is_remembered=True)

    def test_guessing_what_is_remembered(self, throttle: Throttle) -> None:
        """Who guesses at an address of his own is stopped before the right guess too."""
        log_in(throttle, "ada", HOME)
        tries(throttle, 10, client=ELSEWHERE)
        assert not is_free(throttle, "ada", ELSEWHERE, is_remembered=True)

    def test_right_ones_count_for_nothing(self, throttle: Throttle) -> None:
        """However often somebody is right, no try is used up."""
        for number in range(1_000):
            log_in(throttle, "ada", f"192.0.2.{number % 250}")
            log_in(throttle, "ada", "")
        assert throttle.kept[0] == frozenset()
        assert tries(throttle, 20, client=HOME) == 10

    def test_a_right_one_after_wrong_ones(self, throttle: Throttle) -> None:
        """Who is right in the end has not been forgiven the tries before, nor been charged for the last."""
        tries(throttle, 9)
        log_in(throttle, "ada", HOME)
        assert tries(throttle, 5) == 1


class TestMemory:
    def test_bounded(self, throttle: Throttle) -> None:
        """However many users and addresses there are, and however long their names, what is kept is bounded."""
        for number in range(MAX_COUNTED + MAX_KNOWN):
            client = f"192.0.{number // 250}.{number % 250}"
            log_in(throttle, f"user {number}", client)
            tries(throttle, 1, username=f"{number}" * 1_000, client=client)
        counted, known = throttle.kept
        assert (len(counted), len(known)) == (MAX_COUNTED, MAX_KNOWN)
        assert max(len(text) for key in [*counted, *known] for text in key) <= 128

    def test_the_latest_are_kept(self, throttle: Throttle) -> None:
        """What is given up is what was tried longest ago."""
        tries(throttle, 10, username="early")
        for number in range(MAX_COUNTED // 3 + 10):
            tries(throttle, 1, username=f"user {number}", client=f"10.0.{number // 250}.{number % 250}")
        tries(throttle, 10, username="late", client=ELSEWHERE)
        assert is_free(throttle, "early", HOME)
        assert not is_free(throttle, "late", ELSEWHERE)


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("", ""),
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "20010db800010002"),
        ("2001:db8:1:2::1", "20010db800010002"),
        ("fe80::1%eth0", "fe80000000000000"),
        ("::1", "0000000000000000"),
        ("no: address", "no: address"),
        ("a:\0b", "a:\0b"),
    ],
)
def test_networks(client: str, network: str) -> None:
    """An IPv4 address stands for itself, however it is written, and an IPv6 address for the 64 bits of its network."""
    assert network_of(client) == network


@given(st.text(), st.text())
def test_any_text(username: str, client: str) -> None:
    """Whatever a client says, it is counted."""
    throttle = Throttle(clock=lambda: 0.0)
    assert tries(throttle, 50, username=username, client=client) == (10 if client else 30)
