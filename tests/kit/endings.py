"""What each command needs to end with each of its exit codes: words to run it with, or the test that runs it so.

Words are those of the first example of the command's help, unless they stand here.
"""

from __future__ import annotations

import functools
import shlex
from typing import Any

import typer

from migctl.cli import endings
from migctl.cli.main import build
from migctl.exits import Exit

Command = tuple[str, ...]

_STACK = "tests/cli/stack/test_stack_command.py"
_USES = "tests/cli/stack/test_stack_uses.py"
_SCHEMA = "tests/cli/schema/test_schema_command.py"
_CTL = "tests/cli/ctl/test_ctl.py"
_TOKENS = "tests/integration/keys/test_tokens_at_run_time.py"
_STATUS = "tests/cli/server/test_status_command.py"
_JOURNAL = "tests/cli/journal/test_journal_command.py"
_LETTERS = "tests/cli/deadletter/test_deadletter_command.py"
_COMPLETE = "tests/integration/rollout/test_complete.py"
_REPORT = "tests/cli/validate/test_validate_report.py"
_WANTING = "tests/cli/exits/test_found_wanting.py"
_OWN_PROJECT = "tests/cli/drill/test_own_project.py"
_LETTERS_LISTED = (
    f"{_LETTERS}::test_letters_are_listed_shown_and_retried_while_serve_runs_and_after_it_was_killed"
)
_CTL_SET = f"{_CTL}::test_settings_are_asked_set_refused_and_lost_at_a_restart"
_THROTTLED = (
    f"{_CTL}::test_a_throttled_serve_says_so_survives_kill_and_loses_nothing_and_an_abort_is_not_held"
)
_JOURNAL_TORN = f"{_JOURNAL}::test_verify_finds_a_missing_event_and_a_cursor_beyond_the_head"
_CLIENTS = "tests/cli/server/test_clients_command.py::test_each_subscriber_is_listed_by_what_it_is_and_remembered_when_it_left"
_STOPPED = f"{_STACK}::test_a_part_that_was_stopped_stays_so_whoever_needs_the_stack_until_it_is_started"
_ATTACHED = "tests/cli/server/test_sources_and_subscribers.py::test_who_posts_and_who_reads_is_listed_with_how_far_it_is"
_CAPTURED = (
    "tests/crash/subscriber/test_capture_without_serve.py"
    "::test_capture_is_complete_only_where_serve_lived_to_say_how_far_it_is"
)
_WATCHED = "tests/integration/validate/test_witness.py::test_watch_prints_a_line_a_window_and_its_exit_says_whether_all_passed"
_COMPLETED = (
    f"{_COMPLETE}::test_the_websocket_is_switched_off_and_nobody_loses_an_event_and_revert_opens_it_again"
)

