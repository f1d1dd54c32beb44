//! Where a bucket is.

/// A bucket, and where attachments are in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    scheme: String,
    /// The host, with the port if it is not the scheme's own.
    pub(super) host: String,
    pub(super) bucket: String,
    /// What names begin with: empty, or with `/` at its end.
    prefix: String,
    /// The region, which requests name.
    pub(super) region: String,
}

/// Signs that are the same in a path and in its canonical form.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

impl Place {
    /// Reads `https://host[:port]/bucket[/prefix]`; `http://` is taken, too, for a store on this machine.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(url: &str, region: &str) -> Result<Self, String> {
        let form = "write https://HOST/BUCKET or https://HOST/BUCKET/PREFIX";
        let bad = |why: &str| format!("{url:?} is no address of a bucket ({why}): {form}");
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("it has no scheme"))?;
        if !["https", "http"].contains(&scheme) {
            return Err(bad("it is neither https nor http"));
        }
        let (host, path) = rest.split_once('/').ok_or_else(|| bad("it has no bucket"))?;
        let is_host = |c: char| is_plain(c) || ":[]".contains(c);
        if host.is_empty() || !host.chars().all(is_host) {
            return Err(bad("it has no host"));
        }
        let mut parts = path.trim_end_matches('/').split('/');
        let bucket = parts.next().unwrap_or_default();
        if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(is_plain) {
            return Err(bad("a bucket's name has 3 to 63 letters, digits, '-' and '.'"));
        }
        let mut prefix = String::new();
        for part in parts {
            if part.is_empty() || part.starts_with('.') || !part.chars().all(is_plain) {
                return Err(bad("a prefix has letters, digits, '-', '_' and '.' between '/'"));
            }
            prefix += &format!("{part}/");
        }
        if prefix.len() > 512 {
            return Err(bad("the prefix is longer than 512 bytes"));
        }
        if region.is_empty() || !region.chars().all(is_plain) {
            return Err(format!("{region:?} is no region"));
        }
        Ok(Self {
            scheme: scheme.into(),
            host: host.into(),
            bucket: bucket.into(),
            prefix,
            region: region.into(),
        })
    }

    /// Scheme and host.
    pub(super) fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.host)
    }

    /// The path of a name in the bucket.
    pub(super) fn path(&self, name: &str) -> String {
        format!("/{}/{}{name}", self.bucket, self.prefix)
    }

    pub(super) fn url(&self, name: &str) -> String {
        self.origin() + &self.path(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_named_by_its_address() {
        let place = Place::parse("https://s3.example.org:9000/files/a/b", "eu-central-1").unwrap();
        assert_eq!(place.url("x"), "https://s3.example.org:9000/files/a/b/x");
        assert_eq!(place.host, "s3.example.org:9000");
        let place = Place::parse("http://127.0.0.1:9000/files/", "us-east-1").unwrap();
        assert_eq!(place.path("x"), "/files/x");
        for wrong in [
            "files",
            "ftp://host/files",
            "https://host",
            "https:///files",
            "https://user@host/files",
            "https://host/ab",
            "https://host/files/../other",
            "https://host/files/a b",
            "https://host/files?x",
        ] {
            assert!(Place::parse(wrong, "us-east-1").is_err(), "{wrong}");
        }
        assert!(Place::parse("https://host/files", "a/b").is_err());
    }
}
