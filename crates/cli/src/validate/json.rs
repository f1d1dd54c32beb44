//! Verdicts as JSON: identifiers in hexadecimal, objects of MLS and states in base64.

use base64ct::{Base64, Encoding};
use conclave_delivery_api::{Bytes, FieldMisfit, to_hex};
use conclave_mls::wire::{Credential, Encode};
use conclave_validator::{
    CredentialRequest, CredentialSubject, GroupInfoMisfit, GroupState, GroupVerdict,
    KeyPackageVerdict, Kind, Member, MessageVerdict, Refusal, Sender, WelcomeVerdict,
};
use serde_json::{Value, json};

/// What is said of something, valid or not.
pub(super) fn verdict(judged: Result<Value, Refusal>) -> Value {
    let refused = |e: Refusal| {
        let mut said = json!({ "valid": false, "code": e.code(), "reason": e.to_string() });
        if let (Refusal::GroupInfo(_, misfits), Value::Object(fields)) = (&e, &mut said) {
            let misfits = misfits.iter().map(misfit).collect();
            fields.insert("misfits".into(), Value::Array(misfits));
        }
        said
    };
    let valid = |mut fields: Value| {
        if let Value::Object(fields) = &mut fields {
            fields.insert("valid".into(), true.into());
        }
        fields
    };
    judged.map_or_else(refused, valid)
}

/// A field of a GroupInfo that does not fit. Of a long value it has the SHA-256.
fn misfit(misfit: &GroupInfoMisfit) -> Value {
    let (expected, found) = (misfit.expected.as_deref(), misfit.found.as_deref());
    let shown = FieldMisfit::of(misfit.field, expected, found);
    let hex = |value: Option<Bytes>| value.map(|value| to_hex(&value));
    let (expected, found) = (hex(shown.expected), hex(shown.found));
    json!({ "field": misfit.field, "expected": expected, "found": found })
}

pub(super) fn key_package(verdict: &KeyPackageVerdict) -> Value {
    json!({
        "reference": to_hex(&verdict.reference),
        "cipher_suite": verdict.cipher_suite.0,
        "init_key": to_hex(&verdict.init_key),
        "not_before": verdict.lifetime.not_before,
        "not_after": verdict.lifetime.not_after,
        "last_resort": verdict.last_resort,
        "credential": request(&verdict.credential),
    })
}

pub(super) fn group(verdict: &GroupVerdict) -> Value {
    json!({
        "group_id": to_hex(&verdict.group_id),
        "epoch": verdict.state.epoch(),
        "cipher_suite": verdict.cipher_suite.0,
        "members": members(&verdict.members),
        "credentials": requests(&verdict.credentials),
    })
}

pub(super) fn message(verdict: &MessageVerdict) -> Value {
    let kind = match verdict.kind {
        Kind::Proposal => "proposal",
        Kind::Commit => "commit",
    };
    let components = verdict.components.iter().map(|component| {
        let data = component.data.as_ref().map(|data| base64(data));
        json!({ "component": component.component_id.0, "data": data })
    });
    let references = verdict.key_packages.iter().map(|reference| to_hex(reference));
    json!({
        "kind": kind,
        "epoch": verdict.next.epoch(),
        "sender": sender(&verdict.sender),
        "added": members(&verdict.added),
        "key_packages": references.collect::<Vec<_>>(),
        "left_out": verdict.left_out.iter().map(|reference| to_hex(reference)).collect::<Vec<_>>(),
        "removed": members(&verdict.removed),
        "updated": members(&verdict.updated),
        "components": components.collect::<Vec<_>>(),
        "credentials": requests(&verdict.credentials),
    })
}

pub(super) fn group_info(next: &GroupState) -> Value {
    json!({ "epoch": next.epoch() })
}

pub(super) fn welcome(verdict: &WelcomeVerdict) -> Value {
    let recipients = verdict.recipients.iter().map(|reference| to_hex(reference));
    json!({ "recipients": recipients.collect::<Vec<_>>() })
}

pub(super) fn base64(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

fn sender(sender: &Sender) -> Value {
    match sender {
        Sender::Member(leaf) => json!({ "member": leaf.0 }),
        Sender::External(index) => json!({ "external": index }),
        Sender::NewMemberProposal => json!("new member, proposing itself"),
        Sender::NewMemberCommit => json!("new member, joining from outside"),
    }
}

fn members(members: &[Member]) -> Vec<Value> {
    let member = |member: &Member| {
        json!({
            "leaf": member.index.0,
            "credential": credential(&member.credential),
            "signature_key": to_hex(&member.signature_key),
        })
    };
    members.iter().map(member).collect()
}

fn requests(asked: &[CredentialRequest]) -> Vec<Value> {
    asked.iter().map(request).collect()
}

fn request(asked: &CredentialRequest) -> Value {
    let of = match &asked.subject {
        CredentialSubject::ExternalSender(index) => json!({ "external_sender": index }),
        other => json!(other.to_string()),
    };
    json!({
        "of": of,
        "credential": credential(&asked.credential),
        "signature_key": to_hex(&asked.signature_key),
        "replaces": asked.replaces.as_ref().map(credential),
    })
}

/// A credential: the identity of a basic one as text, if it is text, and every one encoded.
fn credential(credential: &Credential) -> Value {
    let identity = credential.identity().and_then(|identity| core::str::from_utf8(identity).ok());
    let encoded = credential.to_bytes().ok().map(|bytes| base64(&bytes));
    json!({ "type": credential.credential_type().0, "identity": identity, "encoded": encoded })
}
