"""When a subscriber changes transports, to the second."""

from __future__ import annotations

from migctl.events import Position
from migctl.subscriber.core.attachment import Attachment, Observed, Reach
from migctl.transports.protocol import TransportName

AWAY = Observed(up=False, since=0.0)
WELL = Observed(up=True, since=0.0, heard_at=100.0, silence_s=1000.0)
AT_THE_HEAD = Reach(Position("E", 1), known=1)


def wanted(
    attachment: Attachment,
    now: float,
    *,
    realtime: Observed = AWAY,
    websocket: Observed = AWAY,
    reach: Reach = AT_THE_HEAD,
) -> set[TransportName]:
    return set(attachment.decide(now, {"realtime": realtime, "websocket": websocket}, reach).transports)


def test_lost_connection_is_waited_for_less_than_the_two_seconds_that_count_as_missed() -> None:
    attachment = Attachment("realtime")
    lost = Observed(up=False, since=100.0, heard_at=99.0)
    assert wanted(attachment, 101.4, realtime=lost) == {"realtime"}
    assert wanted(attachment, 101.5, realtime=lost) == {"realtime", "websocket"}


def test_two_and_a_half_missed_heartbeats_are_a_failure_of_a_connection_that_looks_well() -> None:
    attachment = Attachment("realtime")
    silent = Observed(up=True, since=50.0, heard_at=100.0)
    assert attachment.decide(100.0, {"realtime": silent, "websocket": AWAY}, AT_THE_HEAD).until == 112.5
    assert wanted(attachment, 112.4, realtime=silent) == {"realtime"}
    assert wanted(attachment, 112.5, realtime=silent) == {"realtime", "websocket"}


def test_being_redirected_moves_at_once_and_leaves_realtime() -> None:
    attachment = Attachment("realtime")
    well, standby = Observed(up=True, since=0.0, heard_at=100.0), Observed(up=True, since=0.0, heard_at=100.0)
    attachment.redirect("websocket", 100.0)
    assert wanted(attachment, 100.0, realtime=well, websocket=standby) == {"websocket"}


def test_the_way_back_is_jittered_then_both_run_until_realtime_was_well_for_the_hold_time() -> None:
    attachment = Attachment("realtime")
    socket = Observed(up=True, since=0.0, heard_at=100.0)
    attachment.redirect("websocket", 100.0)
    wanted(attachment, 100.0, websocket=socket)
    attachment.redirect("realtime", 200.0, jitter_s=1.5)
    assert wanted(attachment, 201.4, websocket=socket) == {"websocket"}
    assert wanted(attachment, 201.5, websocket=socket) == {"realtime", "websocket"}
    joined = Observed(up=True, since=202.0, heard_at=None)
    assert wanted(attachment, 213.0, realtime=joined, websocket=socket) == {"realtime", "websocket"}, (
        "no proof"
    )
    heard = Observed(up=True, since=202.0, heard_at=213.0)
    wanted(attachment, 213.0, realtime=heard, websocket=socket)
    heard = Observed(up=True, since=202.0, heard_at=222.0)
    assert wanted(attachment, 222.9, realtime=heard, websocket=socket) == {"realtime", "websocket"}
    assert wanted(attachment, 223.0, realtime=heard, websocket=socket) == {"realtime"}


def test_a_new_loss_begins_the_hold_time_anew() -> None:
    attachment = Attachment("websocket")
    lost = Observed(up=False, since=100.0, heard_at=100.0)
    wanted(attachment, 102.0, websocket=lost)
    wanted(attachment, 103.0, websocket=Observed(up=True, since=103.0, heard_at=103.0))
    wanted(attachment, 110.0, websocket=Observed(up=False, since=110.0, heard_at=109.0))
    wanted(attachment, 111.0, websocket=Observed(up=True, since=111.0, heard_at=111.0))
    again = Observed(up=True, since=111.0, heard_at=120.0)
    assert wanted(attachment, 120.9, websocket=again) == {"realtime", "websocket"}
    assert wanted(attachment, 121.0, websocket=again) == {"websocket"}


def test_word_of_a_gateway_that_is_gone_does_not_keep_realtime_out() -> None:
    attachment = Attachment("realtime")
    attachment.redirect("websocket", 100.0)
    assert wanted(attachment, 100.0, websocket=Observed(up=True, since=0.0)) == {"websocket"}
    gone = Observed(up=False, since=105.0)
    assert wanted(attachment, 106.4, websocket=gone) == {"websocket"}
    assert wanted(attachment, 106.5, websocket=gone) == {"realtime", "websocket"}


def test_without_another_transport_there_is_nowhere_to_fall() -> None:
    attachment = Attachment("websocket", can_fall_back=False)
    assert wanted(attachment, 1000.0) == {"websocket"}


