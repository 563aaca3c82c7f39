"""When a subscriber changes transports, to the second."""

from __future__ import annotations

from migctl.subscriber.core.attachment import Attachment, Observed
from migctl.transports.protocol import TransportName

AWAY = Observed(up=False, since=0.0)


def wanted(
    attachment: Attachment, now: float, *, realtime: Observed = AWAY, websocket: Observed = AWAY
) -> set[TransportName]:
    return set(attachment.decide(now, {"realtime": realtime, "websocket": websocket}).transports)


def test_lost_connection_is_waited_for_two_seconds_and_not_longer() -> None:
    attachment = Attachment("realtime")
    lost = Observed(up=False, since=100.0, heard_at=99.0)
    assert wanted(attachment, 101.9, realtime=lost) == {"realtime"}
    assert wanted(attachment, 102.0, realtime=lost) == {"realtime", "websocket"}


def test_two_and_a_half_missed_heartbeats_are_a_failure_of_a_connection_that_looks_well() -> None:
    attachment = Attachment("realtime")
    silent = Observed(up=True, since=50.0, heard_at=100.0)
    assert attachment.decide(100.0, {"realtime": silent, "websocket": AWAY}).until == 112.5
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
    assert wanted(attachment, 106.9, websocket=gone) == {"websocket"}
    assert wanted(attachment, 107.0, websocket=gone) == {"realtime", "websocket"}


def test_without_another_transport_there_is_nowhere_to_fall() -> None:
    attachment = Attachment("websocket", can_fall_back=False)
    assert wanted(attachment, 1000.0) == {"websocket"}


def test_new_assignment_keeps_the_old_transport_until_the_new_one_has_proven_itself() -> None:
    attachment = Attachment("websocket")
    socket = Observed(up=True, since=0.0, heard_at=100.0)
    assert wanted(attachment, 100.0, websocket=socket) == {"websocket"}
    attachment.assign("realtime", 100.0)
    assert wanted(attachment, 100.0, websocket=socket) == {"realtime", "websocket"}
    joined = Observed(up=True, since=100.5, heard_at=101.0)
    wanted(attachment, 101.0, realtime=joined, websocket=socket)
    assert wanted(attachment, 111.0, realtime=joined, websocket=socket) == {"realtime"}
