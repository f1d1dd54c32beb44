//! Leaf nodes, credentials and extensions (RFC 9420 sections 5.3, 7.2 and 13), and the trees that are in extensions.

use super::value::Value;
use super::walk::{Read, Structure, Walk};
use conclave_mls::wire::{
    CipherSuite, ComponentId, CredentialType, DecodeError, ExtensionType, ProposalType,
    ProtocolVersion, WireFormat,
};

/// Reads a KeyPackage (section 10).
pub(super) fn key_package(w: &mut Walk<'_>) -> Read {
    let start = w.at();
    w.code::<ProtocolVersion>("version")?;
    w.code::<CipherSuite>("cipher_suite")?;
    w.bytes("init_key")?;
    w.object("leaf_node", leaf_fields)?;
    extensions(w, "extensions")?;
    w.bytes("signature")?;
    w.found(start, Structure::KeyPackage);
    Ok(())
}

/// Reads a LeafNode that is no key package's.
pub(super) fn leaf_node(w: &mut Walk<'_>) -> Read {
    let start = w.at();
    leaf_fields(w)?;
    w.found(start, Structure::Leaf);
    Ok(())
}

/// Reads a LeafNode's fields.
pub(super) fn leaf_fields(w: &mut Walk<'_>) -> Read {
    w.bytes("encryption_key")?;
    w.bytes("signature_key")?;
    w.object("credential", credential)?;
    w.object("capabilities", |w| {
        w.codes::<ProtocolVersion>("versions")?;
        w.codes::<CipherSuite>("cipher_suites")?;
        w.codes::<ExtensionType>("extensions")?;
        w.codes::<ProposalType>("proposals")?;
        w.codes::<CredentialType>("credentials")
    })?;

    let sources = [(1, "key_package"), (2, "update"), (3, "commit")];
    match w.case("leaf_node_source", "LeafNodeSource", &sources)? {
        1 => w.object("lifetime", |w| {
            w.time("not_before")?;
            w.time("not_after")
        })?,
        3 => w.bytes("parent_hash").map(drop)?,
        _ => {}
    }

    extensions(w, "extensions")?;
    w.bytes("signature").map(drop)
}

/// Reads a Credential (section 5.3).
pub(super) fn credential(w: &mut Walk<'_>) -> Read {
    match w.code::<CredentialType>("credential_type")? {
        CredentialType::BASIC => w.text("identity").map(drop),
        CredentialType::X509 => w.list("certificates", |w, _| w.bytes("cert_data").map(drop)),
        CredentialType::MULTI | CredentialType::WEAK_MULTI => {
            let bindings = w.opaque("data")?;
            w.inside("content", bindings, |w| w.items("bindings", |w, _| binding(w)))
        }
        _ => w.bytes("data").map(drop),
    }
}

/// Reads a CredentialBinding (draft-ietf-mls-extensions-10).
fn binding(w: &mut Walk<'_>) -> Read {
    w.code::<CipherSuite>("cipher_suite")?;
    w.object("credential", credential)?;
    w.bytes("credential_key")?;
    w.bytes("signature").map(drop)
}

/// Reads a list of extensions, and what is in those that are known.
pub(super) fn extensions(w: &mut Walk<'_>, name: &'static str) -> Read {
    w.list(name, |w, _| {
        let kind = w.code::<ExtensionType>("extension_type")?;
        let data = w.opaque("extension_data")?;
        let read: fn(&mut Walk<'_>) -> Read = match kind {
            ExtensionType::RATCHET_TREE => ratchet_tree,
            ExtensionType::REQUIRED_CAPABILITIES => required_capabilities,
            ExtensionType::EXTERNAL_PUB => |w| w.bytes("external_pub").map(drop),
            ExtensionType::EXTERNAL_SENDERS => external_senders,
            ExtensionType::APP_DATA_DICTIONARY => app_data,
            ExtensionType::SUPPORTED_WIRE_FORMATS | ExtensionType::REQUIRED_WIRE_FORMATS => {
                |w| w.codes::<WireFormat>("wire_formats")
            }
            ExtensionType::APPLICATION_ID => {
                return w.put("extension_data", Value::Text(data.0.to_vec()));
            }
            _ => return w.put("extension_data", Value::Bytes(data.0.to_vec())),
        };
        w.inside("content", data, read)
    })
}

fn required_capabilities(w: &mut Walk<'_>) -> Read {
    w.codes::<ExtensionType>("extension_types")?;
    w.codes::<ProposalType>("proposal_types")?;
    w.codes::<CredentialType>("credential_types")
}

fn external_senders(w: &mut Walk<'_>) -> Read {
    w.list("external_senders", |w, _| {
        w.bytes("signature_key")?;
        w.object("credential", credential)
    })
}

/// Reads an AppDataDictionary (draft-ietf-mls-extensions-10): ascending, and each component once.
fn app_data(w: &mut Walk<'_>) -> Read {
    let mut last = None;
    w.list("component_data", |w, _| {
        let at = w.at();
        let component = w.code::<ComponentId>("component_id")?;
        if last.replace(component) >= Some(component) {
            return Err(w.invalid(at, "component_id", "AppDataDictionary order", component.0));
        }
        let data = w.opaque("data")?;
        match component {
            ComponentId::APP_COMPONENTS | ComponentId::SAFE_AAD => {
                w.inside("content", data, |w| w.codes::<ComponentId>("component_ids"))
            }
            ComponentId::CONTENT_MEDIA_TYPES => w.inside("content", data, media_types),
            _ => w.put("data", Value::Bytes(data.0.to_vec())),
        }
    })
}

fn media_types(w: &mut Walk<'_>) -> Read {
    w.list("media_types", |w, _| {
        w.text("type_and_subtype")?;
        w.list("parameters", |w, _| {
            w.text("parameter_name")?;
            w.text("parameter_value").map(drop)
        })
    })
}

/// Reads the data of a `ratchet_tree` extension (section 12.4.3.3).
pub(super) fn ratchet_tree(w: &mut Walk<'_>) -> Read {
    let start = w.at();
    w.list("nodes", |w, index| {
        w.put("node", Value::Number(index as u64))?;
        let at = w.at();
        match w.read::<u8>("node_type")? {
            0 => w.put("node_type", Value::Absent),
            1 => node(w),
            other => Err(w.stop(at, "node_type", DecodeError::InvalidPresence(other))),
        }
    })?;
    w.found(start, Structure::Tree);
    Ok(())
}

fn node(w: &mut Walk<'_>) -> Read {
    match w.case("node_type", "NodeType", &[(1, "leaf"), (2, "parent")])? {
        1 => leaf_fields(w),
        _ => {
            w.bytes("encryption_key")?;
            w.bytes("parent_hash")?;
            w.list("unmerged_leaves", |w, _| w.number::<u32>("").map(drop))
        }
    }
}
