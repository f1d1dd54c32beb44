//! Users with their devices, registered and with sessions.

use crate::Failure;
use conclave_account::{Account, Author, Change, DeviceKey};
use conclave_client::SUITES;
use conclave_delivery::http_client::{Client, Session};
use conclave_delivery_api::*;
use conclave_mls::UnixTime;
use conclave_mls::crypto::{CryptoProvider, CryptoRng, SignatureKeyPair, SignatureScheme};
use conclave_mls::wire::{Epoch, MlsMessage, MlsMessageBody, PrivateMessage};
use conclave_provider_aws_lc::AwsLc;
use std::sync::Arc;
use std::time::SystemTime;

pub const SCHEME: SignatureScheme = SignatureScheme::Ed25519;

pub fn provider() -> Arc<dyn CryptoProvider> {
    // A service checks its groups, with the suites of the messenger.
    Arc::new(AwsLc::new().with_suites(SUITES))
}

pub fn rng() -> impl CryptoRng {
    rand_core::UnwrapErr(getrandom::SysRng)
}

pub fn now() -> Result<UnixTime, Failure> {
    Ok(UnixTime::try_from(SystemTime::now())?)
}

/// A device with a session.
pub struct Device {
    pub id: DeviceId,
    pub keys: SignatureKeyPair,
    pub client: Client,
    /// What signs its requests, and names its session.
    pub session: (SignatureKeyPair, Token),
}

/// A user's devices, registered in one request; each opens a session.
pub fn user(url: &str, name: &str, devices: usize) -> Result<Vec<Device>, Failure> {
    let (provider, now) = (provider(), now()?);
    let user: Name = name.parse()?;
    let key = |n: usize| -> Result<(Name, SignatureKeyPair, DeviceKey), Failure> {
        let keys = provider.signature_key_pair(SCHEME, &mut rng())?;
        let device: Name = format!("d{n}").parse()?;
        let proved = DeviceKey::proved(&*provider, &user, device.clone(), SCHEME, &keys)?;
        Ok((device, keys, proved))
    };
    let (first, first_keys, proved) = key(0)?;
    let mut log = vec![Account::draft_creation(&*provider, &user, proved, &first_keys, now)?];
    let mut account = Account::from_entries(&*provider, &log)?;
    let mut all = vec![(first.clone(), first_keys.clone())];
    for n in 1..devices {
        let (name, keys, proved) = key(n)?;
        let author = Author::Device(first.clone());
        let entry =
            account.draft(&*provider, author, &first_keys, Change::AddDevice(proved), now)?;
        account.apply(&*provider, &entry)?;
        log.push(entry);
        all.push((name, keys));
    }
    let entries =
        log.iter().map(|entry| Ok(entry.to_bytes()?.into())).collect::<Result<_, Failure>>()?;
    let anonymous = Client::new(url);
    anonymous.call(&SubmitAccount { user: user.clone(), entries, invitation: None })?;

    let service_key = anonymous.call(&DescribeService {})?.key;
    let open = |(name, keys): (Name, SignatureKeyPair)| {
        let pair = provider.signature_key_pair(SESSION_SCHEME, &mut rng())?;
        let who = (user.clone(), Author::Device(name.clone()));
        let public = pair.public.clone();
        let request =
            OpenSession::signed(&*provider, &service_key, who, (SCHEME, &keys), public, now)?;
        let opened = anonymous.call(&request)?;
        let session = Session::new(provider.clone(), pair.clone(), opened.token.clone());
        let client = anonymous.clone().with_session(session);
        let id = DeviceId::new(user.clone(), name);
        Ok(Device { id, keys, client, session: (pair, opened.token) })
    };
    all.into_iter().map(open).collect()
}

/// A PrivateMessage that is made up, which the service cannot know.
pub fn private(
    group: &GroupId,
    epoch: u64,
    content_type: ContentType,
    data: Vec<u8>,
) -> Result<Bytes, Failure> {
    let body = MlsMessageBody::PrivateMessage(PrivateMessage {
        group_id: group.clone(),
        epoch: Epoch(epoch),
        content_type,
        authenticated_data: Bytes::default(),
        encrypted_sender_data: Bytes::default(),
        ciphertext: data.into(),
    });
    Ok(MlsMessage { body }.to_bytes()?.into())
}

/// A message of a kibibyte like no other.
pub fn message(group: &GroupId, epoch: u64) -> Result<Bytes, Failure> {
    let mut data = vec![0; 1024];
    getrandom::fill(&mut data[..16])?;
    private(group, epoch, ContentType::Application, data)
}

/// A new group of a device, in which handshake messages are private.
pub fn group(of: &Device) -> Result<GroupId, Failure> {
    let mut id = [0; 16];
    getrandom::fill(&mut id)?;
    let id = GroupId::from(id);
    of.client.call(&CreateGroup { group_id: id.clone(), kind: GroupKind::Opaque { epoch: 0 } })?;
    Ok(id)
}
