//! Worlds with a name, each about one class of faults. `docs/simulation.md` says which faults of other stacks they are.

use crate::knobs::{DAY, HOUR, Hostile, Knobs, MINUTE, Network, Processes, Troubles, YEAR};

/// A world about one class of faults.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it is like.
    pub knobs: Knobs,
}

fn network(name: &'static str, network: Network) -> Scenario {
    Scenario { name, knobs: Knobs { network, ..Knobs::default() } }
}

fn processes(name: &'static str, processes: Processes) -> Scenario {
    Scenario { name, knobs: Knobs { processes, ..Knobs::default() } }
}

fn service(name: &'static str, service: Troubles) -> Scenario {
    Scenario { name, knobs: Knobs { service, ..Knobs::default() } }
}

fn hostile(name: &'static str, hostile: Hostile) -> Scenario {
    let knobs = Knobs { hostile, departures: false, ..Knobs::default() };
    Scenario { name, knobs }
}

/// All of them.
#[must_use]
pub fn scenarios() -> Vec<Scenario> {
    let usual = Network::default;
    let none = Processes::default;
    let fine = Troubles::default;
    let honest = Hostile::default;
    let slow = Network { delay: (200, 3_000), ..usual() };
    let racing = Knobs {
        users: 6,
        devices: 8,
        commands: 40,
        span: 20_000,
        network: slow.clone(),
        ..Knobs::default()
    };
    vec![
        Scenario { name: "quiet", knobs: Knobs::default() },
        network("lost-calls", Network { lost_calls: 300, lost_answers: 100, ..usual() }),
        network("lost-answers", Network { lost_answers: 400, ..usual() }),
        network("late-calls", Network { late_calls: 300, ..usual() }),
        network("repeated-calls", Network { repeated_calls: 500, ..usual() }),
        network("lost-hints", Network { lost_hints: 300, ..usual() }),
        network(
            "overtaken-hints",
            Network { overtaken_hints: 600, repeated_hints: 400, ..usual() },
        ),
        network("partitions", Network { partitions: 6, ..usual() }),
        network("slow-network", slow),
        Scenario { name: "racing-commits", knobs: racing },
        processes("crashes", Processes { crashes: 40, ..none() }),
        processes("forgetful-hosts", Processes { forgotten: 400, crashes: 10, ..none() }),
        processes("clocks-off", Processes { clocks_off: YEAR, ..none() }),
        processes("clocks-set", Processes { clocks_set: 8, ..none() }),
        Scenario {
            name: "absences",
            knobs: Knobs {
                span: DAY,
                processes: Processes { absences: 4, ..none() },
                ..Knobs::default()
            },
        },
        Scenario { name: "idle", knobs: Knobs { span: 40 * HOUR, ..Knobs::default() } },
        Scenario {
            name: "year",
            knobs: Knobs {
                users: 3,
                devices: 4,
                days: 365,
                departures: false,
                new_devices: false,
                ..Knobs::default()
            },
        },
        service("service-restarts", Troubles { restarts: 6, ..fine() }),
        service("service-set-back", Troubles { set_back: 1, ..fine() }),
        service("service-rolled-back", Troubles { rolled_back: 1, ..fine() }),
        service("service-anew", Troubles { anew: 1, ..fine() }),
        processes("old-states", Processes { old_states: 1, ..none() }),
        processes("copied-states", Processes { copies: 1, ..none() }),
        hostile("hostile-members", Hostile { members: 12, ..honest() }),
        hostile("modified-clients", Hostile { modified: 10, ..honest() }),
        hostile("lawless-service", Hostile { modified: 10, lawless: true, ..honest() }),
        hostile("false-pages", Hostile { pages: 100, ..honest() }),
        hostile("two-logs", Hostile { logs: 1, ..honest() }),
        Scenario {
            name: "large",
            knobs: Knobs {
                users: 50,
                devices: 100,
                commands: 60,
                span: MINUTE,
                processes: Processes { crashes: 30, ..none() },
                network: Network { lost_calls: 30, lost_answers: 30, ..usual() },
                ..Knobs::default()
            },
        },
    ]
}

/// The scenario of a name.
#[must_use]
pub fn scenario(name: &str) -> Option<Scenario> {
    scenarios().into_iter().find(|scenario| scenario.name == name)
}
