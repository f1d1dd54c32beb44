//! Media types, as the fields `contentType` hold them (section 7.1).

/// Text without markup.
pub const TEXT_PLAIN: &str = "text/plain;charset=utf-8";

/// GitHub Flavored Markdown as MIMI restricts it: no Autolink extension (bare URLs), no HTML (section 7.1.1).
pub const GFM_MIMI: &str = "text/markdown;variant=GFM-MIMI";

/// The type and subtype, without parameters: `Text/Plain` of `Text/Plain; charset=utf-8`: the case stays as it came.
#[must_use]
pub fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Whether a content type has this type and subtype; case does not count.
#[must_use]
pub fn is_media_type(content_type: &str, expected: &str) -> bool {
    essence(content_type).eq_ignore_ascii_case(essence(expected))
}

/// Whether text of this type may refer to other parts of its message by `cid:` (section 4.4).
pub(crate) fn is_container(content_type: &str) -> bool {
    let containers = ["text/markdown", "text/html", "text/vcard", "text/calendar"];
    containers.into_iter().any(|container| is_media_type(content_type, container))
}
