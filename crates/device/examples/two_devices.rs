//! Two devices, a room, a message.
use conclave_device::{Device, JoinOptions, MemoryStore, Received, Settings};
use conclave_mls::credential::CredentialRequest;
use conclave_mls::{CipherSuite, Credential, Event, Verdict};
use conclave_provider_rustcrypto::RustCrypto;

const SUITE: CipherSuite = CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Each of the two has a device and a store; an authentication service knows them both.
    let (alice, mut alices_store) =
        (Device::new(Settings::new(RustCrypto::new())), MemoryStore::new());
    let (bob, mut bobs_store) = (Device::new(Settings::new(RustCrypto::new())), MemoryStore::new());
    let judge = |asked: &CredentialRequest| match asked.credential.identity() {
        Some(b"alice" | b"bob") => Verdict::Accept,
        _ => Verdict::refuse("nobody we know"),
    };

    // Bob publishes a key package.
    let me = bob.identity(&mut bobs_store, "me", Credential::basic(b"bob"), SUITE)?;
    let mut published = bob.key_packages(&me, 1)?.write(&mut bobs_store)?;
    let published = published.pop().ok_or("a key package")?;

    // Alice creates a room and adds him.
    let me = alice.identity(&mut alices_store, "me", Credential::basic(b"alice"), SUITE)?;
    let mut room = alice.create(&me, b"friends".as_slice().into())?.write(&mut alices_store)?;
    let stage = alice.check_key_package(&published)?;
    let verdict = judge(stage.credential());
    let client = stage.resolve(verdict)?;
    let change = room.change(|_, change| change.add(&client))?.ok_or("something to do")?;
    let sent = change.write(&mut alices_store)?;

    // The delivery service accepts the commit. Bob joins by the Welcome.
    room.accepted(&sent.id)?.write(&mut alices_store)?;
    let welcome = sent.welcomes.first().ok_or("a Welcome for Bob")?;
    let joining = bob.join(&bobs_store, &welcome.message, JoinOptions::default())?;
    let (mut bobs_room, _from) = joining.judge(judge)?.write(&mut bobs_store)?;

    // Alice writes, Bob reads.
    let message = room.encrypt(b"hello")?.write(&mut alices_store)?;
    match bobs_room.receive(&message)?.judge(judge) {
        Received::Step(step) => match step.write(&mut bobs_store)? {
            Event::Application(read) => assert_eq!(read.data, b"hello"),
            other => return Err(format!("not a message: {other:?}").into()),
        },
        other => return Err(format!("not a message: {other:?}").into()),
    }
    Ok(())
}
