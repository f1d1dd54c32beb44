//! What an operator can set. One table has it all: its rows are the flags, the variables, the keys of the file, their
//! defaults, their help, and the table of `docs/operating.md`.

use super::log::{Level, Log, LogFormat};
use super::values::{Registration, Size, Value};
use conclave_delivery::attachments::AttachmentLimits;
use conclave_delivery::http::{
    AcmeConfig, Config, Contact, Domain, ForwardedHeader, FrontLimits, Network, Proxies, Rate,
    TlsFiles,
};
use conclave_delivery::http_client::TlsRoots;
use conclave_delivery::s3::{MAX_SIZE, Place};
use conclave_delivery::service::{ClaimLimits, Limits};
use conclave_delivery_api::ClientVersion;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the service listens, and where messengers look for it.
pub(crate) fn default_address() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Config::PORT)
}

/// One row: how a setting is named, read and shown.
pub(crate) struct Setting {
    /// What it belongs to.
    pub(crate) section: &'static str,
    /// Its key in the file; with two dashes, its flag.
    pub(crate) name: &'static str,
    /// What stands for its value in the help.
    pub(crate) placeholder: &'static str,
    /// What it is for.
    help: &'static str,
    /// Whether the flag alone says something.
    pub(crate) is_switch: bool,
    /// Reads it into its place.
    pub(crate) set: fn(&mut Settings, &str) -> Result<(), String>,
    /// The value as TOML, unless it is not set.
    pub(crate) get: fn(&Settings) -> Option<String>,
}

