//! Devices that speak the service's protocol, with messages that are made up.

use conclave_account::{Account, Author, DeviceKey, Entry};
use conclave_client::os_rng;
use conclave_delivery::http_client::{Client, Session};
use conclave_delivery_api::*;
use conclave_mls::UnixTime;
use conclave_mls::credential::LeafParams;
use conclave_mls::crypto::{CryptoProvider, SignatureKeyPair, SignatureScheme};
use conclave_mls::key_package::{KeyPackageParams, OwnKeyPackage};
use conclave_mls::wire::{Credential, Epoch, Lifetime, MlsMessage, MlsMessageBody, PrivateMessage};
use conclave_provider_aws_lc::AwsLc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

pub(crate) const SUITE: CipherSuite = CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519;
const SCHEME: SignatureScheme = SignatureScheme::Ed25519;

pub(crate) struct Device {
    pub(crate) id: DeviceId,
    keys: SignatureKeyPair,
    provider: Arc<dyn CryptoProvider>,
    client: Client,
    session: Mutex<Option<Session>>,
}

fn now() -> UnixTime {
    UnixTime::try_from(SystemTime::now()).unwrap()
}

impl Device {
    /// A new user with one device.
    pub(crate) fn register(url: &str, user: &str) -> Self {
        let (device, request) = Self::new(url, user);
        device.client.call(&request).unwrap();
        device
    }

    /// A new user with one device, and what makes the account.
    pub(crate) fn new(url: &str, user: &str) -> (Self, SubmitAccount) {
        let provider: Arc<dyn CryptoProvider> = Arc::new(AwsLc::new());
        let (user, device): (Name, Name) = (user.parse().unwrap(), "main".parse().unwrap());
        let keys = provider.signature_key_pair(SCHEME, &mut *os_rng()).unwrap();
        let proved = DeviceKey::proved(&*provider, &user, device.clone(), SCHEME, &keys).unwrap();
        let entry: Entry =
            Account::draft_creation(&*provider, &user, proved, &keys, now()).unwrap();
        let entries = vec![entry.to_bytes().unwrap().into()];
        let request = SubmitAccount { user: user.clone(), entries, invitation: None };
        let id = DeviceId::new(user, device);
        let client = Client::new(url);
        (Self { id, keys, provider, client, session: Mutex::default() }, request)
    }

    fn open(&self) -> Result<Session, CallError> {
        let pair = self.provider.signature_key_pair(SESSION_SCHEME, &mut *os_rng()).unwrap();
        let who = (self.id.user.clone(), Author::Device(self.id.device.clone()));
        let (own, public) = ((SCHEME, &self.keys), pair.public.clone());
        let service = self.client.call(&DescribeService {})?.key;
        let request = OpenSession::signed(&*self.provider, &service, who, own, public, now());
        let opened = self.client.call(&request.unwrap())?;
        Ok(Session::new(self.provider.clone(), pair, opened.token))
    }

    /// Calls without a session.
    pub(crate) fn ask<C: Call>(&self, request: &C) -> Result<C::Reply, CallError> {
        self.client.call(request)
    }

    /// Calls, in a session that is opened if there is none or the service has forgotten it.
    pub(crate) fn call<C: Call>(&self, request: &C) -> Result<C::Reply, CallError> {
        let known = self.session.lock().unwrap().clone();
        let session = match known {
            Some(session) => session,
            None => {
                let opened = self.open()?;
                *self.session.lock().unwrap() = Some(opened.clone());
                opened
            }
        };
        let token = session.token().expose().to_string();
        let result = self.client.clone().with_session(session).call(request);
        if let Err(e) = &result
            && e.code() == Some(ErrorCode::Unauthorized)
        {
            let mut known = self.session.lock().unwrap();
            // Unless another thread has opened one meanwhile.
            if known.as_ref().is_some_and(|known| known.token().expose() == token) {
                *known = None;
            }
            drop(known);
            return self.call(request);
        }
        result
    }

    pub(crate) fn whole_log(&self, group: &GroupId) -> Vec<LogEntry> {
        let mut log: Vec<LogEntry> = Vec::new();
        loop {
            let after = log.last().map_or(0, |entry| entry.seq);
            let page =
                self.call(&FetchLog { group_id: group.clone(), after, limit: 1000 }).unwrap();
            if page.entries.is_empty() {
                return log;
            }
            log.extend(page.entries);
        }
    }
}

fn message(body: MlsMessageBody) -> Bytes {
    MlsMessage { body }.to_bytes().unwrap().into()
}

/// A PrivateMessage whose ciphertext is made up, which the service cannot know.
pub(crate) fn private(
    group: &GroupId,
    epoch: u64,
    content_type: ContentType,
    data: &[u8],
) -> Bytes {
    message(MlsMessageBody::PrivateMessage(PrivateMessage {
        group_id: group.clone(),
        epoch: Epoch(epoch),
        content_type,
        authenticated_data: Bytes::default(),
        encrypted_sender_data: Bytes::default(),
        ciphertext: data.into(),
    }))
}

/// Makes a group that all devices are in.
pub(crate) fn group_of(members: &[Device], group: &GroupId) {
    let kind = GroupKind::Opaque { epoch: 0 };
    members[0].call(&CreateGroup { group_id: group.clone(), kind }).unwrap();
    let bytes = private(group, 0, ContentType::Commit, b"all come in");
    let added = members.iter().map(|member| member.id.clone()).collect();
    let outcome = members[0].call(&SubmitCommit { added, ..SubmitCommit::new(bytes) }).unwrap();
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
}

/// New key packages of a device.
pub(crate) fn key_packages(of: &Device, count: usize) -> Vec<Bytes> {
    let one = |_| {
        let lifetime = Lifetime::starting_at(
            now().saturating_sub(Duration::from_secs(3600)),
            Duration::from_secs(7 * 24 * 3600),
        );
        let params = KeyPackageParams {
            cipher_suite: SUITE,
            leaf: LeafParams::new(Credential::basic(&of.id.identity()), &[SUITE]),
            lifetime,
            extensions: vec![],
            last_resort: false,
        };
        let own = OwnKeyPackage::generate(&*of.provider, &mut *os_rng(), params, of.keys.clone());
        message(MlsMessageBody::KeyPackage(Box::new(own.unwrap().key_package().clone())))
    };
    (0..count).map(one).collect()
}
