//! Batches on several threads: contiguous chunks, results in order, and the first failure reported as a loop
//! would.

use conclave_crypto::{Kem, SignatureScheme};
use std::panic::resume_unwind;
use std::thread::Builder;

/// The work in nanoseconds that is worth a thread: starting and joining one costs some tens of microseconds.
const WORTH_A_THREAD: usize = 200_000;

/// The approximate cost of verifying a signature, in nanoseconds.
pub(crate) fn verify_cost(scheme: SignatureScheme) -> usize {
    match scheme {
        SignatureScheme::Ed25519 => 16_000,
        SignatureScheme::EcdsaSecp256r1Sha256 => 36_000,
        SignatureScheme::MlDsa44 => 23_000,
        SignatureScheme::MlDsa65 => 36_000,
        SignatureScheme::MlDsa87 => 56_000,
        SignatureScheme::EcdsaSecp384r1Sha384 | SignatureScheme::Ed448 => 140_000,
        _ => 250_000,
    }
}

/// The approximate cost of deriving a key pair, in nanoseconds.
pub(crate) fn derive_cost(kem: Kem) -> usize {
    match kem {
        Kem::DhX25519 => 5_000,
        Kem::DhP256 => 12_000,
        Kem::MlKem768 | Kem::MlKem768X25519 => 20_000,
        Kem::MlKem1024 | Kem::MlKem768P256 => 30_000,
        _ => 60_000,
    }
}

/// The approximate cost of sealing a secret, in nanoseconds.
pub(crate) fn seal_cost(kem: Kem) -> usize {
    match kem {
        Kem::MlKem768 => 20_000,
        Kem::DhX25519 | Kem::MlKem1024 => 30_000,
        Kem::DhP256 | Kem::MlKem768X25519 => 50_000,
        Kem::MlKem768P256 => 70_000,
        _ => 200_000,
    }
}

/// The approximate cost of hashing, in nanoseconds.
pub(crate) fn hash_cost(inputs: &[&[u8]]) -> usize {
    inputs.iter().map(|input| 50 + input.len() / 2).sum()
}

/// The number of threads that a batch may use, including the caller's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Threads(usize);

impl Threads {
    pub(crate) fn new(n: usize) -> Self {
        Self(n.max(1))
    }

    /// The share of one thread, if the items are divided evenly.
    pub(crate) fn share_of(self, items: usize) -> usize {
        items.div_ceil(self.0)
    }

    /// The results of `f` in order, or the first error in order.
    pub(crate) fn try_map<T: Sync, R: Send, E: Send>(
        self,
        items: &[T],
        cost: usize,
        f: impl Fn(&T) -> Result<R, E> + Sync,
    ) -> Result<Vec<R>, E> {
        let chunks = self.chunks(items, cost, |chunk| chunk.iter().map(&f).collect());
        let chunks: Vec<Vec<R>> = chunks.into_iter().collect::<Result<_, E>>()?;
        Ok(chunks.into_iter().flatten().collect())
    }

    /// Checks that `f` succeeds for all items; otherwise the index of the first that fails, and its error.
    pub(crate) fn try_each<T: Sync, E: Send>(
        self,
        items: &[T],
        cost: usize,
        f: impl Fn(&T) -> Result<(), E> + Sync,
    ) -> Result<(), (usize, E)> {
        let first_failure = |chunk: &[T]| {
            let failures = chunk.iter().enumerate();
            failures.filter_map(|(i, item)| f(item).err().map(|e| (i, e))).next()
        };

        let mut start = 0;
        for (failure, n) in self.chunks(items, cost, |chunk| (first_failure(chunk), chunk.len())) {
            if let Some((i, error)) = failure {
                return Err((start + i, error));
            }
            start += n;
        }
        Ok(())
    }

    /// The results of `f` for contiguous chunks, in order.
    fn chunks<T: Sync, R: Send>(
        self,
        items: &[T],
        cost: usize,
        f: impl Fn(&[T]) -> R + Sync,
    ) -> Vec<R> {
        let threads = (cost / WORTH_A_THREAD).clamp(1, self.0);
        let mut chunks = items.chunks(items.len().div_ceil(threads).max(1));
        let own = chunks.next().unwrap_or_default();

        let f = &f;
        std::thread::scope(|scope| {
            // If the system refuses a thread, the caller does its part.
            let others: Vec<_> = chunks
                .map(|chunk| (Builder::new().spawn_scoped(scope, move || f(chunk)), chunk))
                .collect();

            let mut results = Vec::with_capacity(others.len() + 1);
            results.push(f(own));
            for (thread, chunk) in others {
                results.push(match thread {
                    Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
                    Err(_) => f(chunk),
                });
            }

            results
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::Mutex;
    use std::thread::ThreadId;

    fn threads_used(threads: Threads, items: usize, cost: usize) -> BTreeSet<String> {
        let used = Mutex::new(BTreeSet::new());
        let name = |id: ThreadId| format!("{id:?}");
        let run = |_: &usize| {
            used.lock().unwrap().insert(name(std::thread::current().id()));
            Ok::<(), ()>(())
        };

        let items: Vec<usize> = (0..items).collect();
        threads.try_each(&items, cost, run).unwrap();
        used.into_inner().unwrap()
    }

    #[test]
    fn one_thread_never_starts_another() {
        let used = threads_used(Threads::new(1), 1000, usize::MAX);
        let own = format!("{:?}", std::thread::current().id());
        assert_eq!(used, BTreeSet::from([own]));
    }

    #[test]
    fn small_batches_stay_on_the_callers_thread() {
        assert_eq!(threads_used(Threads::new(8), 100, WORTH_A_THREAD).len(), 1);
        assert_eq!(threads_used(Threads::new(8), 100, 3 * WORTH_A_THREAD).len(), 3);
        assert_eq!(threads_used(Threads::new(8), 100, usize::MAX).len(), 8);
        assert_eq!(threads_used(Threads::new(8), 3, usize::MAX).len(), 3);
    }

    #[test]
    fn results_equal_a_loops_for_any_number_of_threads() {
        for n in 0..20 {
            let items: Vec<usize> = (0..n).collect();
            for threads in 1..6 {
                let threads = Threads::new(threads);
                let all = threads.try_map(&items, usize::MAX, |i| Ok::<_, usize>(i * 2));
                assert_eq!(all, Ok(items.iter().map(|i| i * 2).collect()));
                for bad in 0..n {
                    let check = |i: &usize| if *i < bad { Ok(()) } else { Err(*i) };
                    assert_eq!(threads.try_each(&items, usize::MAX, check), Err((bad, bad)));
                    assert_eq!(threads.try_map(&items, usize::MAX, check), Err(bad));
                }
            }
        }
    }
}