impl Setting {
    /// The environment variable.
    pub(crate) fn variable(&self) -> String {
        format!("CONCLAVE_{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }

    pub(crate) fn help(&self) -> &'static str {
        self.help.trim()
    }

    /// The default as TOML, unless there is none.
    pub(crate) fn default(&self) -> Option<String> {
        (self.get)(&Settings::default())
    }
}

macro_rules! settings {
    ($($section:literal: {$(
        $(#[doc = $help:literal])+
        $name:literal $field:ident: $type:ty = $default:expr, $placeholder:literal $(, $range:expr)?;
    )*})*) => {
        /// What is in force.
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) struct Settings {
            $($($(#[doc = $help])+ pub(crate) $field: $type,)*)*
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($($field: $default,)*)* }
            }
        }

        /// All of them, in the order of the documents.
        pub(crate) const TABLE: &[Setting] = &[$($(Setting {
            section: $section,
            name: $name,
            placeholder: $placeholder,
            help: concat!($($help),+),
            is_switch: <$type as Value>::IS_SWITCH,
            set: |settings, text| {
                settings.$field = Value::parse(text, &one_of!(ANY $(, $range)?))?;
                Ok(())
            },
            get: |settings| settings.$field.show(),
        },)*)*];
    };
}

macro_rules! one_of {
    ($default:expr) => {
        $default
    };
    ($default:expr, $value:expr) => {
        $value
    };
}

const ANY: RangeInclusive<u64> = 0..=u64::MAX;
const SOME: RangeInclusive<u64> = 1..=u64::MAX;
/// Enough for the longest structures, and far from what could be added up past the end.
const SIZES: RangeInclusive<u64> = 4096..=1 << 40;
const RATES: RangeInclusive<u64> = 1..=1_000_000_000;
const TIMES: RangeInclusive<u64> = 1..=10 * 365 * 86_400;

fn kept() -> AttachmentLimits {
    AttachmentLimits::default()
}

fn claims() -> ClaimLimits {
    ClaimLimits::default()
}

fn front() -> FrontLimits {
    FrontLimits::default()
}

settings! {
    "Service": {
        /// The address to listen on; port 0 takes a free one. One that others reach needs TLS.
        "listen" listen: SocketAddr = default_address(), "ADDRESS:PORT";
        /// The folder of the service's state. Unless it is set: ~/.local/share/conclave/service.
        "data" data: Option<PathBuf> = None, "DIR";
        /// The domain in the names of new rooms and their users, mimi://DOMAIN/u/alice. Unless it is set: the first of
        /// acme-domain, or else the host by which the device that makes a room reaches the service. Rooms keep the domain
        /// that they were made with.
        "domain" domain: Option<Domain> = None, "NAME";
        /// Who may create an account: open (anybody), invitation (from `conclave admin invite`), closed (nobody), or
        /// by-address: open on a loopback address, invitation elsewhere. Further devices are admitted by the user's
        /// own devices alone.
        "registration" registration: Registration = Registration::ByAddress, "WHO";
        /// The root certificates (PEM) of the CAs that certify devices. Set, it turns the mode of certificates on: there
        /// are no accounts then.
        "trust" trust: Option<PathBuf> = None, "FILE";
        /// The revocation lists (PEM) of these CAs. The file is read again whenever it changes.
        "revocations" revocations: Option<PathBuf> = None, "FILE";
        /// The oldest clients that are served, as conclave/0.4.0: of each name from that version on. Set, clients that do
        /// not say what they are are refused, too. With commas between them in a flag or variable.
        "minimum-clients" minimum_clients: Vec<ClientVersion> = Vec::new(), "NAME/VERSION,...";
        /// How often changes of accounts are published in the directory that `conclave audit` follows.
        "publish-every" publish_every: Duration = Config::PUBLISH_EVERY, "TIME", 1..=86_400;
    }
    "What is kept": {
        /// The most key packages of one device and suite.
        "key-packages" key_packages: u32 = Limits::default().key_packages, "COUNT", SOME;
        /// The most devices of one user.
        "devices" devices: usize = Limits::default().devices, "COUNT", SOME;
        /// How many epochs after its own an application message is still taken.
        "past-epochs" past_epochs: u64 = Limits::default().past_epochs, "COUNT";
        /// How long after its epoch has ended an application message is still taken.
        "past-epoch-age" past_epoch_age: Duration = Limits::default().past_epoch_age, "TIME", 0..=7 * 86_400;
        /// The most groups that one device makes.
        "groups" groups: u32 = Limits::default().groups, "COUNT", SOME;
        /// The most Welcomes that wait in the inbox of one device, which takes no further ones then.
        "inbox-items" inbox_items: u32 = Limits::default().inbox_items, "COUNT", SOME;
        /// The most bytes of them, the trees that go with them included.
        "inbox-bytes" inbox_bytes: Size = Size(Limits::default().inbox_bytes), "SIZE", SIZES;
        /// The longest group identifier, in bytes.
        "group-id" group_id: usize = Limits::default().group_id, "COUNT", 1..=65_535;
        /// How far the clock of a device may be off when it opens a session or changes its account.
        "clock-skew" clock_skew: Duration = Limits::default().clock_skew, "TIME", TIMES;
        /// How long a session is good.
        "session" session: Duration = Limits::default().session, "TIME", TIMES;
        /// The most sessions that are open at once: 100,000 are some 50 MB.
        "sessions" sessions: usize = Limits::default().sessions, "COUNT", SOME;
        /// The most devices that the submitter of a commit to an opaque group names.
        "named-devices" named_devices: usize = Limits::default().named_devices, "COUNT", SOME;
        /// How many groups' public state is kept in memory.
        "loaded-groups" loaded_groups: usize = Limits::default().loaded_groups, "COUNT", SOME;
        /// How long messages are kept in a group's log. A device that was away for longer has to be invited again. Unless
        /// it is set: without end.
        "log-age" log_age: Option<Duration> = Limits::default().log_age, "TIME", TIMES;
        /// How many messages of a group are kept likewise. Unless it is set: all.
        "log-entries" log_entries: Option<u64> = Limits::default().log_entries, "COUNT", SOME;
        /// How long a Welcome waits in an inbox. A device that comes later does not get into the group until a member has
        /// removed it and invited it again. Unless it is set: without end.
        "inbox-age" inbox_age: Option<Duration> = Limits::default().inbox_age, "TIME", TIMES;
        /// How often messages and Welcomes are dropped that are kept no longer, if log-age, log-entries or inbox-age is
        /// set. `conclave admin compact` does it at once.
        "compact-every" compact_every: Duration = Config::COMPACT_EVERY, "TIME", 1..=86_400;
    }
    "Attachments": {
        /// The folder of attachments, which members upload encrypted. Unless it is set: `attachments` in the folder of the
        /// service's state.
        "attachments" attachments: Option<PathBuf> = None, "DIR";
        /// A bucket that keeps complete attachments instead, in an object store that speaks S3: https://HOST/BUCKET or
        /// https://HOST/BUCKET/PREFIX. The folder then holds uploads that are not complete. The credentials are the
        /// variables AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, if they are temporary, AWS_SESSION_TOKEN.
        "attachments-bucket" attachments_bucket: Option<String> = None, "URL";
        /// The region of that store, as its requests name it.
        "attachments-region" attachments_region: String = "us-east-1".into(), "NAME";
        /// Keep no attachments.
        "no-attachments" no_attachments: bool = false, "BOOL";
        /// The longest attachment.
        "attachment-size" attachment_size: Size = Size(kept().size), "SIZE", SIZES;
        /// The most bytes of one user's attachments, those included that are still to be uploaded.
        "attachment-quota" attachment_quota: Size = Size(kept().quota), "SIZE", SIZES;
        /// The most bytes of all attachments.
        "attachment-total" attachment_total: Size = Size(kept().total), "SIZE", SIZES;
        /// How long an attachment is kept.
        "attachment-age" attachment_age: Duration = kept().lifetime, "TIME", TIMES;
        /// How long an upload is kept that is not complete.
        "upload-age" upload_age: Duration = kept().unfinished, "TIME", TIMES;
    }
    "Connections": {
        /// The longest body of a request.
        "max-body" max_body: Size = Size(conclave_delivery_api::MAX_BODY as u64), "SIZE", 65_536..=1 << 30;
        /// The most connections at once, fewer if the system's limit of open files is lower. For one more, the one
        /// without a session that has waited longest ends; a quarter is kept back for those with a session.
        "connections" connections: usize = Config::CONNECTIONS, "COUNT", SOME;
        /// The most connections of one address: an IPv4 address, or the first 64 bits of an IPv6 address.
        "connections-per-address" connections_per_address: usize = front().connections_of_address, "COUNT", SOME;
        /// The most event streams in all.
        "streams" streams: usize = front().streams, "COUNT", SOME;
        /// The most event streams of one address.
        "streams-per-address" streams_per_address: usize = front().streams_of_address, "COUNT", SOME;
        /// The most event streams of one user.
        "streams-per-user" streams_per_user: usize = front().streams_of_user, "COUNT", SOME;
        /// The most event streams of one device; one more ends the oldest.
        "streams-per-device" streams_per_device: usize = front().streams_of_device, "COUNT", SOME;
        /// How long a client may take to send the head of a request, and then its body.
        "patience" patience: Duration = Config::PATIENCE, "TIME", TIMES;
        /// How long a client may take nothing of what is sent to it.
        "stall" stall: Duration = front().stall, "TIME", TIMES;
        /// The fewest bytes a second that a client takes of what is sent to it.
        "minimum-rate" minimum_rate: Size = Size(front().minimum_rate), "SIZE", 1..=1 << 30;
        /// The most memory that bodies and replies hold at once: at least 8 times max-body. One address may hold a
        /// quarter of it, one user an eighth.
        "memory" memory: Size = Size(front().memory as u64), "SIZE", 1 << 20..=1 << 40;
    }
    "Rates": {
        /// How long a rate may be used up at once: ten seconds at 50 requests a second are 500 requests.
        "burst" burst: Duration = front().burst, "TIME", 1..=3600;
        /// Requests a second of one device.
        "device-requests" device_requests: u64 = front().device.requests, "COUNT", RATES;
        /// Bytes a second of one device, both ways.
        "device-bytes" device_bytes: Size = Size(front().device.bytes), "SIZE", SIZES;
        /// Requests a second of one user.
        "user-requests" user_requests: u64 = front().user.requests, "COUNT", RATES;
        /// Bytes a second of one user, both ways.
        "user-bytes" user_bytes: Size = Size(front().user.bytes), "SIZE", SIZES;
        /// Requests a second of all sessions at one address.
        "address-requests" address_requests: u64 = front().address.requests, "COUNT", RATES;
        /// Bytes a second of all sessions at one address, both ways.
        "address-bytes" address_bytes: Size = Size(front().address.bytes), "SIZE", SIZES;
        /// Requests a second without a session from one address.
        "anonymous-requests" anonymous_requests: u64 = front().anonymous.requests, "COUNT", RATES;
        /// Bytes a second without a session from one address, both ways.
        "anonymous-bytes" anonymous_bytes: Size = Size(front().anonymous.bytes), "SIZE", SIZES;
        /// How often one user may claim another's key packages within claim-period: at once, or spread over it. A claim
        /// takes one of each device.
        "claims-per-pair" claims_per_pair: u32 = claims().pair, "COUNT", SOME;
        /// How often one user may claim key packages of all others likewise.
        "claims-per-asker" claims_per_asker: u32 = claims().asker, "COUNT", SOME;
        /// How often one user's key packages may be claimed by all others likewise. After that each device gives its
        /// key package of last resort, which is not used up.
        "claims-per-target" claims_per_target: u32 = claims().target, "COUNT", SOME;
        /// How long it takes until as many claims can be made again.
        "claim-period" claim_period: Duration = claims().period, "TIME", TIMES;
    }
    "TLS": {
        /// The file with the server's certificate, and those that lead from it to a root, in PEM. It is read again when
        /// it changes.
        "tls-certificate" tls_certificate: Option<PathBuf> = None, "FILE";
        /// The file with the private key of that certificate, in PEM.
        "tls-key" tls_key: Option<PathBuf> = None, "FILE";
        /// Get the certificate from a CA instead, and renew it: for these domains, which have to lead to this service at
        /// port 443. With commas between them in a flag or variable. Setting it agrees to the CA's terms of service.
        "acme-domain" acme_domain: Vec<Domain> = Vec::new(), "NAME,...";
        /// The e-mail addresses that the CA may write to, likewise.
        "acme-contact" acme_contact: Vec<Contact> = Vec::new(), "ADDRESS,...";
        /// The CA: where its ACME directory is.
        "acme-directory" acme_directory: String = AcmeConfig::LETS_ENCRYPT.into(), "URL";
        /// The root certificates (PEM) that the CA's own server is trusted by, instead of the system's: for a private CA.
        "acme-root" acme_root: Option<PathBuf> = None, "FILE";
        /// The folder of the account's key and the certificate. Unless it is set: `acme` in the folder of the service's
        /// state.
        "acme-folder" acme_folder: Option<PathBuf> = None, "DIR";
        /// Speak plain HTTP at an address that others reach: where a proxy or a VPN encrypts. What is sent is encrypted
        /// end to end all the same; who talks to whom is not.
        "allow-plain-http" allow_plain_http: bool = false, "BOOL";
    }
    "Proxies": {
        /// The proxies that are believed when they say for whom a request is: addresses and networks, with commas
        /// between them in a flag or variable.
        "trusted-proxies" trusted_proxies: Vec<Network> = Vec::new(), "ADDRESS,NETWORK/BITS,...";
        /// Which header those proxies write: x-forwarded-for or forwarded.
        "forwarded-header" forwarded_header: ForwardedHeader = ForwardedHeader::XForwardedFor, "NAME";
    }
    "Watching": {
        /// Where metrics (/metrics, as Prometheus reads them) and health (/health/live, /health/ready) are shown in the
        /// clear: an address that only those who watch can reach. Health is shown where the service listens, too.
        "metrics" metrics: Option<SocketAddr> = None, "ADDRESS:PORT";
        /// How the lines on standard error look: text or json.
        "log" log: LogFormat = LogFormat::Text, "FORMAT";
        /// How much is said there: warn, info, or debug, which is a line for each request.
        "log-level" log_level: Level = Level::Info, "LEVEL";
        /// Name users, devices and groups in those lines.
        "log-names" log_names: bool = false, "BOOL";
    }
    "Stopping": {
        /// How long the service goes on after it was told to stop and says that it is not ready, so that a proxy
        /// before it takes notice.
        "stop-delay" stop_delay: Duration = Duration::ZERO, "TIME", 0..=3600;
        /// How long requests in work have to finish then.
        "grace" grace: Duration = Config::GRACE, "TIME", 0..=3600;
    }
}

impl Settings {
    /// What they are for the service's rules.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            key_packages: self.key_packages,
            claims: ClaimLimits {
                pair: self.claims_per_pair,
                asker: self.claims_per_asker,
                target: self.claims_per_target,
                period: self.claim_period,
            },
            devices: self.devices,
            past_epochs: self.past_epochs,
            past_epoch_age: self.past_epoch_age,
            groups: self.groups,
            inbox_items: self.inbox_items,
            inbox_bytes: self.inbox_bytes.0,
            group_id: self.group_id,
            clock_skew: self.clock_skew,
            session: self.session,
            sessions: self.sessions,
            named_devices: self.named_devices,
            loaded_groups: self.loaded_groups,
            log_age: self.log_age,
            log_entries: self.log_entries,
            inbox_age: self.inbox_age,
            minimum_clients: self.minimum_clients.clone(),
            domain: self.domain.as_ref().or(self.acme_domain.first()).map(Domain::to_string),
        }
    }

