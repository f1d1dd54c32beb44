//! The observer, and what it has stored.

use super::*;
use conclave_group::ObserverEvent;

impl Watcher {
    pub(super) fn of(observer: Observer) -> Self {
        let mut watcher = Self { observer, rows: Rows::new() };
        watcher.rows = watcher.memory();
        watcher
    }

    /// The rows of the state in memory.
    pub(super) fn memory(&self) -> Rows {
        let mut rows = Rows::new();
        self.observer.rows().expect("a state has rows").apply_to(&mut rows);
        rows
    }

    /// What a message leads to if every credential is accepted. Nothing is changed.
    pub(super) fn probe(
        &self,
        provider: &dyn CryptoProvider,
        message: &[u8],
    ) -> Result<Transition<Observer>, Error> {
        let stage = self.observer.process(provider, message)?;
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        stage.resolve(&self.observer, provider, &verdicts)
    }

    pub(super) fn take(&mut self, step: Transition<Observer>) -> ObserverEvent {
        let rows = &mut self.rows;
        apply(&mut self.observer, step, |write| stored(rows, write.batch)).expect("fits its state")
    }

    /// Forgets the group in memory and loads it from the rows.
    pub(super) fn reload(&mut self, provider: &dyn CryptoProvider) {
        let rows = self.rows.iter().map(|(key, value)| (*key, value.clone()));
        self.observer =
            Observer::load(provider, Config::default(), rows).expect("stored rows load");
    }
}
