/// The padding of private messages (section 15.1). It decides how much outsiders learn about their
/// lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Padding {
    /// No padding.
    #[default]
    None,
    /// This many bytes.
    Bytes(u32),
    /// Padding up to the next multiple of this many bytes; none for 0.
    ToMultipleOf(u32),
    /// Padding up to the next power of two: a message at most doubles, and its length leaks only
    /// its order of magnitude.
    PowerOfTwo,
    /// Padmé (Nikitin et al., PETS 2019): leaks asymptotically no more than [`Self::PowerOfTwo`]
    /// and adds at most 12 % of the length.
    Padme,
}

impl Padding {
    /// The number of padding bytes for a plaintext of `length` bytes.
    #[must_use]
    pub fn bytes(self, length: usize) -> usize {
        let padded = match self {
            Self::None => Some(length),
            Self::Bytes(n) => usize::try_from(n).ok().and_then(|n| length.checked_add(n)),
            Self::ToMultipleOf(n) => {
                usize::try_from(n).ok().and_then(|n| length.checked_next_multiple_of(n))
            }
            Self::PowerOfTwo => length.checked_next_power_of_two(),
            Self::Padme => padme(length),
        };
        padded.map_or(0, |padded| padded.saturating_sub(length))
    }
}

/// Rounds a length with exponent `e` up to a mantissa of as many bits as `e` has.
fn padme(length: usize) -> Option<usize> {
    let Some(exponent) = length.checked_ilog2() else { return Some(0) };
    let kept = exponent.checked_ilog2().map_or(0, |log| log + 1);
    let mask = 1usize.checked_shl(exponent.saturating_sub(kept))?.checked_sub(1)?;
    Some(length.checked_add(mask)? & !mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_pads_to_its_lengths() {
        for (policy, length, padded) in [
            (Padding::None, 77, 77),
            (Padding::Bytes(0), 5, 5),
            (Padding::Bytes(9), 5, 14),
            (Padding::ToMultipleOf(0), 5, 5),
            (Padding::ToMultipleOf(1), 5, 5),
            (Padding::ToMultipleOf(64), 0, 0),
            (Padding::ToMultipleOf(64), 1, 64),
            (Padding::ToMultipleOf(64), 64, 64),
            (Padding::ToMultipleOf(64), 65, 128),
            (Padding::PowerOfTwo, 0, 1),
            (Padding::PowerOfTwo, 1, 1),
            (Padding::PowerOfTwo, 1024, 1024),
            (Padding::PowerOfTwo, 1025, 2048),
            (Padding::Padme, 0, 0),
            (Padding::Padme, 1, 1),
            (Padding::Padme, 8, 8),
            (Padding::Padme, 9, 10),
            (Padding::Padme, 100, 104),
            (Padding::Padme, 1000, 1024),
            (Padding::Padme, 10_000, 10_240),
        ] {
            assert_eq!(length + policy.bytes(length), padded, "{policy:?} of {length}");
        }
    }

    #[test]
    fn padme_adds_at_most_twelve_percent() {
        let mut previous = 0;
        for length in 1..100_000 {
            let padded = length + Padding::Padme.bytes(length);
            assert!(padded * 100 <= length * 112, "{length} became {padded}");
            assert!(padded >= previous, "{length} became {padded}");
            previous = padded;
        }
    }

    #[test]
    fn no_length_overflows() {
        for policy in [
            Padding::Bytes(u32::MAX),
            Padding::ToMultipleOf(u32::MAX),
            Padding::PowerOfTwo,
            Padding::Padme,
        ] {
            for length in [usize::MAX - 1, usize::MAX] {
                assert!(length.checked_add(policy.bytes(length)).is_some());
            }
        }
    }
}