    /// What they are for attachments.
    pub(crate) fn attachment_limits(&self) -> AttachmentLimits {
        AttachmentLimits {
            size: self.attachment_size.0,
            quota: self.attachment_quota.0,
            total: self.attachment_total.0,
            lifetime: self.attachment_age,
            unfinished: self.upload_age,
        }
    }

    /// The bucket of attachments, if there is one; or what is wrong with its address.
    pub(crate) fn bucket(&self) -> Option<Result<Place, String>> {
        let url = self.attachments_bucket.as_deref()?;
        Some(Place::parse(url, &self.attachments_region))
    }

    /// What they are for the server's front.
    pub(crate) fn front(&self) -> FrontLimits {
        let rate = |requests, bytes: Size| Rate { requests, bytes: bytes.0 };
        FrontLimits {
            device: rate(self.device_requests, self.device_bytes),
            user: rate(self.user_requests, self.user_bytes),
            address: rate(self.address_requests, self.address_bytes),
            anonymous: rate(self.anonymous_requests, self.anonymous_bytes),
            burst: self.burst,
            connections_of_address: self.connections_per_address,
            streams: self.streams,
            streams_of_address: self.streams_per_address,
            streams_of_user: self.streams_per_user,
            streams_of_device: self.streams_per_device,
            memory: self.memory.as_usize(),
            stall: self.stall,
            minimum_rate: self.minimum_rate.0,
        }
    }

