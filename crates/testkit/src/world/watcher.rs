//! The observer, and what it has stored.

use super::*;

impl Watcher {
    pub(super) fn of(observer: Observer) -> Self {
        let rows = rows_of(observer.rows());
        Self { observer, rows }
    }

    /// The rows of the state in memory.
    pub(super) fn memory(&self) -> Rows {
        rows_of(self.observer.rows())
    }

    /// The step that a message leads to. Nothing is changed.
    pub(super) fn probe(
        &self,
        provider: &dyn CryptoProvider,
        message: &[u8],
    ) -> Result<Transition<Observer, ObserverEvent>, Error> {
        accepting::observe(&self.observer, provider, message)
    }

    pub(super) fn take<O: Outcome<ObserverEvent>>(&mut self, step: Transition<Observer, O>) -> O {
        take(&mut self.observer, &mut self.rows, step)
    }

    /// Forgets the group in memory and loads it from the rows.
    pub(super) fn reload(&mut self, provider: &dyn CryptoProvider) {
        self.observer = Observer::load(provider, Config::default(), self.rows.clone())
            .expect("stored rows load");
    }
}
