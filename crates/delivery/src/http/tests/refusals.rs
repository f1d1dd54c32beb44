//! Refusals with details, over real sockets.

use super::*;

#[test]
fn what_a_client_can_do_about_a_refusal_comes_over_http() {
    let (folder, mut dice) = (tempfile::tempdir().unwrap(), Dice(9));
    let server = serve(folder.path(), config(0));
    let mut own = Own::new("alice/pc", &mut dice);
    let phone = own.add("phone", &mut dice);
    own.revoke("phone");
    let alice = client(&server, &own);
    let kind = GroupKind::Opaque { epoch: 0 };
    alice.call(&CreateGroup { group_id: ID.into(), kind }).unwrap();

    let message = private(&ID.into(), 0, ContentType::Commit, b"x");
    let request = SubmitCommit { added: vec![phone.id.clone()], ..SubmitCommit::new(message) };
    let refused = alice.call(&request).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::DevicesOutdated));
    let devices = vec![OutdatedDevice { device: phone.id, remedy: DeviceRemedy::Remove }];
    assert_eq!(refused.details(), Some(&Details::Devices { devices, total: 1 }));
    let CallError::Refused { detail, .. } = refused else { panic!("{refused}") };
    assert_eq!(detail, "the commit adds alice/phone, which was revoked");

    // Without details it is a sentence.
    let refused = alice.call(&FetchLog { group_id: [1].into(), after: 0, limit: 1 }).unwrap_err();
    assert_eq!((refused.code(), refused.details()), (Some(ErrorCode::UnknownGroup), None));
}