    /// What they are for the lines on standard error.
    pub(crate) fn log(&self) -> Log {
        Log { format: self.log, level: self.log_level, names: self.log_names }
    }

    fn tls(&self) -> Option<TlsFiles> {
        let (certificate, key) = (self.tls_certificate.clone()?, self.tls_key.clone()?);
        Some(TlsFiles { certificate, key })
    }

    /// How the service gets a certificate by itself, if it is to; or what is wrong with that. `data` is the folder of
    /// its state.
    pub(crate) fn acme(&self, data: &Path) -> Option<Result<AcmeConfig, String>> {
        if self.acme_domain.is_empty() {
            let own = Self::default();
            let has_more = self.acme_contact != own.acme_contact
                || self.acme_directory != own.acme_directory
                || self.acme_root.is_some()
                || self.acme_folder.is_some();
            let what = "acme-contact, acme-directory, acme-root and acme-folder belong to acme-domain: set it, too";
            return has_more.then(|| Err(what.into()));
        }
        let read = |path: &PathBuf| {
            let roots = std::fs::read(path).map_err(|e| e.to_string());
            let roots = roots.and_then(|text| TlsRoots::from_pem(&text));
            roots.map_err(|e| format!("acme-root: {}: {e}", path.display()))
        };
        Some(self.acme_root.as_ref().map(read).transpose().and_then(|roots| {
            let folder = self.acme_folder.clone().unwrap_or_else(|| data.join("acme"));
            let config = AcmeConfig {
                contacts: self.acme_contact.clone(),
                directory: self.acme_directory.clone(),
                roots,
                ..AcmeConfig::new(self.acme_domain.clone(), folder)
            };
            config.check().map(|()| config)
        }))
    }

