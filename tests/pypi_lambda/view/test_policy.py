"""What may enter, as it was set."""

from datetime import timedelta
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.names import ProjectName
from pypi_lambda.app.service import policy_of
from pypi_lambda.settings import Settings, read_settings
from pypi_lambda.view.policy import Policy

WEEK = timedelta(days=7)
names = st.from_regex(r"[ab]{1,3}(-[ab]{1,2}){0,2}", fullmatch=True).map(ProjectName)
patterns = st.lists(st.from_regex(r"[ab*]{1,3}(-[ab*]{1,2})?", fullmatch=True), max_size=3).map(tuple)


@given(names, patterns, patterns)
def test_who_may_enter(name: ProjectName, allow: tuple[str, ...], deny: tuple[str, ...]) -> None:
    """A name may enter when nothing denies it and, where there is an allow list, something there covers it."""
    allowed = not allow or any(fnmatchcase(name, pattern) for pattern in allow)
    denied = any(fnmatchcase(name, pattern) for pattern in deny)
    policy = Policy(allow=allow, deny=deny)
    assert (policy.is_allowed(name), policy.is_denied(name)) == (allowed, denied)
    assert policy.lists(name) == (allowed and not denied)


@given(names, patterns)
def test_who_need_not_be_old(name: ProjectName, exempt: tuple[str, ...]) -> None:
    """A project's files must have the age, unless a pattern exempts it."""
    is_exempt = any(fnmatchcase(name, pattern) for pattern in exempt)
    assert Policy(min_age=WEEK, min_age_exempt=exempt).min_age_of(name) == (timedelta(0) if is_exempt else WEEK)


@given(patterns, patterns, patterns, patterns)
def test_the_tag_tells_lists_apart(
    allow: tuple[str, ...], deny: tuple[str, ...], allow_2: tuple[str, ...], deny_2: tuple[str, ...]
) -> None:
    """Policies have the same tag when their lists are the same, in whatever order, and no tag without any."""
    one, other = Policy(allow=allow, deny=deny), Policy(allow=allow_2, deny=deny_2)
    same = (sorted(allow), sorted(deny)) == (sorted(allow_2), sorted(deny_2))
    assert (one.names_tag == other.names_tag) == same
    assert (one.names_tag == "") == (not allow and not deny)


def test_of_the_settings() -> None:
    """The settings make the policy that they say."""
    settings = read_settings(
        {
            "BUCKET": "b",
            "UPSTREAM_MIN_AGE_DAYS": "0.5",
            "UPSTREAM_MIN_AGE_EXEMPT": "Acme.*",
            "UPSTREAM_ALLOW": "requests, acme-* numpy",
            "UPSTREAM_DENY": "evil-*\n*-nightly",
            "UPSTREAM_ASK_UNKNOWN": "1",
        }
    )
    assert policy_of(settings) == Policy(
        allow=("acme-*", "numpy", "requests"),
        deny=("*-nightly", "evil-*"),
        ask_unknown=True,
        min_age=timedelta(hours=12),
        min_age_exempt=("acme-*",),
    )


@pytest.mark.parametrize("exempt", [(), ("acme-*",)])
def test_none(exempt: tuple[str, ...]) -> None:
    """Settings that keep nothing out make no policy, so that nobody asks for one."""
    assert policy_of(Settings(bucket="b", upstream_min_age_exempt=exempt)) is None
