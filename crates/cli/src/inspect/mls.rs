//! MLSMessages (RFC 9420 section 6) and what they hold.

use super::leaf::{extensions, key_package, leaf_node};
use super::value::Value;
use super::walk::{Read, Stop, Structure, Walk};
use conclave_mls::wire::{
    CipherSuite, ComponentId, GroupId, LeafIndex, ProposalType, ProtocolVersion, WireFormat,
};
use std::sync::Arc;

/// The types of what a message holds (section 6).
pub(super) const CONTENT_TYPES: [(u8, &str); 3] =
    [(1, "application"), (2, "proposal"), (3, "commit")];

/// Reads an MLSMessage.
pub(super) fn message(w: &mut Walk<'_>) -> Read {
    let at = w.at();
    let version = w.code::<ProtocolVersion>("version")?;
    if version != ProtocolVersion::MLS_1_0 {
        return Err(w.invalid(at, "version", "ProtocolVersion", version.0));
    }

    let at = w.at();
    match w.code::<WireFormat>("wire_format")? {
        WireFormat::PUBLIC_MESSAGE => w.object("public_message", public_message),
        WireFormat::PRIVATE_MESSAGE => w.object("private_message", private_message),
        WireFormat::WELCOME => w.object("welcome", welcome),
        WireFormat::GROUP_INFO => w.object("group_info", group_info),
        WireFormat::KEY_PACKAGE => w.object("key_package", key_package),
        WireFormat::TARGETED_MESSAGE => w.object("targeted_message", targeted_message),
        WireFormat(other) => Err(w.invalid(at, "wire_format", "WireFormat", other)),
    }
}

/// Reads a PublicMessage (section 6.2).
fn public_message(w: &mut Walk<'_>) -> Read {
    let start = w.at();
    let (mut by_member, mut content_type) = (false, 0);
    w.object("content", |w| {
        w.context.group = Some(Arc::new(GroupId::from(w.text("group_id")?)));
        w.number::<u64>("epoch")?;
        w.object("sender", |w| {
            by_member = sender(w)?;
            Ok(())
        })?;
        w.text("authenticated_data")?;
        content_type = w.case("content_type", "ContentType", &CONTENT_TYPES)?;
        match content_type {
            1 => w.text("application_data").map(drop),
            2 => w.object("proposal", proposal),
            _ => w.object("commit", commit),
        }
    })?;
    w.object("auth", |w| {
        w.bytes("signature")?;
        if content_type == 3 {
            w.bytes("confirmation_tag")?;
        }
        Ok(())
    })?;
    if by_member {
        w.bytes("membership_tag")?;
    }
    w.found(start, Structure::PublicMessage);
    Ok(())
}

/// Reads a Sender. Returns whether it is a member.
fn sender(w: &mut Walk<'_>) -> Result<bool, Stop> {
    let types =
        [(1, "member"), (2, "external"), (3, "new_member_proposal"), (4, "new_member_commit")];
    match w.case("sender_type", "SenderType", &types)? {
        1 => {
            let leaf: LeafIndex = w.read("leaf_index")?;
            w.put("leaf_index", Value::Number(leaf.0.into()))?;
            w.context.sender = Some(leaf);
            Ok(true)
        }
        2 => w.number::<u32>("sender_index").map(|_| false),
        _ => Ok(false),
    }
}

/// Reads a PrivateMessage (section 6.3).
fn private_message(w: &mut Walk<'_>) -> Read {
    w.text("group_id")?;
    w.number::<u64>("epoch")?;
    w.case("content_type", "ContentType", &CONTENT_TYPES)?;
    w.text("authenticated_data")?;
    w.bytes("encrypted_sender_data")?;
    w.bytes("ciphertext").map(drop)
}

/// Reads a TargetedMessage (draft-ietf-mls-targeted-messages-02).
fn targeted_message(w: &mut Walk<'_>) -> Read {
    w.text("group_id")?;
    w.number::<u64>("epoch")?;
    w.number::<u32>("recipient_leaf_index")?;
    w.text("authenticated_data")?;
    w.bytes("encrypted_sender_auth_data")?;
    w.bytes("ciphertext").map(drop)
}

