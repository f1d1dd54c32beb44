//! How a device keeps the keys of its groups fresh: options of all commands that run a device.

use conclave_client::{KeyPolicy, parse_duration};
use core::time::Duration;

/// The options; each that is not given has the engine's default.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Keys of groups")]
pub(crate) struct KeyArgs {
    /// How old this device's keys get in a group before it replaces them, from 1h to 365d. In large groups they get older, so
    /// that not all commit at once [default: 7d].
    #[arg(long, value_name = "TIME", value_parser = parse_age)]
    key_max_age: Option<Duration>,
    /// How many messages this device sends in a group before it replaces its keys there, up to 1000000 [default: 1000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    key_max_messages: Option<u32>,
    /// How many commits that only replace keys a group should see in a day, up to 100000: the more members it has, the
    /// older their keys get [default: 96].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    key_max_renewals: Option<u32>,
    /// How long a group may have seen nothing of another device before this one removes it, if its user's role lets it, from
    /// 1d to 3650d; or `never`. It is at least twice as long as keys get old [default: 90d].
    #[arg(long, value_name = "TIME", value_parser = parse_absence)]
    device_max_absence: Option<Absence>,
}

/// How long a device may be away; none if there is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Absence(Option<Duration>);

impl KeyArgs {
    /// The policy that the engine follows.
    pub(crate) fn policy(&self) -> KeyPolicy {
        let usual = KeyPolicy::default();
        KeyPolicy {
            max_age: self.key_max_age.unwrap_or(usual.max_age),
            max_messages: self.key_max_messages.unwrap_or(usual.max_messages),
            max_renewals_per_day: self.key_max_renewals.unwrap_or(usual.max_renewals_per_day),
            max_absence: self.device_max_absence.map_or(usual.max_absence, |Absence(time)| time),
        }
    }
}

/// A policy as the options that set it.
pub(crate) fn options_of(policy: &KeyPolicy) -> String {
    let KeyPolicy { max_age, max_messages, max_renewals_per_day, max_absence } = policy;
    let absence = max_absence.map_or("never".to_string(), written);
    format!(
        "--key-max-age {} --key-max-messages {max_messages} --key-max-renewals {max_renewals_per_day} \
         --device-max-absence {absence}",
        written(*max_age)
    )
}

/// A time as an option takes it: a whole number of the largest unit that fits.
fn written(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [("d", 24 * 60 * 60), ("h", 60 * 60), ("m", 60)];
    let whole = units.into_iter().find(|(_, length)| seconds.is_multiple_of(*length));
    let (unit, length) = whole.unwrap_or(("s", 1));
    format!("{}{unit}", seconds / length)
}

fn parse_age(text: &str) -> Result<Duration, String> {
    parse_between(text, "1h", "365d")
}

fn parse_absence(text: &str) -> Result<Absence, String> {
    if text == "never" {
        return Ok(Absence(None));
    }
    let time = parse_between(text, "1d", "3650d");
    time.map(|time| Absence(Some(time))).map_err(|error| format!("{error}, or `never`"))
}

fn parse_between(text: &str, least: &str, most: &str) -> Result<Duration, String> {
    let bounds = parse_duration(least)..=parse_duration(most);
    let seconds = parse_duration(text).filter(|seconds| bounds.contains(&Some(*seconds)));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        format!("a number with w, d or h after it, such as 30d, from {least} to {most}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args as _, FromArgMatches as _};

    const HOUR: u64 = 60 * 60;
    const DAY: u64 = 24 * HOUR;

    fn parsed(words: &[&str]) -> Result<KeyPolicy, String> {
        let command = KeyArgs::augment_args(clap::Command::new("conclave").no_binary_name(true));
        let matches = command.try_get_matches_from(words).map_err(|error| error.to_string())?;
        Ok(KeyArgs::from_arg_matches(&matches).map_err(|error| error.to_string())?.policy())
    }

    #[test]
    fn options_of_keys_become_the_policy_and_the_rest_stays() {
        assert_eq!(parsed(&[]), Ok(KeyPolicy::default()));
        let all = [
            "--key-max-age=36h",
            "--key-max-messages=5",
            "--key-max-renewals=12",
            "--device-max-absence=30d",
        ];
        let policy = KeyPolicy {
            max_age: Duration::from_secs(36 * HOUR),
            max_messages: 5,
            max_renewals_per_day: 12,
            max_absence: Some(Duration::from_secs(30 * DAY)),
        };
        assert_eq!(parsed(&all), Ok(policy));
        let never = KeyPolicy { max_absence: None, ..KeyPolicy::default() };
        assert_eq!(parsed(&["--device-max-absence=never"]), Ok(never));
    }

    #[test]
    fn a_policy_is_written_as_the_options_that_set_it() {
        let usual = options_of(&KeyPolicy::default());
        assert!(
            usual.starts_with("--key-max-age 7d ") && usual.ends_with("-absence 90d"),
            "{usual}"
        );
        let policy = parsed(&["--key-max-age=36h", "--device-max-absence=never"]).unwrap();
        let words = options_of(&policy);
        let words: Vec<&str> = words.split(' ').collect();
        assert_eq!(parsed(&words), Ok(policy));
    }

    #[test]
    fn options_of_keys_out_of_bounds_are_refused_with_the_bounds() {
        for (word, bounds) in [
            ("--key-max-age=59m", "from 1h to 365d"),
            ("--key-max-age=366d", "from 1h to 365d"),
            ("--key-max-age=18446744073709551615d", "from 1h to 365d"),
            ("--key-max-age=never", "from 1h to 365d"),
            ("--key-max-messages=0", "1..=1000000"),
            ("--key-max-renewals=0", "1..=100000"),
            ("--device-max-absence=0d", "from 1d to 3650d, or `never`"),
            ("--device-max-absence=90", "from 1d to 3650d, or `never`"),
        ] {
            let refused = parsed(&[word]).unwrap_err();
            assert!(refused.contains(bounds), "{word}: {refused}");
        }
    }
}
