//! The service's calls one by one, as far as no scenario covers them.

use conclave_interop::proto::mls_client_client::MlsClientClient;
use conclave_interop::proto::*;
use conclave_interop::service::Service;
use conclave_interop::service::serve::listen;
use conclave_mls::wire::{Decode, MlsMessage, MlsMessageBody};
use conclave_provider_rustcrypto::RustCrypto;
use std::collections::BTreeSet;
use tonic::transport::Channel;
use tonic::{Code, Status};

type Client = MlsClientClient<Channel>;

/// A service of its own for each test.
async fn client() -> Client {
    let socket = listen("127.0.0.1", 0).await.unwrap();
    let address = format!("http://{}", socket.address());
    let service = Service::new(Box::new(RustCrypto::new()), false);
    tokio::spawn(socket.serve(service, std::future::pending()));
    Client::connect(address).await.unwrap()
}

async fn create(client: &mut Client, name: &[u8]) -> u32 {
    let request = CreateGroupRequest {
        group_id: name.to_vec(),
        cipher_suite: 1,
        encrypt_handshake: false,
        identity: b"alice".to_vec(),
    };
    client.create_group(request).await.unwrap().into_inner().state_id
}

async fn key_package(client: &mut Client, identity: &[u8]) -> CreateKeyPackageResponse {
    let request = CreateKeyPackageRequest { cipher_suite: 1, identity: identity.to_vec() };
    client.create_key_package(request).await.unwrap().into_inner()
}

async fn authenticator(client: &mut Client, state_id: u32) -> Result<Vec<u8>, Status> {
    let answer = client.state_auth(StateAuthRequest { state_id }).await?;
    Ok(answer.into_inner().state_auth_secret)
}

fn add(key_package: Vec<u8>) -> ProposalDescription {
    ProposalDescription { proposal_type: b"add".to_vec(), key_package, ..Default::default() }
}

/// The outcome of a call.
fn code<T>(answer: Result<T, Status>) -> Code {
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}

/// The states of alice and bob in a group of one service.
async fn pair(client: &mut Client) -> (u32, u32) {
    let alice = create(client, b"pair").await;
    let bob = key_package(client, b"bob").await;
    let by_value = vec![add(bob.key_package)];
    let request = CommitRequest { state_id: alice, by_value, ..Default::default() };
    let made = client.commit(request).await.unwrap().into_inner();
    client.handle_pending_commit(HandlePendingCommitRequest { state_id: alice }).await.unwrap();
    let transaction_id = bob.transaction_id;
    let request = JoinGroupRequest { transaction_id, welcome: made.welcome, ..Default::default() };
    let bob = client.join_group(request).await.unwrap().into_inner().state_id;
    (alice, bob)
}