    /// What is wrong with TLS, if something is.
    fn wrong_with_tls(&self) -> Option<String> {
        let has_files = self.tls_certificate.is_some() || self.tls_key.is_some();
        match (self.tls(), self.acme("".as_ref())) {
            (_, Some(Err(what))) => Some(what),
            (_, Some(Ok(_))) if has_files => Some(
                "acme-domain gets a certificate from a CA, and tls-certificate and tls-key bring one: set one or the \
                 other"
                    .into(),
            ),
            (_, Some(Ok(_))) => None,
            (Some(files), None) => files.check().err(),
            (None, None) if has_files => {
                Some("tls-certificate and tls-key belong together: set both".into())
            }
            (None, None) if self.listen.ip().is_loopback() || self.allow_plain_http => None,
            (None, None) => Some(format!(
                "others may reach {}, and there is no TLS: set tls-certificate and tls-key, or acme-domain, or listen on \
                 127.0.0.1; where a proxy or a VPN encrypts, set allow-plain-http",
                self.listen
            )),
        }
    }

    /// What does not fit together, one sentence each.
    pub(crate) fn contradictions(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        wrong.extend(self.wrong_with_tls());
        wrong.extend(
            self.bucket().and_then(Result::err).map(|why| format!("attachments-bucket: {why}")),
        );
        if self.attachments_bucket.is_some() && self.attachment_size.0 > MAX_SIZE {
            wrong.push(
                "attachment-size is more than attachments-bucket takes: lower it to 5 GiB".into(),
            );
        }
        if self.memory.0 / 8 < self.max_body.0 {
            wrong.push(
                "memory is less than 8 times max-body, so one user's request would not fit: raise memory or lower \
                 max-body"
                    .into(),
            );
        }
        wrong
    }