/// Reads a Welcome (section 12.4.3.1).
pub(super) fn welcome(w: &mut Walk<'_>) -> Read {
    w.code::<CipherSuite>("cipher_suite")?;
    w.list("secrets", |w, _| {
        w.bytes("new_member")?;
        w.object("encrypted_group_secrets", hpke_ciphertext)
    })?;
    w.bytes("encrypted_group_info").map(drop)
}

/// Reads a GroupInfo (section 12.4.3).
pub(super) fn group_info(w: &mut Walk<'_>) -> Read {
    let start = w.at();
    w.object("group_context", |w| {
        w.code::<ProtocolVersion>("version")?;
        w.context.suite = Some(w.code::<CipherSuite>("cipher_suite")?);
        w.context.group = Some(Arc::new(GroupId::from(w.text("group_id")?)));
        w.number::<u64>("epoch")?;
        w.bytes("tree_hash")?;
        w.bytes("confirmed_transcript_hash")?;
        extensions(w, "extensions")
    })?;
    extensions(w, "extensions")?;
    w.bytes("confirmation_tag")?;
    w.number::<u32>("signer")?;
    w.bytes("signature")?;
    w.found(start, Structure::GroupInfo);
    Ok(())
}

/// Reads a Proposal (section 12.1, draft-ietf-mls-extensions-10).
pub(super) fn proposal(w: &mut Walk<'_>) -> Read {
    let at = w.at();
    match w.code::<ProposalType>("proposal_type")? {
        ProposalType::ADD => w.object("key_package", key_package),
        ProposalType::UPDATE => w.object("leaf_node", leaf_node),
        ProposalType::REMOVE => w.number::<u32>("removed").map(drop),
        ProposalType::PSK => w.object("psk", psk),
        ProposalType::REINIT => {
            w.text("group_id")?;
            w.code::<ProtocolVersion>("version")?;
            w.code::<CipherSuite>("cipher_suite")?;
            extensions(w, "extensions")
        }
        ProposalType::EXTERNAL_INIT => w.bytes("kem_output").map(drop),
        ProposalType::GROUP_CONTEXT_EXTENSIONS => extensions(w, "extensions"),
        ProposalType::APP_DATA_UPDATE => {
            w.code::<ComponentId>("component_id")?;
            let operations = [(1, "update"), (2, "remove")];
            match w.case("op", "AppDataUpdateOperation", &operations)? {
                1 => w.bytes("update").map(drop),
                _ => Ok(()),
            }
        }
        ProposalType::APP_EPHEMERAL => {
            w.code::<ComponentId>("component_id")?;
            w.bytes("data").map(drop)
        }
        ProposalType::SELF_REMOVE => Ok(()),
        ProposalType(other) => {
            // Nothing says where the body of an unknown proposal ends.
            Err(w.invalid(at, "proposal_type", "ProposalType", other))
        }
    }
}

/// Reads a PreSharedKeyID (section 8.4).
fn psk(w: &mut Walk<'_>) -> Read {
    match w.case("psktype", "PSKType", &[(1, "external"), (2, "resumption"), (3, "application")])? {
        1 => w.text("psk_id").map(drop)?,
        2 => {
            let usages = [(1, "application"), (2, "reinit"), (3, "branch")];
            w.case("usage", "ResumptionPskUsage", &usages)?;
            w.text("psk_group_id")?;
            w.number::<u64>("psk_epoch")?;
        }
        _ => {
            w.code::<ComponentId>("component_id")?;
            w.text("psk_id")?;
        }
    }
    w.bytes("psk_nonce").map(drop)
}

/// Reads a Commit (section 12.4).
pub(super) fn commit(w: &mut Walk<'_>) -> Read {
    w.list("proposals", |w, _| {
        match w.case("type", "ProposalOrRefType", &[(1, "proposal"), (2, "reference")])? {
            1 => w.object("proposal", proposal),
            _ => w.bytes("reference").map(drop),
        }
    })?;
    w.optional("path", |w| {
        w.object("leaf_node", leaf_node)?;
        w.list("nodes", |w, _| {
            w.bytes("encryption_key")?;
            w.list("encrypted_path_secret", |w, _| hpke_ciphertext(w))
        })
    })
}

fn hpke_ciphertext(w: &mut Walk<'_>) -> Read {
    w.bytes("kem_output")?;
    w.bytes("ciphertext").map(drop)
}