# Where nothing runs: a target that is away, and these files.
FILES = {
    "old.ndjson": '{"event_type":"cpu","timestamp":"2026-01-31T12:00:00Z","source":"a","data":{}}\n',
    "bad.ndjson": "no event\n",
}
ALONE: dict[tuple[str, Exit], str] = {
    ("stack down", Exit.DONE): "",
    ("stack status", Exit.WANTING): "",
    ("stack logs", Exit.DONE): "stack logs",
    ("stack fault", Exit.DONE): "stack fault --list",
    ("stack fault", Exit.UNREACHABLE): "stack fault --clear",
    ("schema export", Exit.DONE): "schema export --supabase supabase --dry-run",
    ("schema repair", Exit.UNREACHABLE): "schema repair 7 --status applied --reason x --yes",
    ("config check", Exit.DONE): "",
    ("config show", Exit.DONE): "",
    ("config schema", Exit.DONE): "",
    ("map preview", Exit.DONE): "",
    ("map preview", Exit.WANTING): "map preview bad.ndjson",
    ("map preview", Exit.UNREACHABLE): "map preview ws://127.0.0.1:9/ws",
    ("rejected list", Exit.DONE): "",
    ("rejected retry", Exit.DONE): "",
    ("rejected dismiss", Exit.DONE): "rejected dismiss --all",
    ("serve", Exit.DONE): "serve --mode websocket --listen 127.0.0.1:0 --source old.ndjson --until-done",
    ("serve", Exit.WANTING): "serve --mode websocket --listen 127.0.0.1:0 --source bad.ndjson --until-done",
    ("rejected show", Exit.DONE): "rejected show 1",
    ("rejected retry", Exit.WANTING): "rejected retry 1 --dry-run",
    ("ctl history", Exit.DONE): "",
    ("journal status", Exit.DONE): "",
    ("journal export", Exit.DONE): "journal export",
    ("journal verify", Exit.DONE): "",
    ("journal backup", Exit.DONE): "journal backup copy.db",
    ("journal restore", Exit.DONE): "journal restore copy.db --journal new.db",
    ("tail", Exit.UNREACHABLE): "tail --url 127.0.0.1:9 --wait 0",
    ("rollout status", Exit.DONE): "",
    ("rollout status", Exit.WANTING): "rollout status --exit-status",
    ("rollout plan", Exit.DONE): "",
    ("rollout run", Exit.DONE): "rollout run --dry-run",
    ("rollout run", Exit.WANTING): "rollout run --dry-run --inject 2b-50:loss",
    ("rollout abort", Exit.WANTING): "",
    ("flags processes", Exit.DONE): "",
    ("flags experiment report", Exit.WANTING): "",
    ("capture", Exit.UNREACHABLE): "capture -t websocket --out x --url 127.0.0.1:9 --wait 0",
    ("replay", Exit.DONE): "",
    ("drill list", Exit.DONE): "",
    ("drill show", Exit.DONE): "",
    ("drill history", Exit.DONE): "",
    ("drill clean", Exit.DONE): "",
    ("drill run", Exit.UNREACHABLE): "drill run silence --minutes 0.02 --url 127.0.0.1:9",
    ("token mint", Exit.DONE): "",
}
# On a target that has our tables: run in this order.
ON_A_TARGET: dict[tuple[str, Exit], str] = {
    ("schema plan", Exit.DONE): "",
    ("schema apply", Exit.DONE): "schema apply --yes",
    ("schema status", Exit.DONE): "",
    ("schema verify", Exit.DONE): "",
    ("schema rollback", Exit.DONE): "schema rollback --dry-run",
    ("schema repair", Exit.DONE): "schema repair 1 --status applied --reason x --yes",
    ("schema prune", Exit.DONE): "",
    ("flags import", Exit.DONE): "flags import configs/flags/transport.yaml --reason x --yes",
    ("flags list", Exit.DONE): "",
    ("flags show", Exit.DONE): "",
    ("flags eval", Exit.DONE): "",
    ("flags eval", Exit.WANTING): "flags eval nothing --user ann",
    ("flags export", Exit.DONE): "",
    ("flags history", Exit.DONE): "",
    ("flags set", Exit.DONE): "flags set transport --default websocket --reason x --yes",
    ("flags enable", Exit.DONE): "flags enable transport --reason x --yes",
    ("flags assign", Exit.DONE): "flags assign ann realtime --reason x --yes",
    ("rollout history", Exit.DONE): "",
    ("rollout set", Exit.DONE): "rollout set 25 --reason x --yes",
    ("rollout promote", Exit.WANTING): "rollout promote --reason x --yes",
    ("rollout pause", Exit.DONE): "",
    ("rollout resume", Exit.DONE): "rollout resume --reason x --yes",
    ("rollout revert", Exit.DONE): "",
    ("rollout abort", Exit.DONE): "",
    # Somebody would get more, and nobody names the brake that holds.
    ("flags assign", Exit.WANTING): "flags assign bob realtime --reason x --yes",
    ("flags set", Exit.WANTING): "flags set transport --default realtime --reason x --yes",
    ("flags disable", Exit.DONE): "flags disable transport --yes",
    ("flags enable", Exit.WANTING): "flags enable transport --reason x --yes",
    ("flags import", Exit.WANTING): "flags import more.yaml --reason x --yes",
    ("rollout complete", Exit.WANTING): "rollout complete",
    ("rollout signoff", Exit.DONE): "",
    ("journal adopt", Exit.DONE): "",
}
# What takes running parts, or minutes: the test that does it.
# fmt: off
ELSEWHERE: dict[tuple[str, Exit], str] = {
    ("dashboard build", Exit.DONE): "tests/e2e/test_dashboard_day.py::test_without_the_chart_library_every_figure_is_there_and_the_page_says_what_mends_it",  # noqa: E501
    ("demo", Exit.WANTING): "tests/e2e/test_main_job.py::test_a_demo_whose_evidence_was_cut_fails",
    ("demo", Exit.UNREACHABLE): "tests/e2e/test_main_job.py::test_a_demo_whose_subscriber_is_killed_has_no_verdict",
    ("demo", Exit.DONE): "tests/e2e/test_main_job.py::test_the_demo_loses_nothing_while_the_stand_in_is_killed",
    ("stack up", Exit.DONE): f"{_STACK}::test_up_down_up_keeps_data_keys_and_ports",
    ("stack status", Exit.DONE): f"{_STACK}::test_status_tells_by_exit_code_whether_all_is_up_and_up_restarts_what_is_not",
    ("stack stop", Exit.DONE): _STOPPED,
    ("stack start", Exit.DONE): _STOPPED,
    ("stack env", Exit.DONE): f"{_USES}::test_env_survives_the_shell_and_says_the_same_as_json",
    ("schema status", Exit.WANTING): f"{_WANTING}::test_a_target_without_our_files_is_wanting",
    ("schema prune", Exit.WANTING): f"{_WANTING}::test_a_target_without_our_files_is_wanting",
    ("schema verify", Exit.WANTING): f"{_SCHEMA}::test_verify_tells_each_difference_on_a_line_and_leaves_with_1",
    ("serve", Exit.UNREACHABLE): "tests/cli/test_main.py::test_a_taken_port_is_told",
    ("status", Exit.DONE): f"{_STATUS}::test_status_from_afar_needs_a_token_and_says_which",
    ("status", Exit.WANTING): f"{_STATUS}::test_supabase_that_is_away_is_degraded_with_the_reason_and_exit_1",
    ("top", Exit.DONE): "tests/cli/ctl/test_top.py::test_the_rollout_is_paused_and_aborted_by_keys_with_a_reason_and_a_word",
    ("ctl get", Exit.DONE): _CTL_SET,
    ("ctl set", Exit.DONE): _CTL_SET,
    ("ctl unset", Exit.DONE): _CTL_SET,
    ("ctl throttle", Exit.DONE): _THROTTLED,
    ("ctl no-throttle", Exit.DONE): _THROTTLED,
    ("clients", Exit.DONE): _CLIENTS,
    ("clients", Exit.WANTING): f"{_WANTING}::test_subscribers_are_not_all_where_the_record_does_not_say_who_else_there_is",
    ("sources", Exit.DONE): _ATTACHED,
    ("subscribers", Exit.DONE): _ATTACHED,
    ("tail", Exit.DONE): "tests/cli/test_tail.py::test_what_is_wanted_comes_in_order_as_text_and_as_lines_of_json",
    ("rollout set", Exit.WANTING): (
        "tests/integration/rollout/test_commands.py"
        "::test_a_share_goes_up_and_down_in_every_process_and_who_does_not_confirm_is_named"
    ),
    ("rollout promote", Exit.DONE): (
        "tests/integration/rollout/test_promote.py::test_a_step_is_promoted_on_evidence_alone_or_by_force_with_a_reason"
    ),
    ("rollout revert", Exit.WANTING): f"{_WANTING}::test_a_step_back_that_a_process_does_not_confirm_is_wanting",
    ("rollout complete", Exit.DONE): _COMPLETED,
    ("rollout signoff", Exit.WANTING): _COMPLETED,
    ("flags disable", Exit.WANTING): f"{_WANTING}::test_a_flag_that_somebody_else_changed_meanwhile_is_not_disabled",
    ("flags processes", Exit.WANTING): (
        "tests/integration/rollout/test_meeting.py::test_a_process_that_was_killed_for_good_is_taken_out_by_a_person"
    ),
    ("flags experiment report", Exit.DONE): "tests/cli/flags/test_experiment_report.py::test_what_this_folder_keeps_is_compared",
    ("deadletter list", Exit.DONE): _LETTERS_LISTED,
    ("deadletter show", Exit.DONE): _LETTERS_LISTED,
    ("deadletter retry", Exit.DONE): _LETTERS_LISTED,
    ("deadletter retry", Exit.WANTING): _LETTERS_LISTED,
    ("deadletter retry", Exit.UNREACHABLE): _LETTERS_LISTED,
    ("deadletter dismiss", Exit.DONE): _LETTERS_LISTED,
    ("deadletter accept", Exit.DONE): f"{_LETTERS}::test_a_held_relay_goes_on_at_once_when_the_operator_accepts",
    ("capture", Exit.DONE): _CAPTURED,
    ("capture", Exit.WANTING): _CAPTURED,
    ("replay", Exit.WANTING): f"{_WANTING}::test_a_replay_whose_evidence_was_cut_fails",
    ("validate watch", Exit.DONE): _WATCHED,
    ("validate watch", Exit.WANTING): _WATCHED,
    ("validate report", Exit.DONE): f"{_REPORT}::test_agreeing_captures_exit_0_and_say_pass_first",
    ("validate report", Exit.WANTING): f"{_REPORT}::test_found_wanting_exits_1_and_names_what_is_wrong",
    ("drill run", Exit.DONE): "tests/cli/drill/test_run.py::test_a_drill_that_passes_measures_everything_and_leaves_nothing_behind",
    ("drill run", Exit.WANTING): "tests/cli/drill/test_run.py::test_an_objective_that_is_missed_fails_the_drill_and_is_named",
    ("drill clean", Exit.WANTING): (
        f"{_OWN_PROJECT}::test_what_a_killed_drill_left_is_taken_out_by_who_has_the_keys_and_by_nobody_else"
    ),
    ("drill proxy", Exit.DONE): "tests/cli/drill/test_proxy.py::test_it_says_in_one_line_where_it_is_and_runs_until_a_signal",
    ("drill proxy", Exit.UNREACHABLE): (
        "tests/cli/drill/test_proxy.py::test_a_port_that_is_taken_ends_it_with_3_and_the_way_out"
    ),
    ("journal export", Exit.WANTING): _JOURNAL_TORN,
    ("journal verify", Exit.WANTING): _JOURNAL_TORN,
    ("journal restore", Exit.WANTING): f"{_WANTING}::test_a_copy_that_does_not_hold_together_is_not_restored",
    ("token list", Exit.DONE): f"{_TOKENS}::test_who_asks_nobody_for_a_token_says_so",
    ("token revoke", Exit.DONE): f"{_TOKENS}::test_where_the_last_token_is_revoked_the_door_stays_shut",
}
# fmt: on


@functools.cache
def listed() -> dict[str, Any]:
    """Every command that is shown, by its words."""
    return {" ".join(words): command for words, command in endings.commands(typer.main.get_command(build()))}


def examples(command: Any) -> list[list[str]]:
    """The words after `migctl` of each example in its help."""
    lines = (line.strip() for line in (command.help or "").split("\b\n")[-1].splitlines())
    return [shlex.split(line)[1:] for line in lines if line.startswith("migctl ")]


def words_of(command: str, words: str) -> list[str]:
    """words: empty for the first example."""
    return shlex.split(words) or examples(listed()[command])[0]