    /// What they are for the server.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new(crate::provider::provider());
        config.addr = self.listen;
        config.max_body = self.max_body.as_usize();
        config.connections = self.connections;
        config.patience = self.patience;
        config.limits = self.limits();
        config.front = self.front();
        config.tls = self.tls();
        config.monitor = self.metrics;
        config.grace = self.grace;
        config.proxies =
            Proxies { trusted: self.trusted_proxies.clone(), header: self.forwarded_header };
        config.registration = self.registration.at(&self.listen);
        config.publish_every = self.publish_every;
        config.compact_every = self.compact_every;
        config
    }
}

/// The table of `docs/operating.md`.
#[cfg(test)]
fn markdown() -> String {
    use std::fmt::Write;

    let mut text = String::new();
    let mut section = "";
    for setting in TABLE {
        if setting.section != section {
            section = setting.section;
            let _ = write!(
                text,
                "\n### {section}\n\n| flag | variable | key | default | what it is |\n|---|---|---|---|---|\n"
            );
        }
        let Setting { name, placeholder, .. } = setting;
        let variable = setting.variable();
        let default = setting.default().unwrap_or_else(|| "not set".into());
        let help = setting.help().replace('<', "&lt;");
        let flag =
            if setting.is_switch { format!("--{name}") } else { format!("--{name} {placeholder}") };
        let _ = writeln!(text, "| `{flag}` | `{variable}` | `{name}` | `{default}` | {help} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::page_has;

    #[test]
    fn names_are_unique_and_written_alike_everywhere() {
        let mut names: Vec<&str> = TABLE.iter().map(|setting| setting.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
        for name in names {
            let odd = |c: char| !(c.is_ascii_lowercase() || c == '-');
            assert!(!name.contains(odd), "{name}");
        }
    }

    #[test]
    fn each_default_can_be_written_and_is_the_servers_own() {
        let mut settings = Settings::default();
        for setting in TABLE {
            if let Some(default) = setting.default() {
                let text = default.trim_matches(['"', '[', ']']);
                (setting.set)(&mut settings, text)
                    .unwrap_or_else(|e| panic!("{}: {e}", setting.name));
            }
        }
        assert_eq!(settings, Settings::default());

        assert_eq!(settings.limits(), Limits::default());
        assert_eq!(settings.front(), FrontLimits::default());
        let (config, own) = (settings.config(), Config::new(crate::provider::provider()));
        assert_eq!(config.addr, own.addr);
        assert_eq!((config.max_body, config.connections), (own.max_body, own.connections));
        assert_eq!((config.patience, config.publish_every), (own.patience, own.publish_every));
        assert_eq!(config.compact_every, own.compact_every);
        assert_eq!(config.registration, own.registration);
        assert_eq!(config.proxies, own.proxies);
        assert_eq!(settings.contradictions(), Vec::<String>::new());
    }

    #[test]
    fn settings_that_do_not_fit_together_are_told() {
        let mib = |memory: u64, max_body: u64| Settings {
            memory: Size(memory << 20),
            max_body: Size(max_body << 20),
            ..Settings::default()
        };
        assert!(mib(80, 10).contradictions().is_empty());
        assert!(
            mib(79, 10).contradictions()[0].starts_with("memory is less than 8 times max-body")
        );

        let bucket = |url: &str, attachment_size| Settings {
            attachments_bucket: Some(url.into()),
            attachment_size: Size(attachment_size),
            ..Settings::default()
        };
        assert!(bucket("https://s3.example.org/files", 5 << 30).contradictions().is_empty());
        assert!(
            bucket("s3://files", 1 << 30).contradictions()[0].starts_with("attachments-bucket: ")
        );
        let too_long = bucket("https://s3.example.org/files", (5 << 30) + 1).contradictions();
        assert!(too_long[0].starts_with("attachment-size is more"), "{too_long:?}");
    }

    #[test]
    fn a_certificate_comes_from_files_or_from_a_ca() {
        let by_acme = Settings {
            listen: "0.0.0.0:443".parse().unwrap(),
            acme_domain: vec!["chat.example.org".parse().unwrap()],
            ..Settings::default()
        };
        assert_eq!(by_acme.contradictions(), Vec::<String>::new());
        let config = by_acme.acme("data".as_ref()).unwrap().unwrap();
        assert_eq!(config.folder, Path::new("data/acme"));
        assert_eq!(config.directory, AcmeConfig::LETS_ENCRYPT);

        let path = || Some(PathBuf::from("/nowhere"));
        let nobody = Settings { acme_domain: Vec::new(), acme_folder: path(), ..by_acme.clone() };
        for (settings, why) in [
            (Settings { tls_key: path(), ..by_acme.clone() }, "set one or the other"),
            (nobody, "acme-folder belong to acme-domain"),
            (Settings { acme_root: path(), ..by_acme.clone() }, "acme-root: /nowhere: "),
            (
                Settings { acme_directory: "http://ca.example".into(), ..by_acme.clone() },
                "a CA's directory is at https://",
            ),
        ] {
            let wrong = settings.contradictions();
            assert!(wrong.len() == 1 && wrong[0].contains(why), "{why}: {wrong:?}");
        }
    }

    /// With `CONCLAVE_RENDER=1` it writes the table instead.
    #[test]
    fn the_operators_page_has_this_table() {
        let table = format!("{}\n", markdown());
        page_has("operating.md", "settings", &table, "operators_page");
    }
}
