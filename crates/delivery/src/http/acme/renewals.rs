//! When a certificate is got, and what becomes of one that was.

use super::Acme;
use super::kept::Kept;
use crate::http::app::App;
use crate::http::clock::now;
use crate::http::observed::Observed;
use std::sync::Arc;
use std::time::Duration;

/// How often the clock is looked at: a machine that slept has lost time.
const LOOK: Duration = Duration::from_secs(60);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);
/// By how much each wait is longer than the one before: Let's Encrypt takes five failures of a name in an hour.
const GROWTH: u32 = 4;

/// When a certificate is to be renewed, and until when it is valid, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Times {
    renew_at: u64,
    not_after: u64,
}

/// The certificate in use, and when there is to be another.
pub(in crate::http) struct Renewals {
    acme: Arc<Acme>,
    /// The certificate in use; or why that which is kept cannot be used.
    times: Result<Option<Times>, String>,
    /// The one in use, if it could not be written.
    unwritten: Option<Arc<Kept>>,
    /// How long it is until the next attempt, if one is in vain.
    wait: Duration,
}

/// Works on a thread that may block. A panic fails, and leaves everything as it is.
async fn attempt<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, String> + Send + 'static,
) -> Result<R, String> {
    let worked = tokio::task::spawn_blocking(work).await;
    worked.unwrap_or_else(|_| Err("the attempt ended by a fault of this program".into()))
}

impl Renewals {
    /// Begins with the certificate that is kept, if there is one.
    pub(in crate::http) fn new(acme: Acme) -> Self {
        let kept = Kept::open(&acme.folder);
        let wait = acme.config.first_wait;
        let mut renewals = Self { acme: Arc::new(acme), times: Ok(None), unwritten: None, wait };
        match kept {
            Ok(Some(kept)) => renewals.serve(&kept),
            Ok(None) => {}
            Err(what) => renewals.times = Err(what),
        }
        renewals
    }

