//! The URIs of rooms and users (draft-ietf-mimi-protocol-06 section 3).
//!
//! Identifiers of messages are derived from the URIs of room and sender (draft-ietf-mimi-content-08 section 3.3), so all
//! members must come to the same ones. A room's URI stands in its metadata. Its authority is that of its users too.

use alloc::format;
use alloc::string::String;
use conclave_mls::GroupId;

const SCHEME: &str = "mimi://";
/// The authority where none is known: of groups that are no rooms, and of clients that know no name of their service.
pub const LOCAL_AUTHORITY: &str = "localhost";
/// The longest authority, in bytes: a domain name and a port.
const MAX_AUTHORITY: usize = 261;

/// The URI of a room: `mimi://AUTHORITY/r/ID`, with the group's identifier in hexadecimal.
#[must_use]
pub fn room_uri(authority: &str, group_id: &GroupId) -> String {
    let mut uri = format!("{SCHEME}{authority}/r/");
    for byte in group_id.iter() {
        uri.push_str(&format!("{byte:02x}"));
    }
    uri
}

/// The URI of a user: `mimi://AUTHORITY/u/USER`.
#[must_use]
pub fn user_uri(authority: &str, user: &str) -> String {
    format!("{SCHEME}{authority}/u/{user}")
}

/// The authority of a room's URI. None if it is no room's URI.
#[must_use]
pub fn room_authority(room_uri: &str) -> Option<&str> {
    let (authority, id) = room_uri.strip_prefix(SCHEME)?.split_once("/r/")?;
    (is_authority(authority) && !id.is_empty() && id.bytes().all(|b| b.is_ascii_graphic()))
        .then_some(authority)
}

/// The user whose URI this is, if it is one of this authority.
#[must_use]
pub fn user_of<'a>(authority: &str, uri: &'a str) -> Option<&'a str> {
    let rest = uri.strip_prefix(SCHEME)?.strip_prefix(authority)?;
    rest.strip_prefix("/u/").filter(|user| !user.is_empty())
}

/// The authority of a user's URI; none if it is not one.
#[must_use]
pub fn user_authority(user_uri: &str) -> Option<&str> {
    let (authority, user) = user_uri.strip_prefix(SCHEME)?.split_once("/u/")?;
    (is_authority(authority) && !user.is_empty()).then_some(authority)
}

/// Whether a text can be the authority of a room: a domain name or address, perhaps with a port.
#[must_use]
pub fn is_authority(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-:[]".contains(&b);
    !text.is_empty() && text.len() <= MAX_AUTHORITY && text.bytes().all(fits)
}

/// The authority of a service at a URL: its host in lower case, and its port unless that is the scheme's own. None if
/// the URL is not one of HTTP's, or its host cannot be an authority.
#[must_use]
pub fn url_authority(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let own_port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let authority = rest.split('/').next()?.to_ascii_lowercase();
    let authority = authority.strip_suffix(own_port).unwrap_or(&authority);
    is_authority(authority).then(|| authority.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_lead_back_to_authority_and_user() {
        let room = room_uri("a.example", &GroupId::from([0x0a, 0xff].to_vec()));
        assert_eq!(room, "mimi://a.example/r/0aff");
        assert_eq!(room_authority(&room), Some("a.example"));
        assert_eq!(user_uri("a.example", "alice"), "mimi://a.example/u/alice");
        assert_eq!(user_of("a.example", "mimi://a.example/u/alice"), Some("alice"));
        assert_eq!(user_of("a.example", "mimi://a.example.evil/u/alice"), None);
        assert_eq!(user_of("a.example", "mimi://a.example/u/"), None);
    }

    #[test]
    fn a_services_address_gives_its_authority() {
        let of = |url| url_authority(url);
        assert_eq!(of("https://Chat.Example.org").as_deref(), Some("chat.example.org"));
        assert_eq!(of("https://chat.example.org:443/x").as_deref(), Some("chat.example.org"));
        assert_eq!(of("http://a.example:80").as_deref(), Some("a.example"));
        assert_eq!(of("http://a.example:443/").as_deref(), Some("a.example:443"));
        assert_eq!(of("http://[::1]:4820").as_deref(), Some("[::1]:4820"));
        for wrong in ["", "a.example", "ftp://a.example", "https://", "https://u@a.example"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_room_has_no_authority() {
        let wrong = [
            "",
            "mimi:///r/1",
            "mimi://a.example/u/alice",
            "https://a.example/r/1",
            "mimi://a.example/r/",
            "mimi://a b/r/1",
            "mimi://A.example/r/1",
            "mimi://a.example/r/a b",
        ];
        for uri in wrong {
            assert_eq!(room_authority(uri), None, "{uri}");
        }
    }
}
