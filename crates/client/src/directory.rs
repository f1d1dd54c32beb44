//! Whom to believe: what the authentication service says of devices, and the keys that were
//! believed before.
//!
//! A key is taken on first use if the service vouches for it, and pinned. A device that comes with
//! another key than its pinned one is refused, whatever the service says.

use conclave_delivery::api::{DeviceId, DeviceInfo, Name};
use conclave_mls::Verdict;
use conclave_mls::credential::{CredentialRequest, CredentialSubject, SignaturePublicKey};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What the service said of users, this time.
#[derive(Default)]
pub(crate) struct Directory {
    users: HashMap<Name, Vec<DeviceInfo>>,
    /// Who was asked for since credentials of theirs were last judged. Devices come and go, so what
    /// was known before says of no device that it does not exist; and what was asked for is not
    /// asked for again, or credentials of two devices that nobody has would be asked for in turn
    /// without end.
    asked: BTreeSet<Name>,
}

/// What became of credentials.
pub(crate) enum Judged {
    /// One verdict for each, and keys to pin with whatever they lead to.
    Verdicts(Vec<Verdict>, Vec<(DeviceId, SignaturePublicKey)>),
    /// The service has to be asked for these users' devices first.
    Ask(Vec<Name>),
}

enum One {
    Accept(Option<DeviceId>),
    Refuse(String),
    Ask(Name),
}

impl Directory {
    /// Takes what the service said of a user; nobody known is an empty list.
    pub(crate) fn learn(&mut self, user: Name, devices: Vec<DeviceInfo>) {
        self.users.insert(user, devices);
    }

    /// The same, where [`Judged::Ask`] asked for it.
    pub(crate) fn answer(&mut self, user: Name, devices: Vec<DeviceInfo>) {
        self.asked.insert(user.clone());
        self.learn(user, devices);
    }

    /// Judges credentials. Nobody is asked for twice before there are verdicts.
    pub(crate) fn judge(
        &mut self,
        pins: &BTreeMap<DeviceId, SignaturePublicKey>,
        me: (&DeviceId, &SignaturePublicKey),
        requests: &[CredentialRequest],
    ) -> Judged {
        let (mut verdicts, mut new, mut ask) = (Vec::new(), Vec::new(), Vec::new());
        for request in requests {
            verdicts.push(match self.judge_one(pins, me, request) {
                One::Accept(pin) => {
                    new.extend(pin.map(|device| (device, request.signature_key.clone())));
                    Verdict::Accept
                }
                One::Refuse(reason) => Verdict::refuse(&reason),
                One::Ask(user) => {
                    ask.push(user);
                    continue;
                }
            });
        }
        if !ask.is_empty() {
            return Judged::Ask(ask);
        }
        let named = |r: &CredentialRequest| DeviceId::from_identity(r.credential.identity()?).ok();
        for device in requests.iter().filter_map(named) {
            self.asked.remove(&device.user);
        }
        Judged::Verdicts(verdicts, new)
    }