/// The outcome of every call with an id and bytes in all of its fields.
async fn all_calls(c: &mut Client, id: u32, junk: &[u8]) -> Vec<(&'static str, Code)> {
    let bytes = || junk.to_vec();
    let list = || vec![junk.to_vec()];
    let extensions = || vec![Extension { extension_type: id, extension_data: junk.to_vec() }];
    let description = || ProposalDescription {
        proposal_type: junk.to_vec(),
        key_package: junk.to_vec(),
        removed_id: junk.to_vec(),
        psk_id: junk.to_vec(),
        epoch_id: u64::MAX,
        extensions: extensions(),
        group_id: junk.to_vec(),
        cipher_suite: id,
    };

    let commit = || CommitRequest {
        state_id: id,
        by_reference: list(),
        by_value: vec![description()],
        force_path: true,
        external_tree: true,
    };

    let handle = || HandleCommitRequest { state_id: id, proposal: list(), commit: bytes() };
    let mut codes = Vec::new();
    macro_rules! call {
        ($($name:ident $request:expr;)*) => {
            $(codes.push((stringify!($name), code(c.$name($request).await)));)*
        };
    }

    call! {
        name NameRequest {};
        supported_ciphersuites SupportedCiphersuitesRequest {};
        create_group CreateGroupRequest {
            group_id: bytes(), cipher_suite: id, encrypt_handshake: true, identity: bytes()
        };
        create_key_package CreateKeyPackageRequest { cipher_suite: id, identity: bytes() };
        join_group JoinGroupRequest {
            transaction_id: id, welcome: bytes(), encrypt_handshake: true, identity: bytes(),
            ratchet_tree: bytes()
        };
        external_join ExternalJoinRequest {
            group_info: bytes(), ratchet_tree: bytes(), encrypt_handshake: true, identity: bytes(),
            remove_prior: true, psks: vec![PreSharedKey { psk_id: bytes(), psk_secret: bytes() }]
        };
        group_info GroupInfoRequest { state_id: id, external_tree: true };
        state_auth StateAuthRequest { state_id: id };
        export ExportRequest {
            state_id: id, label: "label".into(), context: bytes(), key_length: u32::MAX
        };
        protect ProtectRequest { state_id: id, authenticated_data: bytes(), plaintext: bytes() };
        unprotect UnprotectRequest { state_id: id, ciphertext: bytes() };
        store_psk StorePskRequest {
            state_or_transaction_id: id, psk_id: bytes(), psk_secret: bytes()
        };
        add_proposal AddProposalRequest { state_id: id, key_package: bytes() };
        update_proposal UpdateProposalRequest { state_id: id };
        remove_proposal RemoveProposalRequest { state_id: id, removed_id: bytes() };
        external_psk_proposal ExternalPskProposalRequest { state_id: id, psk_id: bytes() };
        resumption_psk_proposal ResumptionPskProposalRequest { state_id: id, epoch_id: u64::MAX };
        group_context_extensions_proposal GroupContextExtensionsProposalRequest {
            state_id: id, extensions: extensions()
        };
        commit commit();
        handle_commit handle();
        handle_pending_commit HandlePendingCommitRequest { state_id: id };
        re_init_proposal ReInitProposalRequest {
            state_id: id, cipher_suite: id, group_id: bytes(), extensions: extensions()
        };
        re_init_commit commit();
        handle_pending_re_init_commit HandlePendingCommitRequest { state_id: id };
        handle_re_init_commit handle();
        re_init_welcome ReInitWelcomeRequest {
            reinit_id: id, key_package: list(), force_path: true, external_tree: true
        };
        handle_re_init_welcome HandleReInitWelcomeRequest {
            reinit_id: id, welcome: bytes(), ratchet_tree: bytes()
        };
        create_branch CreateBranchRequest {
            state_id: id, group_id: bytes(), extensions: extensions(), key_packages: list(),
            force_path: true, external_tree: true
        };
        handle_branch HandleBranchRequest {
            state_id: id, transaction_id: id, welcome: bytes(), ratchet_tree: bytes()
        };
        new_member_add_proposal NewMemberAddProposalRequest {
            group_info: bytes(), identity: bytes()
        };
        create_external_signer CreateExternalSignerRequest { cipher_suite: id, identity: bytes() };
        add_external_signer AddExternalSignerRequest { state_id: id, external_sender: bytes() };
        external_signer_proposal ExternalSignerProposalRequest {
            signer_id: id, signer_index: id, group_info: bytes(), ratchet_tree: bytes(),
            description: Some(description())
        };
        free FreeRequest { state_id: id };
    }

    codes
}

