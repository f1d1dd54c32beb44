//! One certificate from the CA: order, prove each name, hand in a request, fetch (RFC 8555 section 7.4).

use super::ca::{Ca, CaError, failed, problem, text};
use super::names::Domain;
use super::resolver::Resolver;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long the CA has to check a name, or to issue, altogether.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long it is waited before the CA is asked again, if it says nothing of it, and at most.
const BETWEEN: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A certificate in PEM with those that lead from it to a root, and its key.
pub(super) struct Issued {
    pub(super) chain: String,
    pub(super) key: KeyPair,
}

/// Gets one that is good for all of these names. `stopped` ends it early.
pub(super) fn obtain(
    ca: &mut Ca<'_>,
    domains: &[Domain],
    prove: &dyn Fn(&Domain, &str) -> Result<(), String>,
    stopped: &dyn Fn() -> bool,
) -> Result<Issued, CaError> {
    let until = Until { end: Instant::now() + PATIENCE, stopped };
    let identifiers: Vec<Value> =
        domains.iter().map(|domain| json!({ "type": "dns", "value": domain.as_str() })).collect();
    let made = ca.post(&ca.new_order(), Some(&json!({ "identifiers": identifiers })))?;
    let order_url = made.location.clone().ok_or_else(|| failed("the CA names no order"))?;
    let order = made.json()?;

    for authorization in urls(&order, "authorizations", domains.len())? {
        authorize(ca, authorization, domains, prove, &until)?;
    }
    let order = until.reached(ca, &order_url, "ready")?;

    let key = KeyPair::generate().map_err(failed)?;
    let request = request(domains, &key).map_err(failed)?;
    let payload = json!({ "csr": super::account::base64url(&request) });
    ca.post(text(&order, "finalize")?, Some(&payload))?;
    let order = until.reached(ca, &order_url, "valid")?;
    let chain = ca.post(text(&order, "certificate")?, None)?.body;
    let chain = String::from_utf8(chain).map_err(|_| failed("the CA's certificate is no PEM"))?;
    Ok(Issued { chain, key })
}

/// A list of addresses, of no more than `most`.
fn urls<'a>(answer: &'a Value, name: &str, most: usize) -> Result<Vec<&'a str>, CaError> {
    let list = answer.get(name).and_then(Value::as_array);
    let urls = list.map(|list| list.iter().map(Value::as_str).collect::<Option<Vec<&str>>>());
    match urls.flatten() {
        Some(urls) if urls.len() <= most => Ok(urls),
        _ => Err(failed(format_args!("the CA's answer has no list {name:?} that fits"))),
    }
}

/// The request for a certificate (PKCS #10).
fn request(domains: &[Domain], key: &KeyPair) -> Result<Vec<u8>, rcgen::Error> {
    let names: Vec<String> = domains.iter().map(Domain::to_string).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(key)?.der().to_vec())
}

/// Proves that this service answers for a name, unless the CA still believes an earlier proof.
fn authorize(
    ca: &mut Ca<'_>,
    url: &str,
    domains: &[Domain],
    prove: &dyn Fn(&Domain, &str) -> Result<(), String>,
    until: &Until<'_>,
) -> Result<(), CaError> {
    let authorization = ca.post(url, None)?.json()?;
    if text(&authorization, "status")? == "valid" {
        return Ok(());
    }
    let name = text(authorization.get("identifier").unwrap_or(&Value::Null), "value")?;
    let domain = domains.iter().find(|domain| domain.as_str().eq_ignore_ascii_case(name));
    let domain = domain.ok_or_else(|| failed("the CA asks for a name that was not ordered"))?;
    let challenge = challenge(&authorization)
        .ok_or_else(|| failed(format_args!("the CA offers no TLS-ALPN-01 for {domain}")))?;

    prove(domain, text(challenge, "token")?).map_err(CaError::Failed)?;
    ca.post(text(challenge, "url")?, Some(&json!({})))?;
    until.reached(ca, url, "valid").map(drop).map_err(|e| match e {
        CaError::Failed(what) => failed(format_args!("{domain}: {what}")),
        CaError::Refused { kind, detail } => {
            CaError::Refused { kind, detail: format!("{domain}: {detail}") }
        }
    })
}

/// The challenge that this service can meet.
fn challenge(authorization: &Value) -> Option<&Value> {
    let challenges = authorization.get("challenges")?.as_array()?;
    let is_ours =
        |challenge: &&Value| challenge.get("type").and_then(Value::as_str) == Some("tls-alpn-01");
    challenges.iter().find(is_ours)
}

/// How long the CA is asked for news.
struct Until<'a> {
    end: Instant,
    stopped: &'a dyn Fn() -> bool,
}

impl Until<'_> {
    /// Asks until an order or authorization has a status.
    fn reached(&self, ca: &mut Ca<'_>, url: &str, wanted: &str) -> Result<Value, CaError> {
        loop {
            let answer = ca.post(url, None)?;
            let found = answer.json()?;
            match text(&found, "status")? {
                status if status == wanted => return Ok(found),
                "pending" | "processing" | "ready" | "valid" => {}
                _ => return Err(why(&found)),
            }
            let wait = answer.retry_after.unwrap_or(BETWEEN).clamp(BETWEEN, LONGEST_WAIT);
            if Instant::now() + wait > self.end {
                return Err(failed("the CA did not finish within 3 minutes"));
            }
            self.sleep(wait)?;
        }
    }

    fn sleep(&self, wait: Duration) -> Result<(), CaError> {
        let until = Instant::now() + wait;
        while Instant::now() < until {
            if (self.stopped)() {
                return Err(failed("the service is stopping"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

/// Why an order or authorization has failed: its own error, or that of its challenge.
fn why(found: &Value) -> CaError {
    let of_challenge = || challenge(found)?.get("error");
    match found.get("error").or_else(of_challenge) {
        Some(error) => problem(error),
        None => failed(format_args!(
            "the CA says that it is {}",
            text(found, "status").unwrap_or("unknown").escape_debug()
        )),
    }
}

/// Challenges that are forgotten when the order has ended, however it has.
pub(super) struct Proofs<'a>(pub(super) &'a Resolver);

impl Drop for Proofs<'_> {
    fn drop(&mut self) {
        self.0.forget_challenges();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_reasons_of_a_hostile_ca_are_bounded() {
        assert_eq!(urls(&json!({ "a": ["x", "y"] }), "a", 2).unwrap(), ["x", "y"]);
        for bad in [json!({ "a": ["x", "y", "z"] }), json!({ "a": [1] }), json!({}), json!([])] {
            assert!(urls(&bad, "a", 2).is_err(), "{bad}");
        }
        let error = json!({ "type": "urn:ietf:params:acme:error:dns", "detail": "no name" });
        let failed = json!({ "type": "tls-alpn-01", "error": error });
        let found = json!({ "status": "invalid", "challenges": [{ "type": "dns-01" }, failed] });
        assert_eq!(why(&found).to_string(), "the CA refuses (dns): no name");
        let found = json!({ "status": "revoked" });
        assert_eq!(why(&found).to_string(), "the CA says that it is revoked");
    }
}