    /// Gets a certificate whenever one is due, until the server is stopped.
    pub(in crate::http) async fn run<S: Send + Sync + 'static>(mut self, app: Arc<App<S>>) {
        let mut stopping = app.stopping.clone();
        loop {
            let pause = self.step(&app).await;
            let stop = stopping.wait_for(|stop| *stop);
            if tokio::time::timeout(pause, stop).await.is_ok() {
                return;
            }
        }
    }

    /// Does what is due; when to look again.
    async fn step<S: Send + Sync + 'static>(&mut self, app: &Arc<App<S>>) -> Duration {
        let due = self.due_in();
        match self.unwritten.clone() {
            _ if due.is_zero() => self.renew(app).await,
            Some(kept) => self.write_and_tell(app, kept).await,
            None => due.min(LOOK),
        }
    }

    fn due_in(&self) -> Duration {
        match &self.times {
            Ok(Some(times)) => Duration::from_secs(times.renew_at.saturating_sub(now().as_secs())),
            _ => Duration::ZERO,
        }
    }

    async fn renew<S: Send + Sync + 'static>(&mut self, app: &Arc<App<S>>) -> Duration {
        // The one in use may be needed for longer, as this may be in vain.
        if let Some(kept) = self.unwritten.clone() {
            let _ = self.write(kept).await;
        }
        let (acme, stop) = (self.acme.clone(), app.stopping.clone());
        match attempt(move || acme.order(&|| *stop.borrow())).await {
            Ok(kept) => {
                let pause = self.take(&kept);
                app.health.lacks_certificate(None);
                let what = format!("a new certificate for {} is in use", self.acme.names());
                app.observe(&Observed::of_server("tls", 200, what));
                pause.max(self.write_and_tell(app, Arc::new(kept)).await)
            }
            Err(why) => {
                let pause = self.in_vain();
                app.observe(&Observed::of_server("tls", 503, self.failure(&why, pause)));
                app.health.lacks_certificate(Some(why));
                pause
            }
        }
    }

    /// Writes the certificate in use, and says if that fails; when to look again.
    async fn write_and_tell<S>(&mut self, app: &App<S>, kept: Arc<Kept>) -> Duration {
        let Err(why) = self.write(kept).await else { return Duration::ZERO };
        let pause = self.in_vain();
        let again = pause.as_secs();
        let what = format!(
            "the certificate in use is lost when the service stops, as {why}; next attempt in {again} s"
        );
        app.observe(&Observed::of_server("tls", 503, what));
        pause
    }

    /// Writes the certificate in use. It is not thrown away if that fails: a CA does not give many.
    async fn write(&mut self, kept: Arc<Kept>) -> Result<(), String> {
        self.unwritten = Some(kept.clone());
        let acme = self.acme.clone();
        attempt(move || kept.write(&acme.folder)).await?;

        self.unwritten = None;
        if !self.due_in().is_zero() {
            self.wait = self.acme.config.first_wait;
        }
        Ok(())
    }

    /// Uses a new certificate; when to look again. One that is due already is no reason to ask for another at once.
    fn take(&mut self, kept: &Kept) -> Duration {
        self.serve(kept);
        if self.due_in().is_zero() {
            return self.in_vain();
        }
        self.wait = self.acme.config.first_wait;
        Duration::ZERO
    }

    /// Uses a certificate. One that lacks a name is better than none, and is renewed at once.
    fn serve(&mut self, kept: &Kept) {
        let is_for_all = kept.is_for(&self.acme.config.domains);
        let renew_at = if is_for_all { kept.renew_at() } else { 0 };
        let not_after = kept.not_after;
        self.acme.resolver.serve(kept.certified.clone());
        self.acme.tls.validity.set(Some(not_after));
        self.times = Ok(Some(Times { renew_at, not_after }));
    }

    /// How long it is until the next attempt; until the one after it, longer.
    fn in_vain(&mut self) -> Duration {
        let longer = self.wait.saturating_mul(GROWTH).min(LONGEST_WAIT);
        core::mem::replace(&mut self.wait, longer)
    }

    /// What an operator has to know of a failure.
    fn failure(&self, why: &str, wait: Duration) -> String {
        let now = now().as_secs();
        let left = match &self.times {
            Ok(Some(times)) if times.not_after > now => {
                let days = (times.not_after - now) / 86_400;
                format!("the one in use is valid for {days} more days")
            }
            Ok(Some(_)) => "the one in use has EXPIRED".into(),
            Ok(None) => "there is none".into(),
            Err(what) => format!("there is none, as {what}"),
        };
        let (names, again) = (self.acme.names(), wait.as_secs());
        format!("no certificate for {names}: {why}. {left}; next attempt in {again} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::acme::AcmeConfig;
    use crate::http::acme::order::Issued;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    fn renewals(dir: &std::path::Path) -> Renewals {
        let domains = vec!["a.example".parse().unwrap()];
        let config = AcmeConfig::new(domains, dir.into());
        Renewals::new(Acme::open(config).unwrap())
    }

    /// A certificate that is valid from 2000 until the beginning of a year.
    fn kept(renewals: &Renewals, until: i32) -> Kept {
        let mut params = CertificateParams::new(["a.example".to_string()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let issued = Issued { chain: params.self_signed(&key).unwrap().pem(), key };
        Kept::check(&issued, &renewals.acme.config.domains, 0).unwrap()
    }

    #[test]
    fn a_ca_whose_certificates_are_due_when_they_come_is_asked_ever_less_often() {
        let dir = tempfile::tempdir().unwrap();
        let mut renewals = renewals(dir.path());
        let due = kept(&renewals, 2010);
        let pauses = [(); 5].map(|()| renewals.take(&due).as_secs());
        assert_eq!(pauses, [60, 240, 960, 3600, 3600]);
        assert!(renewals.due_in().is_zero());

        let good = kept(&renewals, 2900);
        assert_eq!(renewals.take(&good), Duration::ZERO);
        assert!(renewals.due_in() > LOOK);
        assert_eq!(renewals.take(&due).as_secs(), 60, "it begins anew");
    }

    #[test]
    fn a_certificate_that_cannot_be_written_is_used_and_written_later() {
        let dir = tempfile::tempdir().unwrap();
        let mut renewals = renewals(dir.path());
        let in_the_way = renewals.acme.folder.path("certificate.pem");
        std::fs::create_dir(&in_the_way).unwrap();
        let good = kept(&renewals, 2900);
        renewals.take(&good);
        let good = Arc::new(good);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let refused = runtime.block_on(renewals.write(good.clone())).unwrap_err();
        assert!(refused.contains("cannot be written"), "{refused}");
        assert!(renewals.due_in() > LOOK, "no other is ordered");

        std::fs::remove_dir(&in_the_way).unwrap();
        let again = renewals.unwritten.clone().unwrap();
        runtime.block_on(renewals.write(again)).unwrap();
        assert!(renewals.unwritten.is_none());
        let found = Kept::open(&renewals.acme.folder).unwrap().unwrap();
        assert_eq!(found.not_after, good.not_after);
    }

    #[test]
    fn an_attempt_that_panics_fails_like_others() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let panicked = runtime.block_on(attempt(|| -> Result<(), String> { panic!("on purpose") }));
        assert!(panicked.unwrap_err().contains("fault of this program"));
        assert_eq!(runtime.block_on(attempt(|| Ok(7))), Ok(7));
    }
}