#[tokio::test]
async fn unknown_ids_are_not_found_and_nonsense_is_invalid() {
    let mut client = client().await;
    let codes = all_calls(&mut client, 0x0001_0001, b"nonsense").await;
    assert_eq!(codes.len(), 34);
    // Calls without a state, or with another field that is checked first.
    let others = [
        "name",
        "supported_ciphersuites",
        "create_group",
        "create_key_package",
        "external_join",
        "add_proposal",
        "group_context_extensions_proposal",
        "re_init_proposal",
        "new_member_add_proposal",
        "create_external_signer",
        "add_external_signer",
    ];
    for (call, got) in codes {
        let wanted = match others.contains(&call) {
            true if call == "name" || call == "supported_ciphersuites" => Code::Ok,
            true => Code::InvalidArgument,
            false => Code::NotFound,
        };
        assert_eq!(got, wanted, "{call}");
    }
}

/// A message of each kind from alice's group: complete, cut short, too long, damaged.
async fn junk(client: &mut Client, alice: u32) -> Vec<Vec<u8>> {
    let info = GroupInfoRequest { state_id: alice, external_tree: false };
    let info = client.group_info(info).await.unwrap().into_inner().group_info;
    let text = ProtectRequest { state_id: alice, ..Default::default() };
    let text = client.protect(text).await.unwrap().into_inner().ciphertext;
    let update = UpdateProposalRequest { state_id: alice };
    let update = client.update_proposal(update).await.unwrap().into_inner().proposal;
    let fresh = key_package(client, b"carol").await.key_package;
    let by_value = vec![add(fresh.clone())];
    let commit = CommitRequest { state_id: alice, by_value, ..Default::default() };
    let commit = client.commit(commit).await.unwrap().into_inner();
    let mut junk = vec![Vec::new(), vec![0], vec![0xff; 40]];
    for message in [info, text, update, fresh, commit.commit, commit.welcome] {
        junk.extend([message[..message.len() / 2].to_vec(), [&message, &[0][..]].concat()]);
        for place in [4, message.len() / 2, message.len() - 1] {
            let mut damaged = message.clone();
            damaged[place] ^= 1;
            junk.push(damaged);
        }
        junk.push(message);
    }

    junk
}

#[tokio::test]
async fn no_call_breaks_the_service_whatever_its_bytes_are() {
    let mut client = client().await;
    let harmless = [Code::Ok, Code::InvalidArgument, Code::NotFound, Code::FailedPrecondition];
    for round in 0.. {
        // The last of all calls frees the state.
        let (alice, bob) = pair(&mut client).await;
        let before = authenticator(&mut client, alice).await.unwrap();
        let Some(junk) = junk(&mut client, alice).await.into_iter().nth(round) else {
            assert!(round > 30);
            break;
        };
        for (call, got) in all_calls(&mut client, bob, &junk).await {
            assert!(harmless.contains(&got), "{call} of {junk:02x?}: {got:?}");
        }
        assert_eq!(code(authenticator(&mut client, bob).await), Code::NotFound);
        assert_eq!(authenticator(&mut client, alice).await.unwrap(), before);
    }
}

#[tokio::test]
async fn a_tree_travels_where_it_is_wanted_and_nowhere_else() {
    let mut client = client().await;
    for apart in [false, true] {
        let alice = create(&mut client, b"group").await;
        let bob = key_package(&mut client, b"bob").await;
        let by_value = vec![add(bob.key_package)];
        let request =
            CommitRequest { state_id: alice, by_value, external_tree: apart, ..Default::default() };
        let made = client.commit(request).await.unwrap().into_inner();
        client.handle_pending_commit(HandlePendingCommitRequest { state_id: alice }).await.unwrap();
        let info = GroupInfoRequest { state_id: alice, external_tree: apart };
        let info = client.group_info(info).await.unwrap().into_inner();
        assert_eq!((made.ratchet_tree.is_empty(), info.ratchet_tree.is_empty()), (!apart, !apart));
        let outcome = if apart { Code::FailedPrecondition } else { Code::Ok };
        let request = ExternalJoinRequest { group_info: info.group_info, ..Default::default() };
        assert_eq!(code(client.external_join(request.clone()).await), outcome);
        let with = ExternalJoinRequest { ratchet_tree: info.ratchet_tree, ..request };
        assert_eq!(code(client.external_join(with).await), Code::Ok);
        let request = JoinGroupRequest {
            transaction_id: bob.transaction_id,
            welcome: made.welcome,
            ..Default::default()
        };
        assert_eq!(code(client.join_group(request.clone()).await), outcome);
        if apart {
            let with = JoinGroupRequest { ratchet_tree: made.ratchet_tree, ..request };
            assert_eq!(code(client.join_group(with).await), Code::Ok);
        }
    }
}

