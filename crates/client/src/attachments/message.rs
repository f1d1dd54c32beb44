//! How a message names a file on the service: an external part of MIMI content (draft-ietf-mimi-content-08, section 4.5).

use crate::attachments::cipher::{FileKey, TAG_LENGTH};
use crate::attachments::record::Sealed;
use conclave_content::{
    Disposition, Draft, ExternalPart, HashAlgorithm, MimiContent, NestedPart, Part, choose, safe,
    text_rank,
};
use conclave_delivery_api::{Call, FetchAttachment, to_hex};

/// The longest file that is fetched if its message has no length, in bytes.
const MAX_UNSAID: u64 = 2 << 30;

/// The media types of some files, by what their names end in.
const MEDIA_TYPES: [(&str, &str); 21] = [
    ("csv", "text/csv"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("md", "text/markdown"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("ogg", "audio/ogg"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("zip", "application/zip"),
];

fn media_type(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let known = MEDIA_TYPES.iter().find(|(known, _)| Some(*known) == ending.as_deref());
    known.map_or("application/octet-stream", |(_, media_type)| media_type)
}

/// The URL of a file at the service of this address: that of the call, and which file is asked for.
fn url_of(service: &str, hash: &[u8; 32]) -> String {
    format!("{}{}#{}", service.trim_end_matches('/'), FetchAttachment::PATH, to_hex(hash))
}

/// Whether a URL names a file of this hash at a service. At which one does not matter: a file is fetched from our own
/// service alone, which may have several addresses.
fn is_at_service(url: &str, hash: &[u8; 32]) -> bool {
    url.ends_with(&url_of("", hash))
}

/// The draft of a message with a file, and perhaps a text. The service at this address keeps the file until a time in seconds
/// since 1970.
pub(super) fn draft_with_file(
    (name, text): (&str, Option<Draft>),
    sealed: &Sealed,
    (service, expires_at): (&str, u64),
) -> Draft {
    let external = ExternalPart {
        content_type: media_type(name).into(),
        url: url_of(service, &sealed.hash),
        expires: u32::try_from(expires_at).unwrap_or_default(),
        size: sealed.length,
        enc_alg: sealed.key.aead as u16,
        key: sealed.key.key.clone(),
        nonce: sealed.key.nonce.clone(),
        aad: sealed.key.aad.clone(),
        hash_alg: HashAlgorithm::Sha256 as u8,
        content_hash: sealed.hash.to_vec(),
        description: String::new(),
        filename: name.into(),
    };
    let part = NestedPart::external(Disposition::ATTACHMENT, external);
    match text {
        None => Draft::new(part),
        Some(text) => text.with(part),
    }
}

/// A file that came with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attached {
    /// A name to save it by.
    pub(super) name: Option<String>,
    /// What is needed to fetch it; or why it is not fetched.
    pub(super) sealed: Result<Sealed, String>,
}

/// The files that came with a message, as it is read at a time in seconds since 1970.
pub(super) fn attached(content: &MimiContent, now: u64) -> Vec<Attached> {
    let chosen = choose(&content.nested_part, &text_rank);
    let external = chosen.leaves.iter().filter_map(|leaf| match &leaf.part.part {
        Part::External(external) => Some(Attached {
            name: safe::file_name(&external.filename),
            sealed: sealed_of(external, now),
        }),
        _ => None,
    });
    external.collect()
}

fn sealed_of(external: &ExternalPart, now: u64) -> Result<Sealed, String> {
    let fetch = external.fetch(now).map_err(|e| e.to_string())?;
    let decryption = fetch.decryption.ok_or("it is not encrypted")?;
    let hash = match fetch.hash {
        Some((HashAlgorithm::Sha256, hash)) => <[u8; 32]>::try_from(hash).ok(),
        _ => None,
    };
    let hash =
        hash.ok_or("its message does not have the file's SHA-256, by which the service finds it")?;
    if !is_at_service(fetch.url, &hash) {
        let host = fetch.url.split('/').nth(2).unwrap_or_default();
        return Err(format!("it is at {host}, and files are fetched from your own service alone"));
    }
    // The draft leaves open whether the size is that of the file or of the ciphertext.
    let length = fetch.size.map_or(MAX_UNSAID, |size| size.saturating_add(TAG_LENGTH));
    Ok(Sealed { key: FileKey::of(&decryption), hash, length })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mimi::Place;
    use conclave_content::{Limits, Salt, Secret};

    const HASH: [u8; 32] = [0xab; 32];

    fn external() -> ExternalPart {
        ExternalPart {
            url: url_of("https://chat.example/", &HASH),
            enc_alg: 1,
            key: Secret::copy_from(&[1; 16]),
            nonce: vec![2; 12],
            hash_alg: 1,
            content_hash: HASH.to_vec(),
            size: 100,
            ..ExternalPart::plain("", "")
        }
    }

    #[test]
    fn files_are_fetched_from_our_own_service_alone() {
        assert_eq!(sealed_of(&external(), 0).unwrap().hash, HASH);
        let elsewhere = url_of("https://other.example/tenant", &HASH);
        assert!(sealed_of(&ExternalPart { url: elsewhere, ..external() }, 0).is_ok());
        for url in [
            "https://evil.example/a.png".to_string(),
            "javascript:alert(1)".into(),
            "file:///etc/passwd".into(),
            url_of("https://chat.example", &[1; 32]),
            url_of("https://chat.example", &HASH) + "#",
            url_of("ftp://chat.example", &HASH),
        ] {
            let part = ExternalPart { url: url.clone(), ..external() };
            assert!(sealed_of(&part, 0).is_err(), "{url}");
        }
    }

    #[test]
    fn a_file_without_key_or_hash_or_of_the_past_is_not_fetched() {
        let plain = ExternalPart { enc_alg: 0, key: Secret::zero(0), nonce: vec![], ..external() };
        let unhashed = ExternalPart { hash_alg: 0, content_hash: vec![], ..external() };
        let other_hash = ExternalPart { hash_alg: 8, content_hash: vec![1; 64], ..external() };
        let expired = ExternalPart { expires: 5, ..external() };
        for part in [plain, unhashed, other_hash, expired] {
            assert!(sealed_of(&part, 6).is_err(), "{part:?}");
        }
    }

    #[test]
    fn a_message_names_its_file_as_it_is_read_again() {
        let key = FileKey::fresh(&mut *crate::service::os_rng());
        let sealed = Sealed { key, hash: HASH, length: 116 };
        let place = Place::new("mimi://a.example/r/01".into());
        let user = place.user(&"alice".parse().unwrap());
        for text in [None, Some(Draft::plain("look"))] {
            let draft = draft_with_file(("a b.PNG", text), &sealed, ("http://[::1]:8080", 9));
            let sent = draft.finish(Salt([0; 16]), &user, place.room()).unwrap();
            let content = MimiContent::decode(&sent.bytes, &Limits::default());
            let attached = attached(&content.unwrap(), 8);
            assert_eq!(attached.len(), 1);
            assert_eq!(attached[0].name.as_deref(), Some("a b.PNG"));
            let read = attached[0].sealed.clone().unwrap();
            assert_eq!((&read.key, read.hash), (&sealed.key, HASH));
            assert!(read.length >= sealed.length);
        }
        assert_eq!(media_type("a b.PNG"), "image/png");
        assert_eq!(media_type("png"), "application/octet-stream");
    }
}
