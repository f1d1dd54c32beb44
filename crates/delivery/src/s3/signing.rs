//! AWS Signature Version 4, for requests without a query whose body's hash is known.

use conclave_delivery_api::to_hex;
use conclave_mls::crypto::{CryptoError, CryptoProvider, Digest, Hash, Secret};
use core::fmt;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// SHA-256 of nothing, in hexadecimal: the hash of a request without a body.
pub(super) const NO_BODY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Who signs requests.
#[derive(Clone)]
pub struct Credentials {
    /// The name of the secret key.
    pub access_key: String,
    /// The secret key.
    pub secret_key: Secret,
    /// What goes with temporary credentials.
    pub session_token: Option<Secret>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// A request before it is signed.
pub(super) struct Request<'a> {
    pub(super) method: &'static str,
    pub(super) host: &'a str,
    /// It has no sign that would have to be written otherwise.
    pub(super) path: &'a str,
    /// SHA-256 of the body, in hexadecimal.
    pub(super) body_hash: &'a str,
    /// Headers besides, by their names in lower case.
    pub(super) headers: Vec<(&'static str, String)>,
}

/// The day and the second, in the basic format of ISO 8601: `20130524`, `20130524T000000Z`.
fn times(seconds: u64) -> (String, String) {
    // Days in eras of 400 years that begin on the first of March.
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + next;

    let date = format!("{year:04}{month:02}{day:02}");
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let time = format!("{date}T{hour:02}{minute:02}{second:02}Z");
    (date, time)
}

/// All headers of a request that is signed at this time, in seconds since 1970, but `host`.
pub(super) fn signed(
    provider: &dyn CryptoProvider,
    credentials: &Credentials,
    region: &str,
    now: u64,
    request: Request<'_>,
) -> Result<Vec<(&'static str, String)>, CryptoError> {
    let (date, time) = times(now);
    let mut headers = request.headers;
    headers.push(("host", request.host.into()));
    headers.push(("x-amz-content-sha256", request.body_hash.into()));
    headers.push(("x-amz-date", time.clone()));
    if let Some(token) = &credentials.session_token {
        let token = String::from_utf8_lossy(token.expose()).into_owned();
        headers.push(("x-amz-security-token", token));
    }
    headers.sort();

    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let Request { method, path, body_hash, .. } = request;
    let canonical = format!("{method}\n{path}\n\n{lines}\n{names}\n{body_hash}");
    let scope = format!("{date}/{region}/s3/aws4_request");
    let hash = to_hex(&provider.hash(Hash::Sha256, &[canonical.as_bytes()])?);
    let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{hash}");

    let mac = |key: &Secret, part: &str| -> Result<Digest, CryptoError> {
        provider.hmac(Hash::Sha256, key, &[part.as_bytes()])
    };
    let mut key = Secret::new([b"AWS4", credentials.secret_key.expose()].concat());
    for part in [date.as_str(), region, "s3", "aws4_request"] {
        key = Secret::copy_from(&mac(&key, part)?);
    }
    let signature = to_hex(&mac(&key, &to_sign)?);
    let access_key = &credentials.access_key;
    let authorization = format!(
        "{ALGORITHM} Credential={access_key}/{scope},SignedHeaders={names},Signature={signature}"
    );
    headers.retain(|(name, _)| *name != "host");
    headers.push(("authorization", authorization));
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example "GET Object" of the documentation of Amazon S3, "Authenticating Requests: Using the Authorization
    /// Header".
    #[test]
    fn a_request_is_signed_as_amazon_signs_it() {
        let credentials = Credentials {
            access_key: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_key: Secret::copy_from(b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            session_token: None,
        };
        let request = Request {
            method: "GET",
            host: "examplebucket.s3.amazonaws.com",
            path: "/test.txt",
            body_hash: NO_BODY,
            headers: vec![("range", "bytes=0-9".into())],
        };
        let provider = conclave_provider_rustcrypto::RustCrypto::new();
        let headers = signed(&provider, &credentials, "us-east-1", 1_369_353_600, request).unwrap();
        let authorization = "AWS4-HMAC-SHA256 \
            Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
            SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
            Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        assert!(headers.contains(&("authorization", authorization.into())), "{headers:?}");
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, time) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (1_735_689_599, "20241231T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(times(seconds).1, time);
        }
    }
}