#[tokio::test]
async fn handshakes_are_encrypted_where_they_are_to_be() {
    let mut client = client().await;
    for encrypt_handshake in [false, true] {
        let group_id = b"group".to_vec();
        let identity = b"alice".to_vec();
        let request = CreateGroupRequest { group_id, cipher_suite: 1, encrypt_handshake, identity };
        let state_id = client.create_group(request).await.unwrap().into_inner().state_id;
        let update = UpdateProposalRequest { state_id };
        let update = client.update_proposal(update).await.unwrap().into_inner().proposal;
        let commit = CommitRequest { state_id, ..Default::default() };
        let commit = client.commit(commit).await.unwrap().into_inner().commit;
        for message in [update, commit] {
            let body = MlsMessage::from_bytes(&message).unwrap().body;
            let private = matches!(body, MlsMessageBody::PrivateMessage(_));
            assert_eq!(private, encrypt_handshake);
        }
    }
}

#[tokio::test]
async fn to_free_releases_a_state_and_nothing_else() {
    let mut client = client().await;
    let (alice, bob) = pair(&mut client).await;
    let carol = key_package(&mut client, b"carol").await.transaction_id;
    client.free(FreeRequest { state_id: alice }).await.unwrap();
    assert_eq!(code(authenticator(&mut client, alice).await), Code::NotFound);
    assert_eq!(code(client.free(FreeRequest { state_id: alice }).await), Code::NotFound);
    assert!(authenticator(&mut client, bob).await.is_ok());
    let psk = StorePskRequest { state_or_transaction_id: carol, ..Default::default() };
    assert_eq!(code(client.store_psk(psk.clone()).await), Code::Ok);
    client.free(FreeRequest { state_id: carol }).await.unwrap();
    assert_eq!(code(client.store_psk(psk).await), Code::NotFound);
    // No id is used twice.
    let next = create(&mut client, b"another").await;
    assert!(![alice, bob, carol].contains(&next));
}

#[tokio::test]
async fn a_key_package_serves_once_and_is_kept_if_the_welcome_is_bad() {
    let mut client = client().await;
    let alice = create(&mut client, b"group").await;
    let bob = key_package(&mut client, b"bob").await;
    let by_value = vec![add(bob.key_package)];
    let request = CommitRequest { state_id: alice, by_value, ..Default::default() };
    let welcome = client.commit(request).await.unwrap().into_inner().welcome;
    let join = |welcome: Vec<u8>| JoinGroupRequest {
        transaction_id: bob.transaction_id,
        welcome,
        ..Default::default()
    };

    let mut damaged = welcome.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(code(client.join_group(join(damaged)).await), Code::InvalidArgument);
    assert_eq!(code(client.join_group(join(welcome.clone())).await), Code::Ok);
    assert_eq!(code(client.join_group(join(welcome)).await), Code::NotFound);
}

