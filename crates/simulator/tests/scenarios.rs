//! Worlds with a name: what each class of faults may not do.

#![allow(clippy::panic)]

use conclave_simulator::run;
use conclave_simulator::scenarios::{scenario, scenarios};
use std::collections::BTreeSet;

/// How many worlds of each scenario are run.
const WORLDS: u64 = 3;

fn check(name: &str) {
    let scenario = scenario(name).unwrap_or_else(|| panic!("there is no scenario {name}"));
    let worlds = match name {
        // It takes as long as many others.
        "large" => 1,
        // In one of ten, a client hides a breach of the rules from a device that then comes back.
        "lawless-service" => 24,
        _ => WORLDS,
    };
    for seed in 1..=worlds {
        let report = run(seed, scenario.knobs.clone(), false);
        let broken = report.broken.join("\n  ");
        let again = format!("cargo simulate --scenario {name} --seed {seed} --trace");
        assert!(report.broken.is_empty(), "{again}\n  {broken}");
    }
}

macro_rules! scenarios {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            check($name);
        })*

        /// The scenarios that have a test.
        const TESTED: &[&str] = &[$($name),*];
    };
}

scenarios! {
    without_faults_all_agree: "quiet",
    lost_calls_are_made_again: "lost-calls",
    lost_answers_are_asked_for_again: "lost-answers",
    calls_that_arrive_late_do_nothing_twice: "late-calls",
    calls_that_arrive_twice_count_once: "repeated-calls",
    a_stream_that_breaks_hides_nothing: "lost-hints",
    hints_may_come_in_any_order_and_twice: "overtaken-hints",
    a_device_that_was_cut_off_catches_up: "partitions",
    a_slow_network_loses_nothing: "slow-network",
    racing_commits_fork_no_group: "racing-commits",
    a_process_may_die_at_any_write: "crashes",
    a_host_that_forgets_events_gets_them_again: "forgetful-hosts",
    a_clock_that_is_off_leaves_no_device_behind: "clocks-off",
    a_clock_that_is_set_harms_no_group: "clocks-set",
    a_device_that_was_away_for_days_catches_up: "absences",
    slow_worlds_renew_sessions_and_key_packages: "idle",
    keys_are_renewed_all_year_and_not_too_often: "year",
    a_service_may_be_started_again: "service-restarts",
    a_service_that_is_set_back_gets_back_what_it_lost: "service-set-back",
    a_service_that_is_rolled_back_stops_no_client: "service-rolled-back",
    a_service_that_is_set_up_anew_stops_no_client: "service-anew",
    a_device_that_is_set_back_stops_no_other: "old-states",
    a_device_that_is_copied_stops_no_other: "copied-states",
    a_member_that_breaks_rules_stops_no_other: "hostile-members",
    a_client_that_was_modified_stops_no_other: "modified-clients",
    a_service_that_lets_rules_be_broken_deceives_no_client: "lawless-service",
    a_service_that_falsifies_logs_stops_no_client: "false-pages",
    a_service_that_shows_two_logs_is_found_out: "two-logs",
    fifty_users_with_a_hundred_devices_agree: "large",
}

#[test]
fn each_scenario_has_a_test_and_a_line_in_the_docs() {
    let page = include_str!("../../../docs/simulation.md");
    let names: BTreeSet<&str> = scenarios().iter().map(|scenario| scenario.name).collect();
    assert_eq!(names, TESTED.iter().copied().collect());
    for name in names {
        assert!(page.contains(&format!("\n| `{name}` |")), "{name}");
    }
}
