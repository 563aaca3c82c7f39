from __future__ import annotations

import pytest

from migctl.flags.bucketing import MAX_WEIGHTS, hash_of, hasher, split

# Of the CBOR of [flag key, targeting key], as flagd's Python core 2.0.0 has them. They never change: users would move.
GOLDEN = {
    ("transport", "user-1"): 2973331533,
    ("transport", "user-2"): 3858719392,
    ("transport", "a"): 3911325574,
    ("transport", "ü" * 12): 575992433,
    ("transport", "x" * 23): 39978961,
    ("transport", "x" * 24): 3138389197,
    ("transport", "x" * 300): 3081811532,
    ("new-welcome-banner", "user-1"): 3343638718,
}


@pytest.mark.parametrize(("flag", "key"), GOLDEN)
def test_a_key_has_the_hash_that_it_always_had(flag: str, key: str) -> None:
    assert hasher(flag)(key) == GOLDEN[flag, key]


def test_a_pair_is_hashed_as_any_value_is() -> None:
    for flag, key in GOLDEN:
        assert hash_of([flag, key]) == hasher(flag)(key)


def test_a_lone_surrogate_has_no_hash() -> None:
    assert hash_of("\ud800") is None
    assert hash_of(["\ud800"]) is None


def test_whole_floats_fall_where_integers_do() -> None:
    assert hash_of([1.0, {"a": 2.0}]) == hash_of([1, {"a": 2}])
    assert hash_of(1e300) is not None


def test_parts_are_as_large_as_their_weights() -> None:
    hash_key = hasher("transport")
    parts = [split(hash_key(f"user-{number}"), (25, 25, 50)) for number in range(40_000)]
    for index, share in enumerate((0.25, 0.25, 0.5)):
        # Five standard deviations of a fair draw.
        assert abs(parts.count(index) / 40_000 - share) < 5 * (share * (1 - share) / 40_000) ** 0.5


def test_one_flag_says_nothing_of_another() -> None:
    first, second = hasher("a"), hasher("b")
    users = [f"user-{number}" for number in range(40_000)]
    in_first = [user for user in users if split(first(user), (25, 75)) == 0]
    share = sum(split(second(user), (25, 75)) == 0 for user in in_first) / len(in_first)
    assert abs(share - 0.25) < 5 * (0.25 * 0.75 / len(in_first)) ** 0.5


def test_raising_a_share_moves_nobody_who_had_it() -> None:
    hash_key = hasher("transport")
    for number in range(5_000):
        hashed = hash_key(f"user-{number}")
        has = [split(hashed, (share, 100 - share)) == 0 for share in range(101)]
        assert has == sorted(has)
        # The same share in other words is the same users.
        assert [split(hashed, (share * 7, 700 - share * 7)) == 0 for share in range(101)] == has


@pytest.mark.parametrize("weights", [(0, 0), (), (MAX_WEIGHTS, 1)])
def test_weights_that_sum_to_nothing_or_too_much_are_no_split(weights: tuple[int, ...]) -> None:
    assert split(1, weights) is None