def test_a_move_keeps_the_old_transport_until_the_new_one_has_caught_up() -> None:
    attachment = Attachment("websocket")
    socket = Observed(up=True, since=0.0, heard_at=100.0)
    attachment.assign("realtime")
    both = {"realtime", "websocket"}
    at = Reach(Position("E", 10), known=12)
    assert wanted(attachment, 100.0, websocket=socket, reach=at) == both
    joined = Observed(up=True, since=100.5)
    assert wanted(attachment, 105.0, realtime=joined, websocket=socket, reach=at) == both, "no proof"
    proven = Observed(up=True, since=100.5, heard_at=101.0)
    owes = Reach(Position("E", 12), known=12, owes=True)
    assert wanted(attachment, 105.1, realtime=proven, websocket=socket, reach=owes) == both, "not asked yet"
    behind = Reach(Position("E", 12), known=15)
    assert wanted(attachment, 105.2, realtime=proven, websocket=socket, reach=behind) == both
    further = Reach(Position("E", 14), known=20)
    assert wanted(attachment, 105.3, realtime=proven, websocket=socket, reach=further) == both
    there = Reach(Position("E", 15), known=30)
    assert wanted(attachment, 105.4, realtime=proven, websocket=socket, reach=there) == {"realtime"}
    assert not attachment.moving


def test_what_was_known_in_an_epoch_that_ended_is_waited_for_no_longer() -> None:
    attachment = Attachment("realtime")
    attachment.assign("websocket")
    proven = Observed(up=True, since=0.0, heard_at=100.0)
    wanted(attachment, 100.0, websocket=proven, reach=Reach(Position("E", 1), known=9))
    assert wanted(attachment, 100.1, websocket=proven, reach=Reach(Position("F", 0))) == {"websocket"}


def test_the_gateway_as_a_standby_hears_it_is_no_socket_that_has_caught_up() -> None:
    attachment = Attachment("realtime")
    attachment.assign("websocket")
    standby = Observed(up=True, since=0.0, heard_at=100.0, carries=False)
    assert wanted(attachment, 100.0, realtime=WELL, websocket=standby) == {"realtime", "websocket"}


def test_a_move_up_whose_transport_is_lost_again_proves_itself_anew() -> None:
    attachment = Attachment("websocket")
    attachment.assign("realtime")
    at = Reach(Position("E", 1), known=5)
    proven = Observed(up=True, since=100.0, heard_at=100.1)
    wanted(attachment, 100.2, realtime=proven, websocket=WELL, reach=at)
    lost = Observed(up=False, since=100.5, heard_at=100.1)
    later = Reach(Position("E", 9), known=9)
    assert wanted(attachment, 200.0, realtime=lost, websocket=WELL, reach=later) == {"realtime", "websocket"}
    assert attachment.moving


def test_move_without_a_way_to_fall_back_runs_both_all_the_same() -> None:
    attachment = Attachment("realtime", to_realtime=False)
    attachment.assign("websocket")
    opening = Observed(up=False, since=100.0)
    assert wanted(attachment, 100.0, realtime=WELL, websocket=opening) == {"realtime", "websocket"}
    assert wanted(attachment, 200.0, realtime=WELL, websocket=WELL) == {"websocket"}


def test_who_is_on_fallback_stays_there_when_it_is_moved_down_and_when_it_is_moved_up() -> None:
    attachment = Attachment("realtime")
    attachment.redirect("websocket", 100.0)
    assert wanted(attachment, 100.0, websocket=WELL) == {"websocket"}
    attachment.assign("websocket")
    assert wanted(attachment, 101.0, websocket=WELL) == {"websocket"}
    attachment.assign("realtime")
    assert wanted(attachment, 102.0, websocket=WELL) == {"websocket"}
    attachment.redirect("realtime", 110.0, jitter_s=1.0)
    assert wanted(attachment, 110.5, websocket=WELL) == {"websocket"}
    assert wanted(attachment, 111.0, websocket=WELL) == {"realtime", "websocket"}


def test_the_end_of_a_fallback_moves_nobody_who_is_assigned_the_websocket() -> None:
    attachment = Attachment("websocket")
    words: tuple[TransportName, ...] = ("websocket", "realtime")
    for to in words:
        attachment.redirect(to, 100.0)
        assert wanted(attachment, 100.0, websocket=WELL) == {"websocket"}


def test_moved_up_while_realtime_is_away_it_does_not_join_it() -> None:
    for can_fall_back in (True, False):
        attachment = Attachment("websocket", can_fall_back=can_fall_back)
        attachment.redirect("websocket", 90.0)
        attachment.assign("realtime")
        assert wanted(attachment, 100.0, websocket=WELL) == {"websocket"}
        attachment.redirect("realtime", 110.0)
        assert wanted(attachment, 110.0, websocket=WELL) == {"realtime", "websocket"}


def test_moved_down_while_realtime_is_away_and_the_socket_can_not_be_had_it_is_better_than_nothing() -> None:
    attachment = Attachment("realtime")
    attachment.redirect("websocket", 90.0)
    attachment.assign("websocket")
    away = Observed(up=False, since=100.0)
    assert wanted(attachment, 100.0, websocket=away) == {"websocket"}
    assert wanted(attachment, 102.0, websocket=away) == {"realtime", "websocket"}