    fn judge_one(
        &self,
        pins: &BTreeMap<DeviceId, SignaturePublicKey>,
        (me, my_key): (&DeviceId, &SignaturePublicKey),
        request: &CredentialRequest,
    ) -> One {
        let refuse = |reason: String| One::Refuse(reason);
        if matches!(request.subject, CredentialSubject::ExternalSender(_)) {
            return refuse("this messenger takes no proposals from outside the group".into());
        }
        let Some(identity) = request.credential.identity() else {
            return refuse("its credential is not a basic one".into());
        };
        let device = match DeviceId::from_identity(identity) {
            Ok(device) => device,
            Err(e) => return refuse(format!("its credential names no device: {e}")),
        };
        let key = &request.signature_key;
        if request.replaces.as_ref().is_some_and(|old| old.identity() != Some(identity)) {
            return refuse(format!("{device} would take another device's place"));
        }
        if device == *me {
            return match key == my_key {
                true => One::Accept(None),
                false => refuse(format!("somebody else uses the name {device}")),
            };
        }
        match pins.get(&device) {
            Some(pinned) if pinned == key => return One::Accept(None),
            Some(_) => {
                return refuse(format!(
                    "the key of {device} has changed since it was first seen: it may be somebody \
                     else. If its owner says that the device was set up anew, let it take another \
                     device name"
                ));
            }
            None => {}
        }
        let mut known = self.users.get(&device.user).into_iter().flatten();
        if known.any(|d| d.device == device && d.signature_key == *key) {
            return One::Accept(Some(device));
        }
        match self.asked.contains(&device.user) {
            true => refuse(format!("the service knows no {device} with this key")),
            false => One::Ask(device.user),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_mls::{CipherSuite, Credential};

    fn request(device: &str, key: u8) -> CredentialRequest {
        CredentialRequest {
            subject: CredentialSubject::KeyPackage,
            credential: Credential::basic(device.as_bytes()),
            signature_key: vec![key].into(),
            replaces: None,
        }
    }

    fn info(device: &str, key: u8) -> DeviceInfo {
        DeviceInfo {
            device: device.parse().unwrap(),
            cipher_suite: CipherSuite(1),
            signature_key: vec![key].into(),
            registered_at: 0,
        }
    }

    struct Case {
        directory: Directory,
        pins: BTreeMap<DeviceId, SignaturePublicKey>,
    }

    impl Case {
        fn judge(&mut self, request: CredentialRequest) -> Judged {
            let (me, key) = ("me/here".parse().unwrap(), vec![0].into());
            self.directory.judge(&self.pins, (&me, &key), &[request])
        }
        fn accepts(&mut self, request: CredentialRequest) -> bool {
            match self.judge(request) {
                Judged::Verdicts(verdicts, _) => verdicts == [Verdict::Accept],
                Judged::Ask(_) => panic!("no answer"),
            }
        }
    }

    fn case() -> Case {
        Case { directory: Directory::default(), pins: BTreeMap::new() }
    }

    #[test]
    fn a_key_that_the_service_vouches_for_is_taken_and_pinned() {
        let mut case = case();
        assert!(matches!(case.judge(request("bob/pc", 1)), Judged::Ask(_)));
        case.directory.learn("bob".parse().unwrap(), vec![info("bob/pc", 1)]);
        let Judged::Verdicts(verdicts, pins) = case.judge(request("bob/pc", 1)) else { panic!() };
        assert_eq!(verdicts, [Verdict::Accept]);
        assert_eq!(pins, [("bob/pc".parse().unwrap(), vec![1].into())]);
    }

    #[test]
    fn a_changed_key_is_refused_even_if_the_service_vouches_for_it() {
        let mut case = case();
        case.pins.insert("bob/pc".parse().unwrap(), vec![1].into());
        case.directory.learn("bob".parse().unwrap(), vec![info("bob/pc", 2)]);
        assert!(case.accepts(request("bob/pc", 1)));
        assert!(!case.accepts(request("bob/pc", 2)));
    }

    #[test]
    fn who_is_not_known_is_asked_for_once_more_each_time() {
        let mut case = case();
        let bob = || "bob".parse().unwrap();
        // Whatever was known before: bob/pc may have come since.
        case.directory.learn(bob(), vec![info("bob/phone", 2)]);
        assert!(case.accepts(request("bob/phone", 2)));
        assert!(matches!(case.judge(request("bob/pc", 1)), Judged::Ask(_)));
        case.directory.answer(bob(), vec![]);
        assert!(!case.accepts(request("bob/pc", 1)));
        assert!(matches!(case.judge(request("bob/pc", 1)), Judged::Ask(_)));
        case.directory.answer(bob(), vec![info("bob/pc", 1)]);
        assert!(case.accepts(request("bob/pc", 1)));
    }

    #[test]
    fn devices_that_nobody_has_are_asked_for_once() {
        let mut case = case();
        let devices = ["bob/a", "bob/b", "carol/a", "dave/a", "carol/b", "dave/b"];
        let requests = devices.map(|device| request(device, 1));
        let (me, key) = ("me/here".parse().unwrap(), vec![0].into());
        let mut asked = Vec::new();
        let verdicts = loop {
            match case.directory.judge(&case.pins, (&me, &key), &requests) {
                Judged::Verdicts(verdicts, _) => break verdicts,
                Judged::Ask(users) => {
                    let users = BTreeSet::from_iter(users);
                    asked.extend(users.iter().map(ToString::to_string));
                    assert!(asked.len() <= 3, "{asked:?}");
                    users.into_iter().for_each(|user| case.directory.answer(user, vec![]));
                }
            }
        };
        assert!(verdicts.iter().all(|verdict| *verdict != Verdict::Accept));
        assert_eq!(asked, ["bob", "carol", "dave"]);
    }

    #[test]
    fn nobody_takes_this_devices_name_or_anothers_place() {
        let mut case = case();
        assert!(case.accepts(request("me/here", 0)));
        assert!(!case.accepts(request("me/here", 1)));
        case.pins.insert("bob/pc".parse().unwrap(), vec![1].into());
        let replaces = Some(Credential::basic(b"carol/pc"));
        assert!(!case.accepts(CredentialRequest { replaces, ..request("bob/pc", 1) }));
        let certificates = Vec::new();
        let credential = Credential::X509 { certificates };
        assert!(!case.accepts(CredentialRequest { credential, ..request("bob/pc", 1) }));
    }
}