#[tokio::test]
async fn a_commit_that_would_leave_a_proposal_out_is_not_made() {
    let mut client = client().await;
    let (alice, bob) = pair(&mut client).await;
    let psk_id = b"known to bob only".to_vec();
    let request = ExternalPskProposalRequest { state_id: bob, psk_id: psk_id.clone() };
    let proposal = client.external_psk_proposal(request).await.unwrap().into_inner().proposal;
    let by_reference = vec![proposal];
    let commit = || CommitRequest {
        state_id: alice,
        by_reference: by_reference.clone(),
        ..Default::default()
    };

    let refused = client.commit(commit()).await;
    assert_eq!(code(refused), Code::FailedPrecondition);
    let pending = HandlePendingCommitRequest { state_id: alice };
    assert_eq!(code(client.handle_pending_commit(pending).await), Code::FailedPrecondition);
    for state in [alice, bob] {
        let psk_secret = b"secret".to_vec();
        let psk_id = psk_id.clone();
        let request = StorePskRequest { state_or_transaction_id: state, psk_id, psk_secret };
        client.store_psk(request).await.unwrap();
    }

    let commit = client.commit(commit()).await.unwrap().into_inner().commit;
    client.handle_pending_commit(pending).await.unwrap();
    let request = HandleCommitRequest { state_id: bob, proposal: by_reference, commit };
    let followed = client.handle_commit(request).await.unwrap().into_inner();
    let wanted = authenticator(&mut client, alice).await.unwrap();
    assert_eq!(followed.epoch_authenticator, wanted);
}

#[tokio::test]
async fn whoever_is_removed_is_told_and_can_do_nothing_any_more() {
    let mut client = client().await;
    let (alice, bob) = pair(&mut client).await;
    let remove = ProposalDescription {
        proposal_type: b"remove".to_vec(),
        removed_id: b"bob".to_vec(),
        ..Default::default()
    };

    let request = CommitRequest { state_id: alice, by_value: vec![remove], ..Default::default() };
    let commit = client.commit(request).await.unwrap().into_inner().commit;
    let request = HandleCommitRequest { state_id: bob, commit, ..Default::default() };
    assert_eq!(code(client.handle_commit(request).await), Code::FailedPrecondition);
    assert_eq!(code(authenticator(&mut client, bob).await), Code::FailedPrecondition);
    let request = ProtectRequest { state_id: bob, ..Default::default() };
    assert_eq!(code(client.protect(request).await), Code::FailedPrecondition);
}

#[tokio::test]
async fn another_commit_in_place_of_a_pending_one_is_the_one_that_counts() {
    let mut client = client().await;
    let (alice, bob) = pair(&mut client).await;
    let commit = CommitRequest { state_id: alice, force_path: true, ..Default::default() };
    let first = client.commit(commit.clone()).await.unwrap().into_inner().commit;
    let second = client.commit(commit).await.unwrap().into_inner().commit;
    assert_ne!(first, second);
    client.handle_pending_commit(HandlePendingCommitRequest { state_id: alice }).await.unwrap();
    let request = HandleCommitRequest { state_id: bob, commit: second, ..Default::default() };
    client.handle_commit(request).await.unwrap();
    let a = authenticator(&mut client, alice).await;
    let b = authenticator(&mut client, bob).await;
    assert_eq!(a.unwrap(), b.unwrap());
}

/// Every message, field and call of `proto/mls_client.proto`, without comments.
fn interface() -> BTreeSet<String> {
    let mut of = String::new();
    let mut lines = BTreeSet::new();
    for line in include_str!("../proto/mls_client.proto").lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        let words: Vec<&str> =
            line.split([' ', '(', ')', ';', '{', '}']).filter(|w| !w.is_empty()).collect();
        match words.as_slice() {
            ["message" | "service", name] => of = (*name).to_owned(),
            ["rpc", call, request, "returns", response] => {
                lines.insert(format!("{of}/{call} {request} {response}"));
            }
            ["package", _] | ["syntax", ..] | [] => {}
            [kind @ .., name, "=", number] => {
                lines.insert(format!("{of}.{name} {number} {}", kind.join(" ")));
            }
            other => panic!("{other:?}"),
        }
    }

    lines
}

#[test]
fn the_interface_is_the_working_groups() {
    let contract = include_str!("interface.txt").lines().map(str::to_owned);
    assert_eq!(interface(), contract.collect());
}
